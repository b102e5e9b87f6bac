"""What a user named is data: no figure and no table reads it as mathematics or markup."""

from __future__ import annotations

from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy.sparse import csr_array

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


def test_names_in_markdown_are_shown_as_they_are() -> None:
    markdown = pytest.importorskip("markdown_it", reason="of the extra that makes the book").MarkdownIt()
    for name in (*NAMES, "*a*", "1. a", "# a", "`a`", "a_b_c", "![x](y)", "~~a~~", "&amp;", "a\\b"):
        page = _Cells()
        page.feed(markdown.render(as_markdown(name)))
        assert page.tags == {"p"}
        assert "".join(page.texts).strip() == name
