"""Figures and tables of measured runs beside published numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from aucseg.experiments import interval
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS

GROUP_SUFFIXES = {"": "overall", "_head": "head", "_middle": "middle", "_tail": "tail"}
METRIC_LABELS = {
    metric + group: label
    for metric in ("mIoU", "auc_sigmoid", "auc_softmax")
    for group, label in GROUP_SUFFIXES.items()
}
NOT_RUN = "not run"


def class_bars(
    iou: pd.DataFrame, labels: Mapping[str, str], *, order: Sequence[str], ax: Axes | None = None
) -> Axes:
    """IoU of each class for each arm: bars are means over seeds, whiskers Student's 95% intervals.

    Args:
        iou: columns ``arm``, ``class``, ``group``, ``iou`` (percent), one row for each seed.
        labels: label of each arm, in the order of the bars.
        order: classes from left to right.
        ax: axes to draw on; new ones if not given.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(11, 4.2))
    several = iou.groupby(["arm", "class"]).size().max() > 1 if len(iou) else False
    sns.barplot(
        iou.assign(arm=iou["arm"].map(labels)),
        x="class",
        y="iou",
        hue="arm",
        order=list(order),
        hue_order=list(labels.values()),
        palette=list(ARM_COLORS[: len(labels)]),
        errorbar=_student if several else None,
        err_kws={"linewidth": 1},
        ax=ax,
    )
    groups = iou.drop_duplicates("class").set_index("class")["group"]
    ax.set_xticks(range(len(order)), labels=list(order), rotation=45, ha="right")
    for tick, name in zip(ax.get_xticklabels(), order, strict=True):
        tick.set_color(GROUP_COLORS[groups[name]] if name in groups else "black")
    ax.set(xlabel="", ylabel="IoU (%)", ylim=(0, None))
    ax.grid(visible=False, axis="x")
    ax.legend(title="", ncols=len(labels), loc="upper right")
    return ax


def _student(values: pd.Series) -> tuple[float, float]:
    mean, half, _ = interval(values)
    return mean - half, mean + half


def effect_plot(
    table: pd.DataFrame, labels: Mapping[str, str], *, baseline: str | None, metrics: Sequence[str]
) -> Figure:
    """Measured effects with their intervals beside the published ones, one panel for each metric.

    Args:
        table: as :func:`aucseg.experiments.side_by_side` returns it.
        labels: label of each arm, in order.
        baseline: the arm that is the zero of every panel; ``None`` where each arm has its own, and the labels
            are those of the arms that have one.
        metrics: the panels.
    """
    arms = [arm for arm in labels if arm != baseline]
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(3.1 * len(metrics), 0.62 * len(arms) + 1.7), sharey=True, squeeze=False
    )
    for metric, ax in zip(metrics, axes[0], strict=True):
        rows = table[table["metric"] == metric].set_index("arm")
        for y, arm in enumerate(arms):
            if arm not in rows.index:
                continue
            row = rows.loc[arm]
            color = ARM_COLORS[list(labels).index(arm) % len(ARM_COLORS)]
            half = 0.0 if math.isnan(row["effect_half"]) else row["effect_half"]
            ax.errorbar(row["effect"], y, xerr=half, fmt="o", color=color, capsize=3, markersize=6)
            ax.plot(
                row["published_effect"], y, marker="D", color="black", markerfacecolor="none", linestyle=""
            )
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(title=METRIC_LABELS.get(metric, metric), xlabel="change in mIoU (points)")
        ax.set_yticks(range(len(arms)), labels=[labels[arm] for arm in arms])
        ax.set_ylim(len(arms) - 0.5, -0.5)
    handles = [
        plt.Line2D([], [], marker="o", color="gray", label="measured, 95% interval"),
        plt.Line2D(
            [], [], marker="D", color="black", markerfacecolor="none", linestyle="", label="published"
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def comparison_table(
    table: pd.DataFrame, labels: Mapping[str, str], *, metrics: Sequence[str], caption: str = ""
) -> Styler:
    """Published beside measured, ready to be shown: one row for each arm.

    A metric has the columns published, measured and sign, or measured alone where the paper prints nothing
    for any arm. A cell without a run says so; a cell for which the paper prints nothing is a dash.

    Args:
        table: as :func:`aucseg.experiments.side_by_side` returns it.
        labels: label of each arm, in order.
        metrics: the metrics shown, in order.
        caption: heading of the table.
    """
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
            return NOT_RUN if row is None else _with_interval(row["mean"], row["half"])
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
    return _styled(frame, caption)


def measured_table(
    summary: pd.DataFrame, labels: Mapping[str, str], *, metrics: Sequence[str], caption: str = ""
) -> Styler:
    """Means with intervals, one row for each arm and one column for each metric.

    Args:
        summary: as :func:`aucseg.experiments.summarise` returns it.
        labels: label of each arm, in order.
        metrics: the metrics shown, in order.
        caption: heading of the table.
    """
    rows = summary.set_index(["arm", "metric"])

    def cell(arm: str, metric: str) -> str:
        if (arm, metric) not in rows.index:
            return NOT_RUN
        return _with_interval(*rows.loc[(arm, metric), ["mean", "half"]])

    body = [[cell(arm, metric) for metric in metrics] for arm in labels]
    columns = [METRIC_LABELS.get(metric, metric) for metric in metrics]
    return _styled(pd.DataFrame(body, index=pd.Index(labels.values(), name=""), columns=columns), caption)


def _with_interval(mean: float, half: float) -> str:
    if math.isnan(mean):
        return NOT_RUN
    return f"{mean:.2f}" if math.isnan(half) else f"{mean:.2f} ± {half:.2f}"


def _styled(frame: pd.DataFrame, caption: str) -> Styler:
    style = frame.style.set_caption(caption).set_table_attributes('class="dataframe comparison"')
    return style.set_properties(**{"text-align": "right", "white-space": "nowrap"})


def learning_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]], key: str, *, ax: Axes | None = None
) -> Axes:
    """One curve of a quantity over steps for each run.

    Args:
        histories: :attr:`Record.history` by label.
        key: the quantity, for example ``"loss"``; runs without it are left out.
        ax: axes to draw on; new ones if not given.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 3.2))
    for (label, history), color in zip(histories.items(), ARM_COLORS, strict=False):
        if key in history:
            ax.plot(history["step"], history[key], label=label, color=color)
    ax.set(xlabel="step", ylabel=key.replace("_", " "))
    ax.legend()
    return ax
