"""Tables of the book: one look for every frame, and measured numbers beside published ones.

And :func:`say`, by which a notebook says what it has computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

GROUP_SUFFIXES = {"": "overall", "_head": "head", "_middle": "middle", "_tail": "tail"}
METRIC_LABELS = {
    metric + group: label
    for metric in ("mIoU", "auc_sigmoid", "auc_softmax")
    for group, label in GROUP_SUFFIXES.items()
}
METRIC_LABELS |= {"MAE": "MAE", "F_beta_mean": "mean F-beta", "E_mean": "mean E-measure"}
NOT_RUN = "not run"


def say(text: str) -> None:
    """Show Markdown in a notebook: a sentence whose numbers a cell has computed.

    A point of a list that begins with a label as "+ AUC" stays one: Markdown would begin a list in it.

    Args:
        text: Markdown; nothing is shown if it is empty.
    """
    from IPython.display import Markdown, display  # of the extra `book`, which only notebooks need

    if text.strip():
        display(Markdown(re.sub(r"^(\s*[-*] )(?=[-+*] )", r"\1\\", text, flags=re.MULTILINE)))


class _Table(Styler):
    """A table whose labels, cells and caption are shown as they are: what a user named is no HTML."""

    def format(self, *options: Any, escape: str | None = "html", **more: Any) -> Styler:
        """Format cells as `Styler.format` does, those of text as text."""
        return super().format(*options, escape=escape, **more)

    def format_index(self, *options: Any, escape: str | None = "html", **more: Any) -> Styler:
        """Format labels as `Styler.format_index` does, as text."""
        return super().format_index(*options, escape=escape, **more)

    def set_caption(self, caption: Any) -> Styler:
        """Set the caption, as text."""
        return super().set_caption(escape(caption, quote=False))


def as_markdown(text: str) -> str:
    r"""Markdown that shows a text as it is, for names of the user's in what :func:`say` says.

    Args:
        text: the name of a class or a folder.

    Example:
        >>> print(as_markdown("[red] <b> a_b"))
        \[red\] &lt;b&gt; a\_b
    """
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$^])", r"\\\1", escape(text, quote=False))


def styled(frame: pd.DataFrame, caption: str = "", *, prose: bool = False) -> Styler:
    """A frame in the look of the book's tables; its cells are still to be formatted by the caller.

    Whatever is a text in it is shown as it is, and never read as HTML.

    Args:
        frame: the table.
        caption: its heading.
        prose: cells hold sentences, which may wrap.

    Example:
        >>> frame = pd.DataFrame({"share": [0.123]}, index=["pole"])
        >>> "12.3%" in styled(frame, "pixels").format("{:.1%}").to_html()
        True
    """
    kind = "dataframe comparison prose" if prose else "dataframe comparison"
    shown = frame.copy(deep=False)  # names of its axes have no formatter before pandas 3
    shown.index, shown.columns = (
        axis.set_names([name if name is None else escape(str(name)) for name in axis.names])
        for axis in (frame.index, frame.columns)
    )
    names = [name for name in shown.index.names if name]
    if shown.index.nlevels == shown.columns.nlevels == 1 and names and not shown.columns.name:
        shown.columns = shown.columns.set_names(names)  # in the row of the columns' titles, not below it
        names = []
    style = _Table(shown, escape="html").set_table_attributes(f'class="{kind}"')
    if not names:
        style = style.hide(names=True)
    style = style.format_index(axis=0).format_index(axis=1)
    return style.set_caption(caption) if caption else style


def comparison_table(
    table: pd.DataFrame, labels: Mapping[str, str], *, metrics: Sequence[str], caption: str = ""
) -> Styler:
    """Published beside measured, ready to be shown: one row for each arm.

    A metric has the columns published, measured and sign, or measured alone where the paper prints nothing
    for any arm. A dash: the paper prints nothing, or the arm was not run. An arm with neither a run nor a
    printed number has no row. :attr:`aucseg.experiments.Results.not_run` names those that were not run.

    Args:
        table: as :func:`aucseg.experiments.side_by_side` returns it.
        labels: label of each arm, in order.
        metrics: the metrics shown, in order.
        caption: heading of the table.
    """
    told = table[table["metric"].isin(list(metrics)) & table[["published", "mean"]].notna().any(axis=1)]
    labels = {arm: label for arm, label in labels.items() if arm in set(told["arm"])}
    rows = table.set_index(["arm", "metric"])
    printed = set(table.loc[table["published"].notna(), "metric"])
    columns = [
        (metric, kind)
        for metric in metrics
        for kind in (("published", "measured", "sign") if metric in printed else ("measured",))
    ]

    def cell(arm: str, metric: str, kind: str) -> str:
        row = rows.loc[(arm, metric)] if (arm, metric) in rows.index else None
        if kind == "measured":
            return "–" if row is None else _number(row["mean"], row["half"], ".2f", missing="–")
        if row is None:
            return "–" if kind == "published" else ""
        if kind == "sign":
            return str(row["sign"])
        return "–" if math.isnan(row["published"]) else f"{row['published']:.2f}"

    frame = pd.DataFrame(
        [[cell(arm, metric, kind) for metric, kind in columns] for arm in labels],
        index=pd.Index(labels.values(), name=""),
        columns=pd.MultiIndex.from_tuples([(METRIC_LABELS.get(m, m), kind) for m, kind in columns]),
    )
    return _of_numbers(frame, caption)


def measured_table(
    summary: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    metrics: Sequence[str],
    names: Mapping[str, str] = METRIC_LABELS,
    caption: str = "",
) -> Styler:
    """Means with intervals, one row for each arm that was run and one column for each metric.

    :attr:`aucseg.experiments.Results.not_run` names the others.

    Args:
        summary: as :func:`aucseg.experiments.summarise` returns it.
        labels: label of each arm, in order.
        metrics: the metrics shown, in order; a dash for one that the records of an arm do not have.
        names: label of each metric.
        caption: heading of the table.
    """
    rows = summary.set_index(["arm", "metric"])
    labels = {arm: label for arm, label in labels.items() if arm in set(summary["arm"])}

    def cell(arm: str, metric: str) -> str:
        if (arm, metric) not in rows.index:
            return "–"
        mean, half = rows.loc[(arm, metric), ["mean", "half"]]
        return _number(mean, half, ".2f")

    body = [[cell(arm, metric) for metric in metrics] for arm in labels]
    columns = [names.get(metric, metric) for metric in metrics]
    frame = pd.DataFrame(body, index=pd.Index(labels.values(), name=""), columns=columns)
    return _of_numbers(frame, caption)


def measured_by_dataset(
    summaries: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    *,
    metrics: Sequence[str],
    caption: str = "",
) -> Styler:
    """Means with intervals on several data sets, one row for each arm and one column for each set and metric.

    An arm that was run on none of them has no row.

    Args:
        summaries: what :func:`aucseg.experiments.summarise` returns, by data set.
        labels: label of each arm, in order.
        metrics: the metrics shown, in order.
        caption: heading of the table.
    """
    rows = {name: summary.set_index(["arm", "metric"]) for name, summary in summaries.items()}
    ran = {arm for summary in summaries.values() for arm in summary["arm"]}
    labels = {arm: label for arm, label in labels.items() if arm in ran}
    columns = [(name, metric) for name in summaries for metric in metrics]

    def cell(arm: str, name: str, metric: str) -> str:
        if (arm, metric) not in rows[name].index:
            return NOT_RUN
        mean, half = rows[name].loc[(arm, metric), ["mean", "half"]]
        return _number(mean, half, ".2f")

    frame = pd.DataFrame(
        [[cell(arm, *column) for column in columns] for arm in labels],
        index=pd.Index(labels.values(), name=""),
        columns=pd.MultiIndex.from_tuples([(name, METRIC_LABELS.get(m, m)) for name, m in columns]),
    )
    return _of_numbers(frame, caption)


def effects_by_dataset(
    tables: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    *,
    baseline: str,
    metrics: Sequence[str],
    caption: str = "",
) -> Styler:
    """Published values of several data sets beside the measured ones: a row for each metric and arm.

    A published cell is the value with its difference to the baseline in brackets, a dash where the paper
    prints nothing. The last column says for how many of the data sets the sign of the measured effect
    agrees, and how many print one that is smaller than the spread of a single run; it is *open* where the
    interval of the measured effect holds zero.

    Args:
        tables: what :func:`aucseg.experiments.side_by_side` returns, by published data set.
        labels: label of each arm, in order.
        baseline: the arm that the others are compared with.
        metrics: the metrics shown, in order.
        caption: heading of the table.
    """
    body, index = [], []
    for metric in metrics:
        for arm, label in labels.items():
            rows = [row_of(table, arm, metric) for table in tables.values()]
            measured = rows[0]
            index.append((METRIC_LABELS.get(metric, metric), label))
            body.append(
                [
                    *(_printed(row, arm == baseline) for row in rows),
                    NOT_RUN if measured is None else _number(measured["mean"], measured["half"], ".2f"),
                    ""
                    if measured is None or arm == baseline
                    else _number(measured["effect"], measured["effect_half"], "+.2f", missing="–"),
                    "" if arm == baseline else _signs([row for row in rows if row is not None]),
                ]
            )
    columns = [*tables, "measured", "effect", "sign"]
    frame = pd.DataFrame(body, index=pd.MultiIndex.from_tuples(index, names=["", ""]), columns=columns)
    return _of_numbers(frame, caption)


def _of_numbers(frame: pd.DataFrame, caption: str) -> Styler:
    return styled(frame, caption).set_properties(**{"text-align": "right", "white-space": "nowrap"})


def row_of(table: pd.DataFrame, arm: str, metric: str) -> pd.Series | None:
    """The row of an arm and a metric in what :func:`aucseg.experiments.side_by_side` returns."""
    rows = table[(table["arm"] == arm) & (table["metric"] == metric)]
    return None if rows.empty else rows.iloc[0]


def _printed(row: pd.Series | None, baseline: bool) -> str:
    if row is None or math.isnan(row["published"]):
        return "–"
    return (
        f"{row['published']:.2f}" if baseline else f"{row['published']:.2f} ({row['published_effect']:+.2f})"
    )


def _number(mean: float, half: float, form: str, missing: str = NOT_RUN) -> str:
    if math.isnan(mean):
        return missing
    return f"{mean:{form}}" if math.isnan(half) else f"{mean:{form}} ± {half:.2f}"


def _signs(rows: Sequence[pd.Series]) -> str:
    """One word for the signs of an effect on several published data sets."""
    signs = [row["sign"] for row in rows if row["sign"]]
    if not signs or "open" in signs:
        return "open" if signs else ""
    agree, below = signs.count("agrees"), signs.count("below noise")
    told = len(signs) - below
    if not told:
        return "below noise"
    words = f"agrees with {agree} of {told}" if 0 < agree < told else "agrees" if agree else "disagrees"
    return f"{words} ({below} below noise)" if below else words
