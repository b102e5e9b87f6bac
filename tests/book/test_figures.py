"""No notebook shows a figure or a table past :func:`aucseg.plots.show`, and none has colours of its own."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.repository import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# what may stand as a statement of its own at the end of a cell: these put out what they are to
PUT_OUT = {"show", "say", "print", "glue", "use_style"}
DRAWN = {
    node.name
    for path in (ROOT / "aucseg" / "plots").glob("*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
    and node.returns is not None
    and ast.unparse(node.returns) in ("Figure", "Axes", "Styler")
}


def code_cells(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            yield number, cell, "".join(cell["source"])


def called(call: ast.expr) -> str:
    """The name of what is called, without what it is an attribute of."""
    function = call.func if isinstance(call, ast.Call) else call
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def faults(source: str) -> list[str]:
    """What a code cell shows past ``show``."""
    tree, found = ast.parse(source), []
    slider = "interact(" in source  # moved in JupyterLab, where a caption would be numbered anew each time
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) == "display":
            found.append(f"line {node.lineno}: display")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "plt.show" and not slider:
            found.append(f"line {node.lineno}: plt.show")
        if isinstance(node, ast.Call) and called(node) == "set_caption":
            found.append(f"line {node.lineno}: a caption past show")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not slider:
            fresh = all(keyword.arg != "ax" for keyword in node.value.keywords) and not (
                node.value.args and ast.unparse(node.value.args[0]) in ("ax", "left", "right")
            )
            if called(node.value) in DRAWN and fresh:
                found.append(f"line {node.lineno}: {called(node.value)} is drawn and not shown")
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr) and not slider and isinstance(last.value, ast.Call):
        # a function of the notebook's own does what it does by itself
        if called(last.value) not in PUT_OUT and not isinstance(last.value.func, ast.Name):
            found.append(f"line {last.lineno}: the cell ends with what is shown by itself")
    elif isinstance(last, ast.Expr) and not isinstance(last.value, (ast.Constant, ast.Call)):
        found.append(f"line {last.lineno}: the cell ends with what is shown by itself")
    makes = any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in ("plt.subplots", "plt.figure")
        for node in ast.walk(tree)
    )
    if makes and not slider and "show(" not in source and "return" not in source:
        found.append("a figure is made and not shown")
    return found


def test_what_draws_is_known() -> None:
    assert {"class_bars", "effect_plot", "measured_table", "styled", "lorenz_figure"} <= DRAWN
    assert not DRAWN & {"say", "show", "use_style", "colorize"}


@pytest.mark.parametrize(
    "source",
    [
        "plots.lorenz_figure(counts)",
        "plots.lorenz_figure(counts);",
        "if a:\n    plots.change_bars(table)",
        "table.pipe(plots.styled).format('{:.2f}')",
        "table.style",
        "display(table)",
        "figure, ax = plt.subplots()\nax.plot(x, y)",
        "figure, ax = plt.subplots()\nax.plot(x, y)\nplt.show()",
        "show(plots.styled(table).set_caption('a'))",
    ],
)
def test_what_is_shown_past_show_is_found(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "show(plots.lorenz_figure(counts), 'Curves.', alt='Two.')",
        "_, ax = plt.subplots()\nplots.class_legend(ax, spec)\nshow(ax, 'Colours.', alt='Names.')",
        "def run(name):\n    return Results(name)\n\n\nrun('a')",
        "say('words')",
    ],
)
def test_what_is_shown_by_show_is_none(source: str) -> None:
    assert not faults(source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_and_table_goes_through_show(path: Path) -> None:
    found = {number: wrong for number, _, source in code_cells(path) if (wrong := faults(source))}
    assert not found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_has_colours_of_its_own(path: Path) -> None:
    """Colours are those of the palettes, and ink that of the page: black ink is not seen on a dark one."""
    for number, _, source in code_cells(path):
        assert not re.search(r"""["']#[0-9a-fA-F]{3,8}["']""", source), number
        for line in source.splitlines():
            assert not re.search(r"""color=["'](black|gr[ae]y|0\.\d+)["']""", line), (number, line)


LONG = 12  # lines, from which a cell that only shows is folded


def only_shows(source: str, imported: dict[str, str]) -> bool:
    """Whether a reader learns nothing from a cell: half of it is captions and axes, or it reads records.

    Args:
        source: of the cell.
        imported: module of each name that the notebook imports.
    """
    if source.count("\n") + 1 < LONG or "interact(" in source or ".network(" in source:  # moved, trains
        return False
    nodes = list(ast.walk(ast.parse(source)))
    drawing: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
            ("show", "say", "print", "plots.", "plt.", "ax.", "axes", "fig")
        ):
            drawing |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    if not drawing:
        return False
    names = {node.id for node in nodes if isinstance(node, ast.Name)} & set(imported)
    own = {imported[name] for name in names if imported[name].startswith("aucseg")}
    reads = bool(own) and own <= {"aucseg", "aucseg.experiments", "aucseg.plots"}
    return reads or 2 * len(drawing) >= source.count("\n") + 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_that_only_shows_is_folded(path: Path) -> None:
    imported: dict[str, str] = {}
    open_ = []
    for number, cell, source in code_cells(path):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                imported |= {alias.asname or alias.name: node.module or "" for alias in node.names}
        folded = {"hide-input", "remove-cell", "parameters", "hide-cell"} & set(
            cell["metadata"].get("tags", [])
        )
        if not folded and only_shows(source, imported):
            open_.append(number)
    assert open_ == [], "give these cells the tag hide-input"
