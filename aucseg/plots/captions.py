"""How the book shows a figure or a table: numbered, with a caption, an alternative text and where it is from.

A figure goes into the page as SVG that takes its colour of ink from the page, so that one picture is right
in the light and in the dark. A table carries its cells as CSV, behind a link.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from aucseg.errors import UserError
from aucseg.plots.live import Live
from aucseg.plots.style import DARK, GRID, INK, PAPER
from aucseg.plots.tables import styled

if TYPE_CHECKING:
    from typing import TypeAlias

    from aucseg.experiments import Results

    Source: TypeAlias = "Results | Files | str"

_NUMBERS: dict[str, dict[str, int]] = {"Figure": {}, "Table": {}}
_SVG: dict[Any, Any] = {
    # Paths for letters and a fixed salt for names: the same figure is the same text on every machine.
    "svg.fonttype": "path",
    "svg.hashsalt": "aucseg",
}
_PAGE = "var(--pst-color-background, var(--jp-layout-color0, Canvas))"
_COLORS = (
    (re.compile(rf"(fill|stroke): {INK}\b"), r"\1: currentColor"),
    (re.compile(rf"(fill|stroke): {GRID}\b"), r"\1: currentColor; \1-opacity: 0.2"),
    (re.compile(rf"(fill|stroke): {PAPER}\b"), rf"\1: {_PAGE}"),
    *((re.compile(rf"(fill|stroke): {c}\b"), rf"\1: var(--aucseg-{c[1:]}, {c})") for c in DARK),
)
_HEAVY = 500_000  # characters of SVG, beyond which a picture of pixels is lighter
_SMALLEST = 0.72  # of its natural width, below which a figure is scrolled rather than shrunk
_COLUMN = 820  # pixels of a page's text beside its contents: a figure is not cut off there, however wide


class NoCaptionError(UserError, ValueError):
    """A figure without caption or alternative text, or a table without caption."""


class Files:
    """Files of the project whose numbers are shown: printed in a paper, counted, or computed beforehand.

    Args:
        paths: from the project's root, as ``"data/published/aucseg/table_13.csv"``.
        command: that makes them anew, if one does.
    """

    def __init__(self, *paths: str, command: str | None = None) -> None:
        self.paths, self.command = paths, command


def show(
    shown: Figure | Axes | Live | Styler | pd.DataFrame,
    caption: str = "",
    *,
    alt: str = "",
    source: Source | Sequence[Source] | None = None,
) -> None:
    """Show a figure or a table in a notebook, numbered, with its caption and where its numbers are from.

    A figure is closed afterwards, so that it appears once. One whose SVG would be heavy (many points) is put
    into the page as a picture of pixels on white.

    Args:
        shown: the figure, one of its axes, one that a reader can move, or a table.
        caption: what is seen, in a sentence of plain text; a table's own caption by default.
        alt: for who cannot see the figure: what it shows, in words, not what it is about.
        source: the results whose records it was made from: profile, seeds, commits and the command that makes
            them anew stand below, and the page links to the records. The name of a benchmark for what was
            timed: machine, commit and the command. A :class:`Files` for other numbers that lie in the
            project. A sequence for several. Without it the line below says that the page itself computed it.

    Raises:
        NoCaptionError: without a caption, or for a figure without ``alt``.
    """
    from IPython.display import HTML, display  # of the extra `book`, which only notebooks need

    display(HTML(shown_html(shown, caption, alt=alt, source=source)))
    if not isinstance(shown, (Styler, pd.DataFrame)):
        plt.close(_figure_of(shown))


def shown_html(
    shown: Figure | Axes | Live | Styler | pd.DataFrame,
    caption: str = "",
    *,
    alt: str = "",
    source: Source | Sequence[Source] | None = None,
    number: int | None = None,
) -> str:
    """The HTML that :func:`show` displays, for pages that are no notebooks.

    Args:
        shown: the figure, one of its axes, one that a reader can move, or a table.
        caption: as for :func:`show`.
        alt: as there.
        source: as there.
        number: of the figure or table on its page; the next one of this process if None.

    Raises:
        NoCaptionError: as there.
    """
    if isinstance(shown, pd.DataFrame):
        shown = styled(shown)
    if isinstance(shown, Styler):
        return _table(shown, caption, source, number)
    for name, text in (("caption", caption), ("alt", alt)):
        if not text.strip():
            raise NoCaptionError(f"a figure of the book needs {name}=: {_WHAT[name]}")
    number = _number("Figure", caption) if number is None else number
    title = f"<b>Figure {number}.</b> {escape(caption, quote=False)}"
    picture = _picture(_figure_of(shown), alt)
    if isinstance(shown, Live):
        values = json.dumps(shown.values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # in single quotes, as there are many double ones
        values = escape(values, quote=False).replace("'", "&#39;")
        kind = f'data-live="{shown.kind}" data-name="{escape(shown.name)}"'
        picture = f"<div class=\"aucseg-live\" {kind} data-values='{values}'>{picture}</div>"
    return (
        f'<figure class="aucseg-figure" id="figure-{number}">{picture}'
        f"<figcaption>{title}</figcaption>{_below(source)}</figure>"
    )


_WHAT = {
    "caption": "what is seen, in a sentence",
    "alt": "what it shows, for who cannot see it",
}


def _figure_of(shown: Figure | Axes | Live) -> Figure:
    shown = shown.still if isinstance(shown, Live) else shown
    figure = shown.get_figure(root=True) if isinstance(shown, Axes) else shown
    assert figure is not None
    return figure


def _number(kind: str, caption: str) -> int:
    """The number of a caption in this notebook: a cell that is run again keeps its own."""
    known = _NUMBERS[kind]
    return known.setdefault(caption, len(known) + 1)


def _picture(figure: Figure, alt: str) -> str:
    width = round(96 * figure.get_figwidth())
    least = round(_SMALLEST * width)
    # whole on a page of the book, wherever a page is wide enough, and scrolled on a phone
    least_here = f"min({least}px, max(100%, {_COLUMN}px))" if least > _COLUMN else f"{least}px"
    size = f"width: 100%; max-width: {width}px; min-width: {least_here}; height: auto"
    svg = _svg_of(figure)
    if len(svg) <= _HEAVY:
        opening = f'<svg role="img" aria-label="{escape(alt)}" style="{size}"'
        return _without_size(svg).replace("<svg", opening, 1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(alt)}" style="{size}; background: white" src="data:image/png;base64,{data}">'


def _svg_of(figure: Figure) -> str:
    """A figure as SVG for a page: transparent, its ink, grid and paper in the colours of the page around."""
    faces = [(ax, ax.get_facecolor()) for ax in figure.axes]
    buffer = io.StringIO()
    try:
        for ax, _ in faces:
            ax.set_facecolor("none")
        with mpl.rc_context(_SVG):
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    finally:
        for ax, face in faces:
            ax.set_facecolor(face)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for pattern, replacement in _COLORS:
        text = pattern.sub(replacement, text)
    return text


def _without_size(svg: str) -> str:
    end = svg.index(">")
    return re.sub(r'\s(?:width|height)="[^"]*"', "", svg[:end]) + svg[end:]


def _table(style: Styler, caption: str, source: Source | Sequence[Source] | None, number: int | None) -> str:
    title = escape(caption, quote=False) if caption else _caption_of(style)
    if not title.strip():
        raise NoCaptionError(f"a table of the book needs caption=: {_WHAT['caption']}")
    number = _number("Table", title) if number is None else number
    rows: pd.DataFrame = style.data
    csv = quote(rows.to_csv(), safe="")
    address = f"data:text/csv;charset=utf-8,{csv}"
    link = f'<a class="aucseg-csv" download="table-{number}.csv" href="{address}">CSV</a>'
    style.caption = None
    return (
        f'<figure class="aucseg-table" id="table-{number}">'
        f"<figcaption><b>Table {number}.</b> {title}</figcaption>"
        f'<div class="aucseg-scroll">{style.to_html()}</div>{_below(source, link)}</figure>'
    )


def _caption_of(style: Styler) -> str:
    caption = style.caption
    return caption if isinstance(caption, str) else ""


def _below(source: Source | Sequence[Source] | None, *links: str) -> str:
    """One line: where it is from, the commands that make that, and the links."""
    if source is None:
        found: list[Source] = []
    else:
        found = list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    lines = [_told(each) for each in found] or ["<div>Computed on this page.</div>"]
    return f'<div class="aucseg-source">{"".join((*lines, *links))}</div>'


def _told(source: Source) -> str:
    if isinstance(source, str):
        summary, more = _timed(source)
    elif isinstance(source, Files):
        summary = f"From {escape(', '.join(source.paths))}"
        if source.command is None:
            return f"<div>{summary}</div>"
        more = f"To make it anew: <code>{escape(source.command)}</code>"
    else:
        runs = source.provenance
        key, command = escape(runs.key), f"<code>{escape(runs.command)}</code>"
        if runs.identities:
            summary = f'<a class="aucseg-records" data-records="{key}">{escape(runs.words)}</a>'
            more = f"To train them anew, about {escape(runs.duration)}: {command}"
        else:
            summary, more = f"No record yet: {escape(runs.place)}", f"To train: {command}"
    return f"<details><summary>{summary}</summary><p>{more}</p></details>"


def _timed(name: str) -> tuple[str, str]:
    """Where and when a benchmark was measured, and the command that does it again."""
    from aucseg.experiments import benchmark_table, measured_on  # only for what was timed

    table = benchmark_table(name)
    machines = "; ".join(
        line for device in table["device"].unique() for line in measured_on(table, device).splitlines()
    )
    words = f"Benchmark {name.replace('_', ' ')}: {machines}"
    return escape(words), f"To measure it anew: <code>python benchmarks/{escape(name)}.py --csv</code>"
