"""Figures of what an AUC measures: two score distributions, their ROC curve, and a table of class pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from aucseg.data.spec import ClassSpec
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, INK, as_label

GROUP_ORDER = ("head", "middle", "tail")


def roc_curve(positive: ArrayLike, negative: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve of one score: rates of both classes above a threshold that falls from high to low.

    Args:
        positive: (P,) scores of the positive class.
        negative: (N,) scores of the negative class.

    Returns:
        False positive rates and true positive rates, (T,) each, from (0, 0) to (1, 1); one point for each
        distinct score, so that straight lines between them give a tie its half.
    """
    above, below = np.sort(np.asarray(positive, float)), np.sort(np.asarray(negative, float))
    thresholds = np.unique(np.concatenate((above, below)))[::-1]
    rates = (1 - np.searchsorted(scores, thresholds) / len(scores) for scores in (below, above))
    false, true = (np.concatenate(([0.0], rate)) for rate in rates)
    return false, true


def roc_figure(positive: ArrayLike, negative: ArrayLike, *, names: tuple[str, str]) -> Figure:
    """Two score distributions, and beside them their ROC curve with the area below it.

    Args:
        positive: (P,) scores of the positive class.
        negative: (N,) scores of the negative class.
        names: of the positive and the negative class.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), width_ratios=(1.7, 1))
    colors = (GROUP_COLORS["tail"], GROUP_COLORS["head"])
    names = (as_label(names[0]), as_label(names[1]))
    for scores, name, color in zip((positive, negative), names, colors, strict=True):
        sns.histplot(
            np.asarray(scores),
            bins=40,
            stat="density",
            color=color,
            alpha=0.5,
            edgecolor="none",
            label=name,
            ax=left,
        )
    left.set(xlabel=f"score for {names[0]}", ylabel="density", title="Scores of the pixels of two classes")
    left.legend()
    false, true = roc_curve(positive, negative)
    right.fill_between(false, true, color=GROUP_COLORS["tail"], alpha=0.2, linewidth=0)
    right.plot(false, true, color=GROUP_COLORS["tail"])
    right.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    right.text(0.62, 0.3, f"area\n{np.trapezoid(true, false):.3f}", ha="center", fontsize=11)
    right.set(xlabel=f"{names[1]} above threshold", ylabel=f"{names[0]} above threshold", title="ROC curve")
    right.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    return figure


def class_size_figure(share: float = 0.02) -> Figure:
    """What AUC counts: the same two score distributions with as many pixels of both, and with few of one.

    Args:
        share: pixels of the rare class for each pixel of the common one, in the right panel.
    """
    grid = np.linspace(0, 1, 400)
    common, rare = (np.exp(-((grid - center) ** 2) / (2 * 0.12**2)) for center in (0.3, 0.62))
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 2.5), sharey=True)
    for ax, size, title in zip(
        axes, (1.0, share), ("as many pixels of both", f"1 pixel in {1 / share:.0f}"), strict=True
    ):
        ax.fill_between(grid, common, color=GROUP_COLORS["head"], alpha=0.75, label="pixels of class c'")
        ax.fill_between(grid, size * rare, color=GROUP_COLORS["tail"], alpha=0.85, label="pixels of class c")
        ax.axvline(0.46, color=INK, linewidth=0.8, linestyle=":")  # where the curves of equal size meet
        ax.set(title=title, xlabel="score for class c", yticks=[], xlim=(0, 1), ylim=(0, None))
    axes[1].legend(loc="upper right", fontsize=9)
    return figure


def class_shares(
    shares: Mapping[str, Sequence[float]], spec: ClassSpec, *, ylabel: str, ax: Axes | None = None
) -> Axes:
    """Shares of the classes of a label set, one bar for each quantity, on a logarithmic axis.

    Args:
        shares: a share in [0, 1] for each train id, by the name of the quantity; zeros get no bar.
        spec: the classes, drawn from the most to the least frequent; names take the colour of their group.
        ylabel: label of the axis, which is in percent.
        ax: axes to draw on; new ones if not given.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(9.5, 3.8))
    order = class_order(spec)
    frame = pd.DataFrame({name: 100 * np.asarray(share)[order] for name, share in shares.items()})
    frame["class"] = [as_label(spec.names[c]) for c in order]
    long = frame.melt(id_vars="class", var_name="quantity", value_name="share")
    long["share"] = long["share"].where(long["share"] > 0)
    palette = list(ARM_COLORS[: len(shares)])
    sns.barplot(long, x="class", y="share", hue="quantity", palette=palette, errorbar=None, ax=ax)
    ax.set(yscale="log", xlabel="", ylabel=ylabel)
    ax.set_xticks(range(len(order)), labels=list(frame["class"]), rotation=45, ha="right")
    _color_by_group(ax.get_xticklabels(), spec, order)
    ax.grid(visible=False, axis="x")
    ax.legend(title="", ncols=len(shares), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def class_order(spec: ClassSpec) -> list[int]:
    """Train ids from head to tail, and within a group from the most to the least frequent class.

    Args:
        spec: the classes; without known shares they keep their order within a group.
    """
    share = spec.pixel_share or (0.0,) * spec.num_classes
    return sorted(range(spec.num_classes), key=lambda c: (GROUP_ORDER.index(spec.groups[c]), -share[c]))


def pair_heatmaps(tables: Mapping[str, ArrayLike], spec: ClassSpec, *, lowest: float = 0.5) -> Figure:
    """Tables of pairwise AUCs as colours, and below them what the second of two adds to the first.

    Args:
        tables: (K, K) AUCs by title, one or two, positive class in rows; nan, as on the diagonal, stays grey.
        spec: the classes, from head to tail; lines part the groups.
        lowest: AUC of the darkest colour; lower ones look the same.

    Raises:
        ValueError: for another number of tables, or a table that is not (K, K).
    """
    if len(tables) not in (1, 2):
        raise ValueError(f"pair_heatmaps shows one table or compares two, got {len(tables)}")
    k = spec.num_classes
    arrays = {title: np.asarray(table, float) for title, table in tables.items()}
    for title, table in arrays.items():
        if table.shape != (k, k):
            raise ValueError(f"table {title!r} must be ({k}, {k}) for {spec.name}, got {table.shape}")
    side = 0.175 * k + 0.9
    if len(arrays) == 1:
        figure, ax = plt.subplots(figsize=(side + 1.6, side + 0.4))
        ((title, table),) = arrays.items()
        picture = _heatmap(ax, table, spec, title, cmap="viridis", vmin=lowest, vmax=1.0)
        figure.colorbar(picture, ax=ax, label="AUC", extend="min", shrink=0.75)
        return figure
    figure, axes = plt.subplots(2, 2, figsize=(2 * side + 1.3, 2 * side + 0.8))
    for (title, table), ax in zip(arrays.items(), axes[0], strict=True):
        picture = _heatmap(ax, table, spec, title, cmap="viridis", vmin=lowest, vmax=1.0)
    (old, first), (new, second) = arrays.items()
    change = second - first
    # a few pairs move far; colours that reach to them would leave the others white
    known = np.abs(change[~np.isnan(change)])
    reach = max(float(np.quantile(known, 0.98)), 1e-3) if known.size else 1.0
    title = f"{new} less {old}"
    difference = _heatmap(axes[1, 0], change, spec, title, cmap="RdBu", vmin=-reach, vmax=reach)
    # what is left of the square is the place of the keys
    axes[1, 1].set_axis_off()
    for at, shown, label, extend in ((0.72, picture, "AUC", "min"), (0.4, difference, "change", "both")):
        bar = axes[1, 1].inset_axes((0.1, at, 0.75, 0.05))
        figure.colorbar(shown, cax=bar, orientation="horizontal", label=label, extend=extend)
    return figure


def _heatmap(ax: Axes, table: np.ndarray, spec: ClassSpec, title: str, **colors: Any) -> AxesImage:
    """A table with its classes from head to tail on both axes."""
    order = class_order(spec)
    ax.set_facecolor("#d8d8d8")
    picture = ax.imshow(table[np.ix_(order, order)], aspect="equal", **colors)
    ax.set(title=title, xlabel="negative class", ylabel="positive class")
    ax.grid(visible=False)
    names = [as_label(spec.names[c]) for c in order]
    ax.set_xticks(range(len(order)), labels=names, rotation=90, fontsize=9)
    ax.set_yticks(range(len(order)), labels=names, fontsize=9)
    _color_by_group(ax.get_xticklabels(), spec, order)
    _color_by_group(ax.get_yticklabels(), spec, order)
    for at in range(1, len(order)):
        if spec.groups[order[at]] != spec.groups[order[at - 1]]:
            ax.axhline(at - 0.5, color="white", linewidth=2)
            ax.axvline(at - 0.5, color="white", linewidth=2)
    return picture


def _color_by_group(labels: Sequence[plt.Text], spec: ClassSpec, order: Sequence[int]) -> None:
    colors = GROUP_COLORS | {"middle": "#7a7a7a"}  # the grey of bars is too pale for words
    for label, c in zip(labels, order, strict=True):
        label.set_color(colors[spec.groups[c]])
