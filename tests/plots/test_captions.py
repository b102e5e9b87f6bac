"""How figures and tables stand in the book."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.display import HTML

from aucseg import plots
from aucseg.experiments import Results
from aucseg.plots import GROUP_COLORS, INK, NoCaptionError, show
from tests.repository import ROOT


@pytest.fixture(autouse=True)
def _style() -> None:
    plots.use_style()


def _shown(*args: Any, **options: Any) -> str:
    displayed: list[HTML] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", displayed.append)
        show(*args, **options)
    (output,) = displayed
    return str(output.data)


def _line() -> plt.Axes:
    _, ax = plt.subplots(figsize=(5, 2))
    ax.plot([0, 1], [1, 2], color=INK)
    ax.plot([0, 1], [2, 1], color=GROUP_COLORS["tail"])
    ax.set(xlabel="steps", ylabel="mIoU (%)")
    return ax


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def one(self, tag: str) -> dict[str, str | None]:
        (found,) = [attrs for name, attrs in self.found if name == tag]
        return found


def test_a_figure_has_a_number_a_caption_and_words_for_who_cannot_see_it() -> None:
    html = _shown(_line(), "Two <lines>.", alt='One rises, "one" falls.')
    svg = _Tags(html).one("svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] == 'One rises, "one" falls.'
    assert re.search(r"<b>Figure \d+\.</b> Two &lt;lines&gt;\.", html)
    assert not plt.get_fignums()  # or the notebook would show it a second time


def test_the_same_caption_keeps_its_number_and_another_has_the_next() -> None:
    numbers = [
        int(re.search(r"<b>Figure (\d+)", _shown(_line(), caption, alt="lines"))[1])  # type: ignore[index]
        for caption in ("numbers: one", "numbers: two", "numbers: one")
    ]
    assert numbers[1] == numbers[0] + 1
    assert numbers[2] == numbers[0]


def test_ink_and_grid_are_those_of_the_page_and_colours_stay() -> None:
    ax = _line()
    before = ax.get_facecolor()
    svg = _shown(ax, "Ink.", alt="lines")
    assert "stroke: currentColor" in svg
    assert INK not in svg
    assert (
        f"var(--aucseg-{GROUP_COLORS['tail'][1:]}, {GROUP_COLORS['tail']})" in svg
    )  # the page may have another
    assert "fill: #ffffff" not in svg  # nothing white lies behind it
    assert ax.get_facecolor() == before


def test_the_same_figure_is_the_same_text() -> None:
    assert _shown(_line(), "Same.", alt="lines") == _shown(_line(), "Same.", alt="lines")


def test_a_figure_of_many_points_becomes_pixels_on_white() -> None:
    _, ax = plt.subplots(figsize=(4, 3))
    ax.plot(*np.random.default_rng(0).random((2, 20_000)), ".")
    image = _Tags(_shown(ax, "Many.", alt="a cloud")).one("img")
    kind, data = str(image["src"]).split(",", 1)
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert image["alt"] == "a cloud"
    assert "background: white" in str(image["style"])


@pytest.mark.parametrize(
    "options", [{}, {"caption": "Lines."}, {"alt": "lines"}, {"caption": " ", "alt": "x"}]
)
def test_a_figure_without_caption_or_alternative_text_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(NoCaptionError, match=r"needs (caption|alt)="):
        show(_line(), **options)


def test_a_table_gives_its_cells_as_csv() -> None:
    frame = pd.DataFrame({"share <%>": [0.5, 1.25]}, index=["pole", "a, b"])
    html = _shown(plots.styled(frame, "Shares & more"))
    link = _Tags(html).one("a")
    assert str(link["download"]).endswith(".csv")
    data = unquote(str(link["href"]).split(",", 1)[1])
    assert data == frame.to_csv()
    assert html.count("Shares &amp; more") == 1  # above the table, and not in it a second time
    with pytest.raises(NoCaptionError):
        show(frame)
    assert "<b>Table" in _shown(frame, "Shares")


def test_the_records_behind_it_and_the_command_that_makes_them() -> None:
    results = Results("ablation_components", "streets", "laptop", [0, 1, 2], "never")
    told = results.provenance
    assert told.key == "ablation_components/streets/laptop"
    assert told.seeds == (0, 1, 2)
    assert len(told.identities) == 12
    assert "seeds 0 to 2" in told.words
    assert told.command.startswith("aucseg sweep ablation_components --compute always --seed 0")
    records = [record for record in results.records.values() if record is not None]
    assert told.seconds == pytest.approx(sum(record.timing["seconds_total"] for record in records))
    html = _shown(
        plots.measured_table(results.summary, results.labels, metrics=["mIoU"], caption="x"), source=results
    )
    assert 'data-records="ablation_components/streets/laptop"' in html
    assert told.command in html


def test_the_benchmark_behind_it_and_the_command_that_measures_it() -> None:
    rows = pd.read_csv(ROOT / "data" / "benchmarks" / "networks.csv")
    html = _shown(_line(), "Cost.", alt="a line", source="networks")
    for commit in rows["git_commit"].unique():
        assert f"commit {commit[:7]}" in html
    assert f"Benchmark networks: {rows['hardware'].iloc[0]}" in html
    assert "<code>python benchmarks/networks.py --csv</code>" in html
    results = Results("ablation_components", "streets", "laptop", [0], "never")
    both = _shown(_line(), "Both.", alt="a line", source=[results, "networks"])
    assert results.provenance.command in both
    assert "Benchmark networks" in both


@pytest.mark.parametrize(("inches", "least"), [(6, "415px"), (12, "min(829px, max(100%, 820px))")])
def test_a_wide_figure_is_whole_where_a_page_has_room(inches: float, least: str) -> None:
    """On a phone it is scrolled at a size that can be read."""
    figure, _ = plt.subplots(figsize=(inches, 3))
    assert f"min-width: {least};" in _shown(figure, f"{inches} inches.", alt="axes")


def test_what_was_not_run_says_how_to_run_it() -> None:
    results = Results("ablation_components", "streets", "laptop", [987], "never")
    html = _shown(_line(), "None.", alt="lines", source=results)
    assert "No record yet: ablation components, streets, laptop" in html
    assert f"<code>{results.provenance.command}</code>" in html


def test_the_files_behind_it() -> None:
    alone = _shown(_line(), "Printed.", alt="a line", source=plots.Files("data/a.csv", "data/b.csv"))
    assert "<div>From data/a.csv, data/b.csv</div>" in alone
    made = _shown(_line(), "Made.", alt="a line", source=plots.Files("data/a.csv", command="aucseg gap <x>"))
    assert "<summary>From data/a.csv</summary>" in made
    assert "<code>aucseg gap &lt;x&gt;</code>" in made


def test_what_has_no_source_was_computed_by_the_page() -> None:
    assert "Computed on this page." in _shown(_line(), "Here.", alt="a line")


def test_files_that_a_page_names_are_there() -> None:
    named = set()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            for call in re.findall(r"plots\.Files\((.*?)\)", "".join(cell["source"]), re.DOTALL):
                named.update(re.findall(r'(f?)"([^"]+\.csv)"', call))
    assert len(named) > 15
    assert [path for formatted, path in named if not formatted and not (ROOT / path).is_file()] == []
