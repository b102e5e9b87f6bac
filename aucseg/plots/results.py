"""Figures of measured runs beside published numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
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
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """What each arm gives the tail over what it costs the head, with intervals both ways.

    Up is better for the tail, right for the head; the dotted lines are the arm that all are compared with.

    Args:
        effects: as :func:`aucseg.experiments.effects` returns it.
        labels: label of each arm; those without an effect are left out.
        metrics: of the horizontal and of the vertical axis.
        legend: whether the axes have one; without it several panels share a figure's.
        ax: axes to draw on; new ones if not given.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.6))
    ax.axhline(0, color="0.4", linewidth=1, linestyle=":")
    ax.axvline(0, color="0.4", linewidth=1, linestyle=":")
    table, colors = effects.set_index(["arm", "metric"]), ARM_COLORS[1:]
    shown = [arm for arm in labels if all((arm, metric) in table.index for metric in metrics)]
    for number, arm in enumerate(shown):
        (x, dx), (y, dy) = (table.loc[(arm, metric), ["mean", "half"]] for metric in metrics)
        ax.errorbar(
            x,
            y,
            xerr=0 if math.isnan(dx) else dx,
            yerr=0 if math.isnan(dy) else dy,
            fmt=_SHAPES[number // len(colors) % len(_SHAPES)],
            color=colors[number % len(colors)],
            capsize=3,
            markersize=7,
            label=labels[arm],
        )
    names = [METRIC_LABELS.get(metric, metric) for metric in metrics]
    ax.set(xlabel=f"change of the {names[0]} (points)", ylabel=f"change of the {names[1]} (points)")
    if shown and legend:
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


def power_figure(
    spreads: Mapping[str, pd.DataFrame],
    needed: Callable[[float, float], int],
    *,
    gains: tuple[float, float],
    seeds: Sequence[int] = (),
) -> Figure:
    """Seeds that it takes to show a gain, over the gain, one panel for each data set.

    Args:
        spreads: as :func:`aucseg.experiments.pooled_spread` returns it, by data set; the interval of a
            spread is drawn as a band.
        needed: seeds for a gain and a spread, as :func:`aucseg.experiments.seeds_needed`.
        gains: the gains that papers print, from and to; a grey band.
        seeds: numbers of seeds that are drawn as lines.
    """
    figure, axes = plt.subplots(
        1, len(spreads), figsize=(4.4 * len(spreads), 3.6), sharey=True, squeeze=False
    )
    asked = np.geomspace(0.2, 8, 40)
    for (name, table), ax in zip(spreads.items(), axes[0], strict=True):
        ax.axvspan(*gains, color="0.9", zorder=0, label="gains that papers print")
        for number in seeds:
            ax.axhline(number, color="0.4", linewidth=1, linestyle=":")
            ax.annotate(f"{number} seeds", (8, number), ha="right", va="bottom", fontsize=8)
        looks = zip((GROUP_COLORS["head"], GROUP_COLORS["tail"]), ("-", "--"), strict=True)
        for (metric, row), (color, line) in zip(table.iterrows(), looks, strict=False):
            low, middle, high = ([needed(g, row[key]) for g in asked] for key in ("low", "spread", "high"))
            ax.plot(asked, middle, color=color, linestyle=line, label=METRIC_LABELS.get(metric, metric))
            ax.fill_between(asked, low, high, color=color, alpha=0.2, linewidth=0)
        ax.set(xscale="log", yscale="log", title=name, xlabel="true gain (points)")
        ax.set_xticks([0.3, 0.5, 1, 2, 5], ["0.3", "0.5", "1", "2", "5"])
        ax.set_yticks([2, 5, 10, 20, 50, 100, 200], ["2", "5", "10", "20", "50", "100", "200"])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("seeds that show it in 80% of tries")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


_SIGNS = {"agrees": "^", "disagrees": "v", "open": "o", "": "D"}
_SIGN_WORDS = {
    "agrees": "as claimed",
    "disagrees": "against the claim",
    "open": "open: the interval holds zero",
    "": "one seed",
}
_SIGN_COLORS = {"agrees": "#55a868", "disagrees": "#c44e52", "open": "#8c8c8c", "": "#ccb974"}


def sign_figure(
    table: pd.DataFrame,
    labels: Mapping[str, str],
    places: Mapping[tuple[str, str], str],
    *,
    metrics: Sequence[str] = ("mIoU", "mIoU_tail"),
) -> Figure:
    """Where the sign of a claim holds, fails or stays open: a row for each place, a column for each arm.

    Triangles point to the measured sign, a circle is open, a diamond a single seed; beside each stands the
    measured difference. A cell without a run is empty.

    Args:
        table: as :func:`aucseg.experiments.across` returns it.
        labels: label of each arm that is shown.
        places: label of each data set and start that is shown, in order.
        metrics: the panels.
    """
    size = (2.4 + 0.95 * len(labels), (1.5 + 0.4 * len(places)) * len(metrics))
    figure, axes = plt.subplots(len(metrics), 1, figsize=size, sharex=True, squeeze=False)
    used = set()
    for metric, ax in zip(metrics, axes[:, 0], strict=True):
        rows = table[(table["metric"] == metric) & table["effect"].notna()]
        rows = rows.set_index(["dataset", "start", "arm"])
        for y, place in enumerate(places):
            for x, arm in enumerate(labels):
                if (*place, arm) not in rows.index:
                    continue
                row = rows.loc[(*place, arm)]
                sign = "" if math.isnan(row["effect_half"]) else _claimed(row)
                used.add(sign)
                ax.plot(x - 0.2, y, _SIGNS[sign], color=_SIGN_COLORS[sign], markersize=9)
                ax.annotate(f"{row['effect']:+.1f}", (x - 0.02, y), va="center", fontsize=9)
        ax.set_title(METRIC_LABELS.get(metric, metric))
        ax.set_xticks(range(len(labels)), labels=[as_label(label) for label in labels.values()], fontsize=8)
        ax.tick_params(axis="x", rotation=30)
        ax.set_xlim(-0.5, len(labels) - 0.4)
        ax.set_yticks(range(len(places)), labels=list(places.values()))
        ax.set_ylim(len(places) - 0.5, -0.5)
        ax.grid(visible=False)
    handles = [
        plt.Line2D([], [], linestyle="", marker=_SIGNS[s], color=_SIGN_COLORS[s], label=word)
        for s, word in _SIGN_WORDS.items()
        if s in used
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _claimed(row: pd.Series) -> str:
    """The sign beside the claim that every method makes: it adds."""
    if abs(row["effect"]) <= row["effect_half"]:
        return "open"
    return "agrees" if row["effect"] > 0 else "disagrees"
