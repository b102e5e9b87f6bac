"""Figures of the prose pages, drawn from ``data/`` each time the book is built."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import page_facts
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from aucseg.data.spec import load_spec

COLORS = {"head": "#4c72b0", "middle": "#8c8c8c", "tail": "#dd5f3c"}
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "svg.fonttype": "path",
    "svg.hashsalt": "aucseg",  # the same figure is the same file
}


def draw(folder: Path) -> None:
    """Write every figure as SVG into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"long_tail": long_tail, "pairs": pairs, "batch_size": batch_size}
    with mpl.rc_context(STYLE):
        for name, function in figures.items():
            function().savefig(folder / f"{name}.svg", metadata={"Date": None})


def long_tail() -> Figure:
    """Share of pixels, and of images that hold the class, for each class of Cityscapes."""
    spec = load_spec("cityscapes")
    stats = page_facts.class_stats("cityscapes_train").sort_values("pixels")
    colors = [COLORS[spec.groups[i]] for i in stats["train_id"]]
    figure = Figure(figsize=(8.2, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    share = 100 * stats["pixels"] / stats["pixels"].sum()
    _bars(left, stats["name"], share, colors, "{:.2f}")
    left.set(xscale="log", xlim=(0.05, 120), title="share of labelled pixels (%), log scale")
    presence = 100 * stats["images"] / page_facts.DATASETS["Cityscapes"][1]
    _bars(right, stats["name"], presence, colors, "{:.0f}")
    right.set(xlim=(0, 112), title="images that hold the class (%)")
    handles = [Patch(color=color, label=group) for group, color in COLORS.items()]
    right.legend(handles=handles, loc="lower right", frameon=False)
    return figure


def _bars(ax: Axes, names: object, values: object, colors: list[str], label: str) -> None:
    bars = ax.barh(names, values, color=colors, height=0.72)
    ax.bar_label(bars, [label.format(value) for value in values], padding=3, fontsize=8)
    ax.tick_params(axis="y", length=0)


def pairs() -> Figure:
    """What AUC counts: the same ranking of scores under two class sizes."""
    grid = np.linspace(0, 1, 400)
    figure = Figure(figsize=(8.2, 2.5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, size, title in zip(axes, (1.0, 0.02), ("as many pixels of both", "1 pixel in 50"), strict=True):
        negative, positive = _bell(grid, 0.3), size * _bell(grid, 0.62)
        ax.fill_between(grid, negative, color=COLORS["head"], alpha=0.75, label="pixels of class c'")
        ax.fill_between(grid, positive, color=COLORS["tail"], alpha=0.85, label="pixels of class c")
        ax.axvline(0.46, color="black", linewidth=0.8, linestyle=":")
        ax.set(title=title, xlabel="score for class c", yticks=[], xlim=(0, 1), ylim=(0, None))
    axes[1].legend(frameon=False, loc="upper right")
    return figure


def _bell(grid: np.ndarray, center: float, width: float = 0.12) -> np.ndarray:
    return np.exp(-((grid - center) ** 2) / (2 * width**2))


def batch_size() -> Figure:
    """Images that a batch needs so that no class is missed, against the presence of the rarest class."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    ax = figure.subplots()
    presence = np.geomspace(5e-4, 0.5, 200)
    for (label, (name, images)), color in zip(
        page_facts.DATASETS.items(), ("#4c72b0", "#dd5f3c", "#55a868"), strict=True
    ):
        stats = page_facts.class_stats(name)
        p_min = stats["images"].min() / images
        curve = np.log(page_facts.DELTA / len(stats)) / np.log1p(-presence)
        enough = page_facts.sufficient_batch(len(stats), p_min)
        ax.plot(100 * presence, curve, color=color, linewidth=1.2)
        ax.plot(100 * p_min, enough, "o", color=color, label=f"{label}, K = {len(stats)}: {enough:,}")
    needed = np.log(page_facts.DELTA) / np.log1p(-presence)
    ax.plot(100 * presence, needed, color="black", linestyle=":", label="needed for one class alone")
    ax.set(
        xscale="log", yscale="log", xlabel="images that hold the rarest class (%)", ylabel="images in a batch"
    )
    ax.legend(frameon=False)
    return figure
