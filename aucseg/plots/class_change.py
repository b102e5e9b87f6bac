"""Accuracy of each class against its frequency, and what changes between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from aucseg.longtail import pearson
from aucseg.plots.longtail import name_classes
from aucseg.plots.style import (
    ARM_COLORS,
    ARM_MARKERS,
    GROUP_COLORS,
    GROUP_MARKERS,
    INK,
    as_label,
)

_FREQUENCIES = {"pixels": "pixels", "images": "images (regions)"}
_CHANGES = {"iou_change": "IoU", "accuracy_change": "accuracy"}


def frequency_accuracy_plot(table: pd.DataFrame, *, metric: str = "accuracy") -> Figure:
    """Accuracy of each class over its pixels and over its images, with Pearson's correlation.

    Region Rebalance Figure 4 and Table 2. The axes are logarithmic; the correlation is that of the frequency,
    as in the paper, and of its logarithm, which is what the eye sees.

    Args:
        table: as :func:`aucseg.experiments.frequency_results` returns it; a class that occurs nowhere, or has
            no result, has no point.
        metric: ``"accuracy"`` or ``"iou"``.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.0), sharey=True)
    for (column, label), ax in zip(_FREQUENCIES.items(), axes, strict=True):
        rows = table[(table[column] > 0) & table[metric].notna()]
        for group, color in GROUP_COLORS.items():
            part = rows[rows["group"] == group]
            if len(part):
                marker = GROUP_MARKERS[group]
                ax.scatter(
                    part[column], part[metric], color=color, marker=marker, s=32, label=group, zorder=3
                )
        plain, log = (100 * pearson(f, rows[metric]) for f in (rows[column], np.log(rows[column])))
        ax.set_xscale("log")
        narrow = rows[column].max() < 300 * rows[column].min()
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(xlabel=f"{label} of the class in the training set", ylim=(-4, 104))
        ax.set_title(f"correlation {plain:.1f}%, with the logarithm {log:.1f}%")
    axes[0].set_ylabel(f"{'IoU' if metric == 'iou' else metric} (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def change_bars(
    table: pd.DataFrame,
    changes: Mapping[str, str] = _CHANGES,
    *,
    groups: Sequence[str] = tuple(GROUP_COLORS),
) -> Figure:
    """What changed for each class, most pixels first, one panel for each metric.

    Region Rebalance Figures 3 and 6; with published changes BLV Figure 3.

    Args:
        table: as :func:`aucseg.experiments.class_change` returns it, or, with whiskers,
            :func:`aucseg.experiments.mean_class_change`.
        changes: label of each column that gets a panel.
        groups: the groups that are drawn.
    """
    rows = table[table["group"].isin(groups)].sort_values("pixels", ascending=False, kind="stable")
    figure, axes = plt.subplots(
        len(changes),
        1,
        figsize=(max(6.0, min(12.0, 0.45 * len(rows))), 2.3 * len(changes) + 0.9),
        sharex=True,
        squeeze=False,
    )
    colors = [GROUP_COLORS[str(group)] for group in rows["group"]]
    for (column, label), ax in zip(changes.items(), axes[:, 0], strict=True):
        ax.bar(range(len(rows)), rows[column], color=colors, width=0.8, linewidth=0)
        if f"{column}_half" in rows:
            whiskers = rows[f"{column}_half"].fillna(0)
            ax.errorbar(range(len(rows)), rows[column], whiskers, fmt="none", ecolor=INK, elinewidth=1)
        ax.axhline(0, color=INK, linewidth=0.8)
        for group in (g for g in GROUP_COLORS if (rows["group"] == g).any()):
            places = np.flatnonzero((rows["group"] == group).to_numpy())
            mean = rows[column].to_numpy()[places]
            if not np.isnan(mean).all():
                span = (places.min() - 0.4, places.max() + 0.4)
                ax.hlines(np.nanmean(mean), *span, color=INK, linestyle=":", linewidth=1.4)
        ax.set(ylabel=f"{label} (points)", xlim=(-0.6, len(rows) - 0.4))
        ax.grid(visible=False, axis="x")
    name_classes(axes[-1, 0], rows["class"])
    handles = [
        plt.Line2D([], [], marker="s", linestyle="", color=color, label=group)
        for group, color in GROUP_COLORS.items()
        if (rows["group"] == group).any()
    ]
    handles.append(plt.Line2D([], [], linestyle=":", color=INK, label="mean of the group"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=9)
    return figure


def change_heatmap(tables: Mapping[str, pd.DataFrame], column: str = "accuracy_change") -> Figure:
    """What changed for each class in several arms, most pixels first; a number where the interval is clear.

    Args:
        tables: by label what :func:`aucseg.experiments.mean_class_change` returns, of the same classes.
        column: ``"accuracy_change"`` or ``"iou_change"``.
    """
    first = next(iter(tables.values())).sort_values("pixels", ascending=False, kind="stable")
    names = first["class"].tolist()
    rows = {label: table.set_index("class").loc[names] for label, table in tables.items()}
    means = pd.DataFrame({label: row[column] for label, row in rows.items()}).T
    clear = pd.DataFrame({label: row[column].abs() > row[f"{column}_half"] for label, row in rows.items()}).T
    means.columns = pd.Index([as_label(str(name)) for name in names])
    most = float(np.nanmax(np.abs(means.to_numpy()), initial=1.0))
    figure, ax = plt.subplots(figsize=(max(6.0, 0.42 * len(names) + 3.4), 0.34 * len(rows) + 1.9))
    sns.heatmap(
        means,
        ax=ax,
        vmin=-most,
        vmax=most,
        cmap="RdBu",
        annot=means.map(lambda points: f"{points:+.{0 if abs(points) >= 0.5 else 1}f}").where(
            clear.to_numpy(), ""
        ),
        fmt="",
        annot_kws={"fontsize": 7},
        linewidths=0.5,
        cbar_kws={"label": f"{_CHANGES[column]} (points)"},
    )
    ax.set_xticks(np.arange(len(names)) + 0.5, labels=list(means.columns), rotation=45, ha="right")
    for tick, group in zip(ax.get_xticklabels(), first["group"], strict=True):
        tick.set_color(GROUP_COLORS.get(str(group), INK))
    ax.tick_params(length=0)
    return figure


def published_change_plot(table: pd.DataFrame) -> Figure:
    """Pixel share of each class, and the change that BLV prints for it, one line for each pair: BLV Figure 3.

    Args:
        table: as :func:`aucseg.experiments.published_change` returns it.
    """
    classes = table.drop_duplicates("class")
    order = {name: i for i, name in enumerate(classes["class"])}
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(max(6.0, 0.45 * len(order)), 5.4), sharex=True)
    colors = [GROUP_COLORS[str(group)] for group in classes["group"]]
    top.bar(range(len(order)), 100 * classes["pixels"] / classes["pixels"].sum(), color=colors, linewidth=0)
    top.set_yscale("log")
    top.set(ylabel="% of the pixels", xlim=(-0.6, len(order) - 0.4))
    pairs = table.groupby(["method", "architecture"], sort=False)
    looks = zip(ARM_COLORS[1:], ARM_MARKERS, strict=False)
    for ((method, architecture), rows), (color, marker) in zip(pairs, looks, strict=False):
        label = f"{method}, {str(architecture).split(' (')[0]}"
        places = rows["class"].map(order)
        bottom.plot(places, rows["change"], marker, color=color, markersize=5, label=label)
    bottom.axhline(0, color=INK, linewidth=0.8)
    bottom.set(ylabel="change of the IoU (points)")
    bottom.legend(loc="upper left", fontsize=9)
    for ax in (top, bottom):
        ax.grid(visible=False, axis="x")
    name_classes(bottom, classes["class"])
    return figure


def confusion_heatmap(confusion: np.ndarray, names: Sequence[str], *, title: str = "") -> Figure:
    """What the pixels of each class are taken for, in percent of that class.

    Args:
        confusion: (K,K) pixels, labels in rows and predictions in columns. A class without a labelled pixel
            has an empty row.
        names: class names.
        title: heading.
    """
    counts = np.asarray(confusion, float)
    total = counts.sum(1, keepdims=True)
    shares = np.divide(100 * counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    labels = [as_label(name) for name in names]
    count = len(labels)
    side = max(4.5, min(11.0, 0.38 * count + 1.5))
    figure, ax = plt.subplots(figsize=(side + 1.2, side))
    sns.heatmap(
        pd.DataFrame(shares, index=labels, columns=labels),
        ax=ax,
        vmin=0,
        vmax=100,
        cmap="viridis",
        square=True,
        cbar_kws={"label": "% of the labelled pixels of the class", "shrink": 0.75},
        annot=count <= 20,
        fmt=".0f",
        annot_kws={"fontsize": 7},
    )
    ax.set(title=as_label(title), xlabel="predicted", ylabel="labelled")
    ax.tick_params(length=0)
    return figure
