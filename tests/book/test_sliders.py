"""Every slider of every notebook is moved, without a browser, and what it draws changes.

Of a notebook only the cells run that its sliders need, at the smoke profile. `ipywidgets` calls back in the
same process; figures are caught at ``plt.show``, texts at ``display``.
"""

from __future__ import annotations

import symtable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.repository import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs the extra aucseg[book]")
ipywidgets = pytest.importorskip("ipywidgets", reason="needs the extra aucseg[book]")


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


WITH_SLIDERS = [
    p for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if "interact(" in p.read_text("utf-8")
]


def names(source: str) -> tuple[set[str], set[str]]:
    """Global names that a cell sets, and those that it or a function in it reads."""
    table = symtable.symtable(source, "cell", "exec")
    made = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    read = {s.get_name() for s in table.get_symbols() if s.is_referenced()}

    def inner(scope: symtable.SymbolTable) -> Iterator[str]:
        for child in scope.get_children():
            yield from (s.get_name() for s in child.get_symbols() if s.is_global() and s.is_referenced())
            yield from inner(child)

    return made, read | set(inner(table))


def needed(sources: list[str], last: int) -> list[int]:
    """The cells before the last that it depends on, and itself."""
    kept, wanted = [last], names(sources[last])[1]
    for index in reversed(range(last)):
        made, read = names(sources[index])
        if made & wanted:
            kept.append(index)
            wanted = (wanted - made) | read
    return kept[::-1]


class Notebook:
    """A notebook up to its sliders, and what they have put out."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[Any] = []
        plt.switch_backend("Agg")
        monkeypatch.setattr(plt, "show", lambda *args, **kwargs: self._figure())
        cells = code_cells(path)
        sources = [cell.source for cell in cells]
        (last,) = (i for i, source in enumerate(sources) if "interact(" in source)
        space: dict[str, Any] = {}
        for index in needed(sources, last):
            if index == last:
                plt.close("all")
                space["display"] = self._text
            exec(compile(sources[index], f"{path.name}[{index}]", "exec"), space)
            if "parameters" in cells[index].metadata.get("tags", []):
                space["profile"] = "smoke"
        widgets = {id(f.widget): f.widget for f in space.values() if hasattr(f, "widget")}
        (self.widget,) = (w for w in widgets.values() if isinstance(w, ipywidgets.interactive))

    def move(self, slider: Any, value: float) -> list[Any]:
        """Set a slider and return what it put out."""
        self.shown.clear()
        slider.value = value
        return [*self.shown]

    def _figure(self) -> None:
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.canvas.draw()
            self.shown.append(np.asarray(figure.canvas.buffer_rgba()).tobytes())
            plt.close(figure)

    def _text(self, *objects: Any) -> None:
        self.shown.append([getattr(one, "data", repr(one)) for one in objects])


def places(slider: Any) -> list[float]:
    """Both ends of a slider and a place between them, none of them where it stands."""
    low, high = slider.min, slider.max
    middle: float = low + round((high - low) / 2 / slider.step) * slider.step
    if isinstance(slider, ipywidgets.FloatLogSlider):
        return [slider.base**exponent for exponent in (low, middle, high)]
    return [low, middle, high]


def steps_from_its_end(slider: Any) -> float:
    """How many steps a slider stands from its lower end."""
    at = slider.value
    if isinstance(slider, ipywidgets.FloatLogSlider):
        at = np.log(at) / np.log(slider.base)
    return float((at - slider.min) / slider.step)


def test_some_notebooks_have_sliders() -> None:
    assert {path.stem for path in WITH_SLIDERS} >= {"generalization_bound", "memory_bank", "sampling_bound"}


def test_only_what_is_needed_runs() -> None:
    sources = ["a = 1", "b = a", "c = 5", "def f(a):\n    return a + b", "a = f(2)", "print(f)"]
    assert needed(sources, 5) == [0, 1, 3, 5]


@pytest.mark.parametrize("path", WITH_SLIDERS, ids=lambda path: path.stem)
def test_every_slider_changes_what_is_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mpl.rc_context({"figure.dpi": 50}):
        notebook = Notebook(path, monkeypatch)
        sliders = notebook.widget.kwargs_widgets
        assert len(sliders) >= 3
        for slider in sliders:
            # JupyterLab moves a slider to its nearest step when it is shown, and what is drawn with it
            steps = steps_from_its_end(slider)
            assert steps == pytest.approx(round(steps), abs=1e-6), (
                f"{slider.description} starts off its steps"
            )
            start = slider.value
            put_out = []
            for value in places(slider):
                if value == slider.value:
                    slider.value = slider.min if slider.value != slider.min else slider.max
                shown = notebook.move(slider, value)
                assert slider.value == pytest.approx(value), slider.description
                assert shown, f"{slider.description} = {value} showed nothing"
                put_out.append(repr(shown))
            assert len(set(put_out)) == 3, f"{slider.description} does not change what is shown"
            slider.value = start
