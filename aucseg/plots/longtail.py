"""What a long tail looks like, and what it asks of a batch: bars, Lorenz curve, presence, co-occurrence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from aucseg.longtail import Tally, gini, lorenz_curve
from aucseg.plots.style import ARM_COLORS, ARM_LINES, ARM_MARKERS, GROUP_COLORS, GROUP_MARKERS, INK, as_label
from aucseg.theory import batch_sizes, proposition1

# Where the name of a point may stand: beside it, then farther and farther above or below, with a line to it.
_SIDES = [((5.0, 0.0), "left"), ((-5.0, 0.0), "right")]
_SIDES += [((side * 5.0, step * 11.0), "center") for step in (1, -1, 2, -2, 3, -3, 4) for side in (1, -1)]
_NAMED = 40  # classes up to which each of them is named on an axis
UNIT_LABELS = {"pixels": "pixels", "images": "images that hold the class", "regions": "connected regions"}


def frequency_bars(table: pd.DataFrame, *, unit: str = "pixels", title: str = "") -> Figure:
    """A bar for each class, most frequent first, on a logarithmic axis: AUCSeg Figure 1.

    Args:
        table: as ``aucseg.longtail.class_table`` returns it.
        unit: column that is drawn: ``"pixels"``, ``"images"`` or ``"regions"``.
        title: heading.

    Raises:
        ValueError: if the table has no such column.
    """
    _need(table, unit)
    rows = table.sort_values(unit, ascending=False, kind="stable")
    count = len(rows)
    figure, ax = plt.subplots(figsize=(max(6.0, min(12.0, 0.42 * count)), 3.8))
    positions = np.arange(count)
    ax.bar(positions, rows[unit], width=0.8 if count <= _NAMED else 1.0, color=_colors(rows), linewidth=0)
    ax.set_yscale("log")
    ax.set(ylabel=UNIT_LABELS.get(unit, unit), title=as_label(title), xlim=(-0.6, count - 0.4))
    ax.grid(visible=False, axis="x")
    name_classes(ax, rows["class"], order=f"most {unit} first")
    _group_legend(ax, rows)
    return figure


def share_bars(table: pd.DataFrame) -> Figure:
    """Two panels of bars, rarest class below: share of the pixels (logarithmic), and of the images.

    Args:
        table: as ``aucseg.longtail.class_table`` returns it.
    """
    rows = table.sort_values("pixels", kind="stable")
    rows = rows.assign(**{"class": rows["class"].map(as_label)})
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 4.6), sharey=True)
    panels = ((left, "pixel_share", "{:.2f}"), (right, "image_share", "{:.0f}"))
    for ax, column, form in panels:
        bars = ax.barh(rows["class"], 100 * rows[column], color=_colors(rows), height=0.72, linewidth=0)
        ax.bar_label(bars, [form.format(100 * value) for value in rows[column]], padding=3, fontsize=8)
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    left.set(xscale="log", xlim=(0.05, 120), title="share of labelled pixels (%), log scale")
    right.set(xlim=(0, 112), title="images that hold the class (%)")
    _group_legend(right, rows, loc="lower right")
    return figure


def lorenz_figure(counts: Mapping[str, ArrayLike], *, unit: str = "pixels") -> Figure:
    """Lorenz curves, with the Gini index of each in the legend.

    Args:
        counts: pixels of each class, by the name of the data set.
        unit: what is counted, for the axis.
    """
    figure, ax = plt.subplots(figsize=(5.4, 4.6))
    for number, (name, values) in enumerate(counts.items()):
        color, line = _look(number)
        classes, held = lorenz_curve(values)
        label = as_label(f"{name}: {gini(values):.2f}")
        ax.plot(classes, held, color=color, linestyle=line, linewidth=2, label=label)
    ax.plot([0, 1], [0, 1], ":", color=INK, linewidth=1, label="equal classes: 0")
    ax.set(
        xlabel="share of the classes, rarest first",
        ylabel=f"share of the {unit} that they hold",
        aspect="equal",
    )
    ax.set(xlim=(0, 1), ylim=(0, 1))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(title="Gini index", loc="upper left", fontsize=9, title_fontsize=9)
    return figure


def presence_plot(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Share of the images that hold a class against its share of the pixels, both logarithmic.

    Args:
        table: as ``aucseg.longtail.class_table`` returns it; classes without a pixel have no point.
        title: heading.
    """
    rows = table[table["pixels"] > 0]
    rows, title = rows.assign(**{"class": rows["class"].map(as_label)}), as_label(title)
    figure, ax = plt.subplots(figsize=(6.6, 4.6))
    for group, part in rows.groupby("group", sort=False):
        color, marker = GROUP_COLORS[str(group)], GROUP_MARKERS[str(group)]
        ax.scatter(part["pixel_share"], part["image_share"], color=color, marker=marker, s=30, zorder=3)
    ax.set(
        xscale="log", yscale="log", xlabel="share of the pixels", ylabel="share of the images", title=title
    )
    ax.margins(x=0.12, y=0.1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(_percent))
        axis.set_minor_formatter(NullFormatter())
    low = rows["image_share"].min()
    if low > 0.05:  # less than two decades: name the steps between them
        ax.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: _percent(v, 0) if v in (0.2, 0.5) else ""))
    _name_points(figure, ax, rows)
    _group_legend(ax, rows, loc="lower right", markers=GROUP_MARKERS)
    return figure


def co_occurrence_heatmap(table: pd.DataFrame, *, title: str = "") -> Figure:
    """How often a class (column) stands in an image that holds another one (row).

    Args:
        table: as ``aucseg.longtail.co_occurrence_table`` returns it.
        title: heading.
    """
    count = len(table)
    side = max(4.5, min(9.0, 0.38 * count + 1.5))
    figure, ax = plt.subplots(figsize=(side + 1.2, side))
    sns.heatmap(
        100 * table.rename(index=as_label, columns=as_label),
        ax=ax,
        vmin=0,
        vmax=100,
        cmap="viridis",
        square=True,
        cbar_kws={"label": "% of the row's images", "shrink": 0.75},
        annot=count <= 20,
        fmt=".0f",
        annot_kws={"fontsize": 7},
        xticklabels=count <= _NAMED,
        yticklabels=count <= _NAMED,
    )
    ax.set(title=as_label(title), xlabel="also holds", ylabel="images that hold")
    ax.tick_params(length=0)
    return figure


def name_classes(ax: Axes, names: pd.Series, *, order: str = "most pixels first") -> None:
    """Name the classes below an axis, or say how many they are where names would not fit.

    Args:
        ax: whose x axis has a class at each whole number from 0.
        names: their names, in order.
        order: what that order is.
    """
    if len(names) <= _NAMED:
        labels = [as_label(name) for name in names]
        ax.set_xticks(range(len(names)), labels=labels, rotation=45, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="x", length=0)
        return
    ax.set_xlabel(f"{len(names)} classes, {order}")


def _need(table: pd.DataFrame, column: str) -> None:
    if column not in table:
        raise ValueError(f"the table has no column {column!r}; it has {', '.join(map(str, table.columns))}")


def _colors(rows: pd.DataFrame) -> list[str]:
    return [GROUP_COLORS[str(group)] for group in rows["group"]]


def _look(number: int) -> tuple[str, Any]:
    """Colour and line style of a curve that is no baseline."""
    palette = ARM_COLORS[1:]
    return palette[number % len(palette)], ARM_LINES[number % len(ARM_LINES)]


def _percent(value: float, _: object) -> str:
    return f"{100 * value:g}%"


def _group_legend(
    ax: Axes,
    rows: pd.DataFrame,
    loc: Literal["upper right", "lower right"] = "upper right",
    markers: Mapping[str, str] = dict.fromkeys(GROUP_COLORS, "s"),
) -> None:
    handles = []
    for group, color in GROUP_COLORS.items():
        number = int((rows["group"] == group).sum())
        if number:
            look: dict[str, Any] = {"marker": markers[group], "color": color, "linestyle": ""}
            handles.append(plt.Line2D([], [], label=f"{group} ({number})", **look))
    ax.legend(handles=handles, loc=loc, fontsize=9)


def _name_points(figure: Figure, ax: Axes, rows: pd.DataFrame) -> None:
    """Names of all classes if they are few, else of those at the edges; none without a free place."""
    named = rows
    if len(rows) > _NAMED / 2:
        ends = [
            rows["pixels"].idxmax(),
            rows["pixels"].idxmin(),
            rows["images"].idxmax(),
            rows["images"].idxmin(),
        ]
        ends.append(rows["pixels_where_present"].idxmax())
        ends.append(rows["pixels_where_present"].idxmin())
        named = rows.loc[list(dict.fromkeys(ends))]
    figure.draw_without_rendering()  # fixes the layout, without which no extent is final
    transform, taken = ax.transData.transform, []
    for x, y in transform(rows[["pixel_share", "image_share"]].to_numpy()):
        taken.append(Bbox.from_bounds(x - 3, y - 3, 6, 6))
    for row in named.sort_values("pixels").to_dict("records"):
        place = (row["pixel_share"], row["image_share"])
        for offset, side in _SIDES:
            text = ax.annotate(
                row["class"],
                place,
                offset,
                textcoords="offset points",
                fontsize=8,
                ha=side,
                va="center",
                arrowprops={"arrowstyle": "-", "color": "gray", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
            )
            # the first call puts text and line where they belong, the second leaves out the line
            text.get_window_extent()
            box = Text.get_window_extent(text)
            inside = ax.bbox.containsx(box.x0) and ax.bbox.containsx(box.x1) and ax.bbox.containsy(box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def batch_size_curves(sets: Mapping[str, Tally], delta: float) -> Figure:
    """Proposition 1 over the presence of the rarest class, with a point for each training set as it is.

    Args:
        sets: tallies of training sets, by the label of each.
        delta: accepted probability that a class is missing, in (0, 1).
    """
    figure, ax = plt.subplots(figsize=(7.2, 3.6))
    presence = np.geomspace(5e-4, 0.5, 200)
    for number, (label, known) in enumerate(sets.items()):
        color, line = _look(number)
        sizes = batch_sizes(known.image_share, delta)
        enough = proposition1(known.num_classes, delta, presence)
        ax.plot(100 * presence, enough, color=color, linestyle=line, linewidth=1.2)
        name = f"{as_label(label)}, K = {known.num_classes}: {sizes.sufficient:,}"
        marker = ARM_MARKERS[number % len(ARM_MARKERS)]
        ax.plot(100 * sizes.min_probability, sizes.sufficient, marker, color=color, label=name)
    alone = proposition1(1, delta, presence)
    ax.plot(100 * presence, alone, color=INK, linestyle=":", label="needed for one class alone")
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="images that hold the rarest class (%)", ylabel="images in a batch")
    ax.legend(fontsize=9)
    return figure
