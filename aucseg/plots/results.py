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
from aucseg.plots.style import (
    ARM_COLORS,
    ARM_HATCHES,
    ARM_LINES,
    GROUP_COLORS,
    INK,
    PAPER,
    arm_looks,
    as_label,
)
from aucseg.plots.tables import METRIC_LABELS, row_of

_MARKERS = ("D", "s", "^", "v", "P")


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
        palette=[color for color, _ in arm_looks(list(labels), next(iter(labels))).values()],
        errorbar=_student if several else None,
        err_kws={"linewidth": 1, "color": INK},
        saturation=1,
        linewidth=0,
        ax=ax,
    )
    for bars, hatch in zip(ax.containers, ARM_HATCHES, strict=False):
        for bar in bars:
            bar.set(hatch=hatch, edgecolor=PAPER)
    groups = iou.drop_duplicates("class").set_index("class")["group"]
    ax.set_xticks(range(len(order)), labels=[as_label(name) for name in order], rotation=45, ha="right")
    for tick, name in zip(ax.get_xticklabels(), order, strict=True):
        tick.set_color(GROUP_COLORS[groups[name]] if name in groups else INK)
    # An interval of two runs may go beyond what an IoU can be; the axis does not.
    ax.set(xlabel="", ylabel="IoU (%)", ylim=(0, min(100, ax.get_ylim()[1])))
    ax.grid(visible=False, axis="x")
    ax.legend(title="", ncols=len(labels), loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
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
    arms, looks = [arm for arm in labels if arm != baseline], arm_looks(list(labels), baseline)
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(3.1 * len(metrics), 0.62 * len(arms) + 1.7), sharey=True, squeeze=False
    )
    for metric, ax in zip(metrics, axes[0], strict=True):
        rows = table[table["metric"] == metric].set_index("arm")
        for y, arm in enumerate(arms):
            if arm not in rows.index:
                continue
            row = rows.loc[arm]
            color, _ = looks[arm]
            half = 0.0 if math.isnan(row["effect_half"]) else row["effect_half"]
            ax.errorbar(row["effect"], y, xerr=half, fmt="o", color=color, capsize=3, markersize=6)
            ax.plot(row["published_effect"], y, **_hollow("D"))
        ax.set(title=METRIC_LABELS.get(metric, metric), xlabel="change in mIoU (points)")
        _effect_axes(ax, [table], {arm: labels[arm] for arm in arms}, metric)
    handles = [plt.Line2D([], [], marker="o", color="gray", label="measured, 95% interval")]
    drawn = table["metric"].isin(list(metrics)) & table["arm"].isin(arms)
    if table.loc[drawn, "published_effect"].notna().any():
        handles.append(plt.Line2D([], [], label="published", **_hollow("D")))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _effect_axes(ax: Axes, tables: Sequence[pd.DataFrame], labels: Mapping[str, str], metric: str) -> None:
    """Rows, a line at zero, and ends: zero, every interval and published effect, and a twentieth of room."""
    rows = pd.concat([table[table["metric"] == metric] for table in tables])
    rows = rows[rows["arm"].isin(list(labels))]
    half = rows["effect_half"].fillna(0)
    seen = pd.concat([rows["effect"] - half, rows["effect"] + half, rows["published_effect"]]).dropna()
    low, high = min(0.0, *seen), max(0.0, *seen)
    room = 0.05 * ((high - low) or 1.0)
    ax.set_xlim(low - room, high + room)
    ax.locator_params(axis="x", nbins=4)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(labels)), labels=list(labels.values()))
    ax.set_ylim(len(labels) - 0.5, -0.5)


def effect_alt(
    table: pd.DataFrame, labels: Mapping[str, str], *, baseline: str | None, metrics: Sequence[str]
) -> str:
    """The figure of :func:`effect_plot` in words, for who cannot see it; its options are the same.

    Args:
        table: as :func:`aucseg.experiments.side_by_side` returns it.
        labels: label of each arm, in order.
        baseline: the arm that is the zero of every panel, or ``None``.
        metrics: the panels.
    """
    rows = table.set_index(["metric", "arm"])
    told = []
    for metric in metrics:
        cells = []
        for arm, label in labels.items():
            if arm == baseline or (metric, arm) not in rows.index:
                continue
            row = rows.loc[(metric, arm)]
            printed = row["published_effect"]
            if math.isnan(row["effect"]) and math.isnan(printed):
                continue
            half = "" if math.isnan(row["effect_half"]) else f" ± {row['effect_half']:.1f}"
            here = "not run" if math.isnan(row["effect"]) else f"{row['effect']:+.1f}{half}"
            cells.append(f"{label} {here}" + ("" if math.isnan(printed) else f", published {printed:+.1f}"))
        told.append(f"{METRIC_LABELS.get(metric, metric)}: {'; '.join(cells) or 'nothing'}")
    zero = "its baseline" if baseline is None else labels[baseline]
    return (
        f"A panel for each group of classes and a row for each arm: circles with whiskers are measured "
        f"changes "
        f"in points of mIoU, diamonds published ones, the vertical line is {zero}. {'. '.join(told)}."
    )


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
    arms, looks = [arm for arm in labels if arm != baseline], arm_looks(list(labels), baseline)
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(2.2 * len(metrics) + 1.8, 0.7 * len(arms) + 1.6), sharey=True, squeeze=False
    )
    printed = [name for name, table in tables.items() if table["published_effect"].notna().any()]
    for metric, ax in zip(metrics, axes[0], strict=True):
        for y, arm in enumerate(arms):
            color, _ = looks[arm]
            for (name, table), marker in zip(tables.items(), _MARKERS, strict=False):
                row = row_of(table, arm, metric)
                if row is not None and name in printed:
                    ax.plot(row["published_effect"], y + 0.2, markersize=6, **_hollow(marker))
            row = row_of(next(iter(tables.values())), arm, metric)
            if row is not None and not math.isnan(row["effect"]):
                half = 0.0 if math.isnan(row["effect_half"]) else row["effect_half"]
                ax.errorbar(row["effect"], y - 0.12, xerr=half, fmt="o", color=color, capsize=3, markersize=6)
        ax.set(title=METRIC_LABELS.get(metric, metric), xlabel="change (points)")
        _effect_axes(ax, list(tables.values()), {arm: labels[arm] for arm in arms}, metric)
    handles = [plt.Line2D([], [], marker="o", color="gray", label="measured, 95% interval")]
    for (name, _), marker in zip(tables.items(), _MARKERS, strict=False):
        if name in printed:
            handles.append(plt.Line2D([], [], label=f"published, {name}", **_hollow(marker)))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), len(metrics)))
    return figure


def _hollow(marker: str) -> dict[str, Any]:
    return {"marker": marker, "color": INK, "markerfacecolor": "none", "linestyle": ""}


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

    Both have one axis of the parameter. Data sets differ, so each has its own of the metric; what can be
    compared is the shape.

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
        2, len(metrics), figsize=(4.0 * len(metrics), 5.0), squeeze=False, sharex=True
    )
    for metric, (above, below) in zip(metrics, axes.T, strict=True):
        rows = published[published["metric"] == metric].sort_values("value")
        above.plot(rows["value"], rows["printed"], "D--", color=INK, markerfacecolor="none", linewidth=1)
        if rows.empty:
            above.text(0.5, 0.5, "not printed", transform=above.transAxes, ha="center", va="center")
            above.set_yticks([])
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
        legend: whether the arms are named; without it several panels share a figure's legend.
        ax: axes to draw on; new ones, with the legend below them, if not given.
    """
    alone = ax is None
    if ax is None:
        height = 4.2 + 0.21 * legend * math.ceil(len(labels) / 2)
        _, ax = plt.subplots(figsize=(6.4, height), layout="constrained")
    ax.axhline(0, color=INK, linewidth=1, linestyle=":")
    ax.axvline(0, color=INK, linewidth=1, linestyle=":")
    table = effects.set_index(["arm", "metric"])
    shown = [arm for arm in labels if all((arm, metric) in table.index for metric in metrics)]
    for arm, (color, marker) in arm_looks(shown).items():
        (x, dx), (y, dy) = (table.loc[(arm, metric), ["mean", "half"]] for metric in metrics)
        ax.errorbar(
            x,
            y,
            xerr=0 if math.isnan(dx) else dx,
            yerr=0 if math.isnan(dy) else dy,
            fmt=marker,
            color=color,
            capsize=3,
            markersize=7,
            label=labels[arm],
        )
    names = [METRIC_LABELS.get(metric, metric) for metric in metrics]
    ax.set(xlabel=f"change of the {names[0]} (points)", ylabel=f"change of the {names[1]} (points)")
    if shown and legend and alone:  # twenty names would lie over the points
        ax.figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    elif shown and legend:
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
    for number, (label, history) in enumerate(histories.items()):
        if key in history:
            color, line = (looks[number % len(looks)] for looks in (ARM_COLORS, ARM_LINES))
            ax.plot(history["step"], history[key], label=label, color=color, linestyle=line)
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
        ax.axvspan(*gains, color=INK, alpha=0.12, linewidth=0, zorder=0, label="gains that papers print")
        for number in seeds:
            ax.axhline(number, color=INK, linewidth=1, linestyle=":")
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


_WIDEST = 12.0  # inches, the widest that a page of the book shows whole
_SIGNS = {"agrees": "^", "disagrees": "v", "open": "o", "": "D"}
_SIGN_WORDS = {
    "agrees": "as claimed",
    "disagrees": "against the claim",
    "open": "open: the interval holds zero",
    "": "one seed",
}
_SIGN_COLORS = dict(zip(("open", "disagrees", "agrees", ""), (*ARM_COLORS[:3], ARM_COLORS[6]), strict=True))


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
    width = min(2.4 + 0.95 * len(labels), _WIDEST)
    size = (width, (1.5 + 0.4 * len(places)) * len(metrics))
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
