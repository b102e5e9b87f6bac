"""Pseudo-labels in pictures: which classes they hold, and how far an estimate is from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aucseg.data.spec import ClassSpec
from aucseg.plots.longtail import name_classes
from aucseg.plots.masks import colorize
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, INK, as_label


def silenced_figure(shares: pd.DataFrame) -> Figure:
    """Which classes pseudo-labels hold, and which a threshold leaves out; classes by their true share.

    Above, the share of each class in the truth, in the predictions and in what counts of them, logarithmic;
    below, which part of its true pixels counts at all. A class without a pixel has no point.

    Args:
        shares: rows of one step of what :func:`aucseg.experiments.pseudo_label_shares` returns.
    """
    rows = shares.sort_values("truth", ascending=False, kind="stable")
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(max(6.0, 0.48 * len(rows)), 5.4), sharex=True, height_ratios=(3, 2)
    )
    x = np.arange(len(rows))
    looks = {
        "truth": ("true", "_", 16, INK),
        "predicted": ("predicted", "o", 6, ARM_COLORS[2]),
        "counted": ("predicted, and counts", "D", 6, ARM_COLORS[1]),
    }
    for column, (label, marker, size, color) in looks.items():
        values = rows[column].where(rows[column] > 0)
        above.plot(x, values, marker, color=color, markersize=size, markeredgewidth=2, label=label)
    above.set_yscale("log")
    above.set_ylabel("share of the pixels (%)")
    above.legend(loc="upper right", ncols=3)
    below.bar(x, rows["kept"], color=[GROUP_COLORS[str(group)] for group in rows["group"]], linewidth=0)
    below.set(ylabel="of its pixels\ncount (%)", ylim=(0, 100), xlim=(-0.7, len(rows) - 0.3))
    for ax in (above, below):
        ax.grid(visible=False, axis="x")
    name_classes(below, rows["class"], order="most pixels first")
    handles = [
        plt.Line2D([], [], marker="s", linestyle="", color=color, label=group)
        for group, color in GROUP_COLORS.items()
        if (rows["group"] == group).any()
    ]
    below.legend(handles=handles, loc="upper right", ncols=3, fontsize=9)
    return figure


def share_error_heatmap(estimates: pd.DataFrame, *, limit: float = 4.0) -> Figure:
    """How many times too much or too little of each class an estimate says, over the steps.

    Doublings, so that 1 is twice and -1 half of the truth; classes by their true share, most first. The
    first column is what the labelled images alone say. A class that truly has no pixel has no row; one of
    which an estimate or the labels have none stands at half of the least that there is.

    Args:
        estimates: what :func:`aucseg.experiments.estimated_shares` returns, or has the same columns.
        limit: doublings at which the colour ends.
    """
    known = estimates[estimates["truth"] > 0]
    ratio = known.assign(error=np.log2(_above_zero(known["estimated"]) / known["truth"]))
    wide = ratio.pivot_table(index="class", columns="step", values="error", sort=False)
    first = known.drop_duplicates("class").set_index("class")
    order = first["truth"].sort_values(ascending=False, kind="stable").index
    wide.insert(0, "labelled", np.log2(_above_zero(first["labelled"]) / first["truth"]))
    wide = wide.loc[order]
    figure, ax = plt.subplots(figsize=(max(6.0, 0.42 * wide.shape[1] + 3.2), 0.3 * len(wide) + 1.6))
    sns.heatmap(
        wide,
        ax=ax,
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        linewidths=0.5,
        cbar_kws={"label": "doublings too many or too few"},
    )
    ax.set_yticks(np.arange(len(wide)) + 0.5, labels=[as_label(str(name)) for name in wide.index], rotation=0)
    for tick, name in zip(ax.get_yticklabels(), wide.index, strict=True):
        tick.set_color(GROUP_COLORS[str(first.loc[name, "group"])])
    ax.set(xlabel="step of the estimate; first: the labelled images", ylabel="")
    ax.tick_params(length=0, axis="both", labelsize=8)
    return figure


def group_curves(
    shares: pd.DataFrame, columns: Mapping[str, str], *, axes: Sequence[Axes] | None = None
) -> Figure:
    """Means over the classes of head, middle and tail over the steps, a panel for each column.

    Args:
        shares: what :func:`aucseg.experiments.pseudo_label_shares` returns, of one run or of several.
        columns: label of each column that gets a panel.
        axes: axes to draw on; new ones if not given.
    """
    if axes is None:
        _, axes = plt.subplots(1, len(columns), figsize=(3.6 * len(columns), 3.1), sharey=True)
        axes = list(np.atleast_1d(np.asarray(axes, object)))
    means = shares.groupby(["group", "step"])[list(columns)].mean()
    for ax, (column, label) in zip(axes, columns.items(), strict=True):
        for group, color in GROUP_COLORS.items():
            if group in means.index.get_level_values(0):
                curve = means.loc[group, column]
                ax.plot(curve.index, curve, color=color, label=group)
        ax.set(xlabel="step", title=label, ylim=(0, 100))
    axes[0].set_ylabel("mean over the classes (%)")
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def faded(labels: np.ndarray, counted: np.ndarray, spec: ClassSpec) -> np.ndarray:
    """Pseudo-labels as a picture (H,W,3): in the colours of their classes, pale where they do not count.

    Args:
        labels: (H,W) train ids.
        counted: (H,W) bool.
        spec: the classes.
    """
    colors = colorize(labels, spec).astype(float)
    return np.where(counted[..., None], colors, 0.25 * colors + 0.75 * 255).round().astype(np.uint8)


def _above_zero(shares: pd.Series) -> pd.Series:
    return shares.clip(lower=shares[shares > 0].min() / 2)
