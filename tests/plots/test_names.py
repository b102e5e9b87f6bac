"""What a user named is data: no figure and no table reads it as mathematics or markup."""

from __future__ import annotations

import csv
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy.sparse import csr_array

from aucseg.data.classes import read_class_names
from aucseg.data.spec import ClassSpec
from aucseg.longtail import Tally, class_table, co_occurrence_table
from aucseg.plots import (
    as_markdown,
    change_bars,
    class_bars,
    class_legend,
    class_shares,
    co_occurrence_heatmap,
    frequency_bars,
    pair_heatmaps,
    presence_grid,
    presence_plot,
    share_bars,
    styled,
)
from aucseg.plots.captions import shown_html
from tests.names import NAMES

K = len(NAMES)
SPEC = ClassSpec("$set^{$", NAMES, ((9, 9, 9),) * K, ("head",) + ("middle",) * (K - 2) + ("tail",))
COUNTS = np.random.default_rng(0).integers(1, 90, (8, K))
TALLY = Tally.of_images(SPEC, csr_array(COUNTS))
TABLE = class_table(TALLY)
IOU = pd.DataFrame({"arm": "a", "class": NAMES, "group": SPEC.groups, "iou": 50.0})


def _legend() -> None:
    class_legend(plt.subplots()[1], SPEC)


FIGURES = {
    "bars": lambda: frequency_bars(TABLE, title="$a^{$"),
    "shares": lambda: share_bars(TABLE),
    "presence": lambda: presence_plot(TABLE, title="$a^{$"),
    "co-occurrence": lambda: co_occurrence_heatmap(co_occurrence_table(TALLY), title="$a^{$"),
    "shares by quantity": lambda: class_shares({"a": [1 / K] * K}, SPEC, ylabel=""),
    "pairs": lambda: pair_heatmaps({"a": np.full((K, K), 0.7)}, SPEC),
    "presence in batches": lambda: presence_grid({"a": (np.ones((2, K)),) * 2}, SPEC),
    "legend": _legend,
    "IoU": lambda: class_bars(IOU, {"a": "A"}, order=NAMES),
    "change": lambda: change_bars(TABLE.assign(change=1.0), {"change": "change"}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_names_in_a_figure_are_drawn_as_they_are(name: str) -> None:
    plt.close("all")
    FIGURES[name]()
    figure = plt.gcf()
    figure.canvas.draw()  # an unbalanced $ would raise here
    drawn = set()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        shown, mathematics = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
        assert not mathematics or shown.startswith("$\\mathdefault"), text  # a logarithmic axis
        drawn.add(shown.removesuffix("*"))
    assert set(NAMES) <= drawn


class _Cells(HTMLParser):
    """Tags of a page, and the texts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.add(data)


def test_names_in_a_table_are_shown_as_they_are() -> None:
    """As labels of rows and columns, in cells and in the caption; however the caller formats them."""
    table = pd.DataFrame({NAMES[0]: NAMES, NAMES[2]: 0.5}, index=pd.Index(NAMES, name=NAMES[2]))
    percent = styled(table, NAMES[2]).format({NAMES[2]: "{:.1%}"})
    for made in (styled(table, NAMES[2]), percent, styled(table).format(na_rep="–").hide(axis="index")):
        page = _Cells()
        page.feed(made.to_html())
        assert set(NAMES) <= page.texts
        assert page.tags <= {"style", "table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_names_from_a_file_on_a_built_page(tmp_path: Path) -> None:
    """From ``classes.csv`` to the HTML of a chapter: figure, table, captions, alternative text, CSV."""
    with (tmp_path / "classes.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["id", "name", "ignore"])
        lines.writerows([i, name, 0] for i, name in enumerate(NAMES))
    names = read_class_names(tmp_path)
    assert names == NAMES
    spec = ClassSpec("own", names, SPEC.colors, SPEC.groups)
    table = class_table(Tally.of_images(spec, csr_array(COUNTS)))
    plt.close("all")
    frequency_bars(table)
    words = "; ".join(names)
    figure = shown_html(plt.gcf(), words, alt=words, number=1)
    iou = styled(pd.DataFrame({"class": names, **dict.fromkeys(names, 0.5)}), words)
    for html in (figure, shown_html(iou, number=1), shown_html(table.reset_index(), words, number=2)):
        page = _Cells()
        page.feed(html)
        assert not page.tags & {"script", "red", "img", "iframe"}
        assert words in page.texts or f" {words}" in page.texts
        assert "<script>" not in html
    page = _Cells()
    page.feed(figure)
    assert any("<script>alert(1)</script>" in text for text in page.texts)  # as a text of the picture
    plt.close("all")


def test_names_in_markdown_are_shown_as_they_are() -> None:
    markdown = pytest.importorskip("markdown_it", reason="of the extra that makes the book").MarkdownIt()
    for name in (*NAMES, "*a*", "1. a", "# a", "`a`", "a_b_c", "![x](y)", "~~a~~", "&amp;", "a\\b"):
        page = _Cells()
        page.feed(markdown.render(as_markdown(name)))
        assert page.tags == {"p"}
        assert "".join(page.texts).strip() == name
