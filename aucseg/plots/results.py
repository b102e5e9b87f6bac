"""Figures of measured runs beside published numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aucseg.experiments import interval
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, as_label
from aucseg.plots.tables import METRIC_LABELS, row_of

_MARKERS = ("D", "s", "^", "v", "P")
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


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
    ax.set_xticks(range(len(order)), labels=[as_label(name) for name in order], rotation=45, ha="right")
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


def effect_plot_by_dataset(
    tables: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    *,
    baseline: str,
    metrics: Sequence[str],
) -> Figure:
    """Measured effects with their intervals, and the published ones of several data sets around them.

    Args:
        tables: what :func:`aucseg.experiments.side_by_side` returns, by published data set.
        labels: label of each arm, in order.
        baseline: the arm that is the zero of every panel.
        metrics: the panels.
    """
    arms = [arm for arm in labels if arm != baseline]
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(2.2 * len(metrics) + 1.8, 0.7 * len(arms) + 1.6), sharey=True, squeeze=False
    )
    printed = [name for name, table in tables.items() if table["published_effect"].notna().any()]
    for metric, ax in zip(metrics, axes[0], strict=True):
        for y, arm in enumerate(arms):
            color = ARM_COLORS[list(labels).index(arm) % len(ARM_COLORS)]
            for (name, table), marker in zip(tables.items(), _MARKERS, strict=False):
                row = row_of(table, arm, metric)
                if row is not None and name in printed:
                    ax.plot(row["published_effect"], y + 0.2, markersize=6, **_hollow(marker))
            row = row_of(next(iter(tables.values())), arm, metric)
            if row is not None and not math.isnan(row["effect"]):
                half = 0.0 if math.isnan(row["effect_half"]) else row["effect_half"]
                ax.errorbar(row["effect"], y - 0.12, xerr=half, fmt="o", color=color, capsize=3, markersize=6)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(title=METRIC_LABELS.get(metric, metric), xlabel="change (points)")
        ax.set_yticks(range(len(arms)), labels=[labels[arm] for arm in arms])
        ax.set_ylim(len(arms) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=4)
    handles = [plt.Line2D([], [], marker="o", color="gray", label="measured, 95% interval")]
    for (name, _), marker in zip(tables.items(), _MARKERS, strict=False):
        if name in printed:
            handles.append(plt.Line2D([], [], label=f"published, {name}", **_hollow(marker)))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), len(metrics)))
    return figure


def _hollow(marker: str) -> dict[str, Any]:
    return {"marker": marker, "color": "black", "markerfacecolor": "none", "linestyle": ""}


def parameter_curves(
    table: pd.DataFrame,
    published: pd.DataFrame,
    values: Mapping[str, float],
    *,
    metrics: Sequence[str] = ("mIoU", "mIoU_tail"),
    name: str,
    where: str,
    reference: Mapping[str, float] | None = None,
) -> Figure:
    """A row of panels: above what the paper prints, below what was measured, over one parameter.

    Data sets differ, so each has its own axis; what can be compared is the shape.

    Args:
        table: as :func:`aucseg.experiments.summarise` returns it.
        published: columns ``value``, ``metric`` and ``printed``, what the paper has for the parameter.
        values: the parameter's value in each arm.
        metrics: the columns.
        name: the parameter, for the axis.
        where: data set of the published numbers.
        reference: by metric a mean to draw as a line in the measured panels, for example without a bank.
    """
    figure, axes = plt.subplots(
        2, len(metrics), figsize=(4.0 * len(metrics), 5.0), squeeze=False, sharex="row"
    )
    for metric, (above, below) in zip(metrics, axes.T, strict=True):
        rows = published[published["metric"] == metric].sort_values("value")
        above.plot(rows["value"], rows["printed"], "D--", color="black", markerfacecolor="none", linewidth=1)
        above.set(title=f"{METRIC_LABELS.get(metric, metric)}: published, {where}", ylabel="mIoU (%)")
        _measured(below, table, values, metric)
        if reference and metric in reference:
            below.axhline(reference[metric], color="gray", linewidth=1, linestyle=":")
        below.set(title=f"{METRIC_LABELS.get(metric, metric)}: measured", ylabel="mIoU (%)", xlabel=name)
    return figure


def _measured(ax: Axes, table: pd.DataFrame, values: Mapping[str, float], metric: str) -> None:
    rows = table[(table["metric"] == metric) & table["arm"].isin(list(values))]
    rows = rows.assign(at=rows["arm"].map(dict(values))).sort_values("at")
    ax.errorbar(
        rows["at"], rows["mean"], yerr=rows["half"].fillna(0), fmt="o-", color=ARM_COLORS[2], capsize=3
    )


def tradeoff_plot(
    effects: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    metrics: tuple[str, str] = ("mIoU_head", "mIoU_tail"),
    ax: Axes | None = None,
) -> Axes:
    """What each arm gives the tail over what it costs the head, with intervals both ways.

    Up is better for the tail, right for the head; the dotted lines are the arm that all are compared with.

    Args:
        effects: as :func:`aucseg.experiments.effects` returns it.
        labels: label of each arm; those without an effect are left out.
        metrics: of the horizontal and of the vertical axis.
        ax: axes to draw on; new ones if not given.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.6))
    ax.axhline(0, color="0.4", linewidth=1, linestyle=":")
    ax.axvline(0, color="0.4", linewidth=1, linestyle=":")
    table = effects.set_index(["arm", "metric"])
    shown = [arm for arm in labels if all((arm, metric) in table.index for metric in metrics)]
    for number, arm in enumerate(shown):
        (x, dx), (y, dy) = (table.loc[(arm, metric), ["mean", "half"]] for metric in metrics)
        ax.errorbar(
            x,
            y,
            xerr=0 if math.isnan(dx) else dx,
            yerr=0 if math.isnan(dy) else dy,
            fmt=_SHAPES[number % len(_SHAPES)],
            color=ARM_COLORS[1:][number % (len(ARM_COLORS) - 1)],
            capsize=3,
            markersize=7,
            label=labels[arm],
        )
    names = [METRIC_LABELS.get(metric, metric) for metric in metrics]
    ax.set(xlabel=f"change of the {names[0]} (points)", ylabel=f"change of the {names[1]} (points)")
    if shown:
        ax.legend(fontsize=9)
    return ax


def learning_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]], key: str, *, ax: Axes | None = None
) -> Axes:
    """One curve of a quantity over steps for each run.

    Args:
        histories: :attr:`Record.history` by label, or :attr:`Record.validation`.
        key: the quantity, for example ``"loss"``, or ``"mIoU"`` of validations; runs without it are left out.
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
