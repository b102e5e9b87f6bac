"""Imports point down the list of layers, and the library needs no Jupyter."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.repository import PUBLIC, ROOT

# What each part of the package may import from the others. `paths` knows folders and nothing else,
# `errors` how a user is told what went wrong.
ALLOWED: dict[str, set[str]] = {
    "paths": set(),
    "errors": set(),
    "functional": {"errors"},
    "theory": {"errors"},
    "losses": {"functional", "errors"},
    "memory": {"functional", "errors"},
    "metrics": {"functional", "errors"},
    "data": {"paths", "errors"},
    "streets": {"data", "errors"},
    "longtail": {"data", "theory", "paths", "errors"},  # the odds of a batch are formulas of Proposition 1
    "catalog": {"data", "streets", "longtail", "paths", "errors"},
    "models": {"functional", "losses", "errors"},
    "training": {
        "functional",
        "losses",
        "memory",
        "metrics",
        "data",
        "catalog",
        "longtail",
        "models",
        "paths",
        "errors",
    },
    "engines": {"data", "paths", "errors"},  # commands, and nothing of what they do
    "experiments": {
        "functional",
        "theory",
        "metrics",
        "data",
        "streets",
        "catalog",
        "longtail",
        "models",
        "training",
        "paths",
        "errors",
    },
    "plots": {
        "theory",
        "data",
        "streets",
        "longtail",
        "losses",
        "models",
        "training",
        "experiments",
        "errors",
    },
    "notebooks": {"errors"},
    "gates": set(),
    "book": {"notebooks", "errors", "gates"},
}
PACKAGE = ROOT / "aucseg"
MODULES = sorted(PACKAGE.rglob("*.py"))


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Parts of aucseg that a module imports, wherever in the module it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import by the full name"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {name.split(".")[1] for name in found if name.startswith("aucseg.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = _part(path)
    if part in ("cli", "__main__"):  # the roof: may import anything
        return
    if part == "__init__":
        assert not _imports(path), "`import aucseg` must stay light"
        return
    assert part in ALLOWED, f"{path}: say in this table what the new part {part!r} may import"
    upward = _imports(path) - ALLOWED[part] - {part}
    assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}; {part} may import {ALLOWED[part]}"


def _modules_imported(path: Path) -> set[Path]:
    """Modules of the package that one imports, wherever in it, for its types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {_file(name.name) for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {_file(f"{node.module}.{name.name}") or _file(f"{node.module}") for name in node.names}
    return {file for file in found if file is not None and file != path}


def _file(name: str) -> Path | None:
    """The file of a module of the package; None for another package and for a name within a module."""
    place = ROOT / name.replace(".", "/")
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f in MODULES), None)


def test_no_modules_import_each_other() -> None:
    graph = {path: _modules_imported(path) for path in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(str(path.relative_to(ROOT)) for path in error.args[1]))


WITHOUT = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
absent = {foreign!r}
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in absent else find(name, *rest)
import {names}
"""


@pytest.mark.slow
def test_library_works_without_jupyter() -> None:
    """Every part is imported where the packages of the extra ``book`` cannot be.

    Merely looking whether they were imported would blame us for seaborn, which takes ipywidgets if it can.
    """
    names = ", ".join(f"aucseg.{part}" for part in (*PUBLIC, "book", "cli"))
    foreign = (
        "IPython",
        "ipykernel",
        "ipywidgets",
        "jupyter_book",
        "myst_nb",
        "nbformat",
        "papermill",
        "sphinx",
    )
    program = WITHOUT.format(foreign=foreign, names=names)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


HEAVY = ("lightning", "matplotlib", "segmentation_models_pytorch", "timm", "torch", "torchvision")
COMMAND = """
import sys
from aucseg.cli import app

sys.argv = ["aucseg", *{words!r}]
try:
    app()
except SystemExit as left:
    assert not left.code, left.code
heavy = set({heavy!r}) & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "data list",
        "data verify FOLDER",
        "data stats FOLDER --regions",
        "data tail ade20k",
        "bound cityscapes",
        "sweep status",
    ],
)
def test_commands_about_data_are_light(words: str, tiny_camvid: Path) -> None:
    """They start in a fraction of the seconds that PyTorch and what builds on it take to import."""
    program = COMMAND.format(words=words.replace("FOLDER", str(tiny_camvid)).split(), heavy=HEAVY)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_every_public_name_of_the_data_sets_has_a_home() -> None:
    """They are imported when asked for, from where the stub that type checkers read says."""
    from aucseg import data, experiments, longtail, models, training

    for room in (data, longtail, models, training, experiments):
        stub = ast.parse((PACKAGE / room.__name__.split(".")[1] / "__init__.pyi").read_text(encoding="utf-8"))
        named = [alias for node in stub.body for alias in node.names]  # type: ignore[attr-defined]
        assert all(alias.asname == alias.name for alias in named), (
            "`as` is what makes a name of a stub public"
        )
        assert sorted(room.__all__) == sorted(alias.name for alias in named)
        assert all(getattr(room, name) is not None for name in room.__all__)
        assert set(room.__all__) <= set(dir(room))
        with pytest.raises(AttributeError, match=rf"{room.__name__} attribute nothing"):
            room.nothing  # noqa: B018


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_a_notebook_imports_of_the_package_is_there(path: Path) -> None:
    """A name that moved shows here, and not after the minutes that the chapter takes."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    wanted = [
        (node.module, name.name)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aucseg"
        for name in node.names
    ]
    assert wanted
    for module, name in wanted:
        room = importlib.import_module(module)
        if not hasattr(room, name):
            importlib.import_module(f"{module}.{name}")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_needs_what_one_system_lacks(path: Path) -> None:
    """Imported at the head, `resource` keeps the whole package from Windows."""
    lacking = {
        "resource",
        "fcntl",
        "termios",
        "tty",
        "pty",
        "pwd",
        "grp",
        "posix",
        "syslog",
        "msvcrt",
        "winreg",
    }
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        name.partition(".")[0]
        for node in tree.body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not names & lacking
