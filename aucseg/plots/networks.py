"""A picture of what a network is made of."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path

from aucseg.models.structure.blocks import Block, Structure
from aucseg.plots.diagram.inches import Inches
from aucseg.plots.diagram.labels import (
    FONT_SIZE,
    LINE,
    MARGIN,
    Label,
    channels,
    kind_lines,
    label,
    short_name,
)
from aucseg.plots.diagram.layout import Grid, arrange
from aucseg.plots.diagram.routing import routes

# Fill and outline, after the palette of Okabe and Ito, whose colours are told apart without red or green.
_COLORS = {
    "image": ("#ffffff", "#404040"),
    "encoder": ("#d3e6f3", "#0072b2"),
    "decoder": ("#fdebc8", "#b37500"),
    "head": ("#cdeadf", "#00795a"),
    "auxiliary": ("#f6e3ee", "#a8487f"),
    "logits": ("#ffffff", "#404040"),
}
_NAMES = {"encoder": "encoder", "decoder": "decoder", "head": "head", "auxiliary": "auxiliary: training only"}
_ARROW, _BAND = "#555555", "#f4f4f4"
_TITLE, _LEGEND, _RADIUS = 0.3, 0.3, 0.04


def network_diagram(structure: Structure, *, title: str | None = None) -> Figure:
    """Blocks of a network as boxes: data flows from left to right, and rows are resolutions.

    A box has the name of its module, what it is and the channels that it hands on, at each resolution if it
    works at several. What is no map of the image, a mean over it or points of it, stands in a row of its own.
    A box with a dashed line has a loss of its own in training; the pink ones are there in training only.

    Args:
        structure: from :func:`aucseg.models.network_structure`.
        title: above it; none if it is not given.
    """
    grid = arrange(structure)
    ways = routes(structure, grid)
    labels = {block.name: label(block, structure) for block in structure.blocks}
    inches = Inches(grid, ways, labels)
    top = _TITLE if title else 0.0
    width, height = inches.width, inches.height + top + _LEGEND
    figure, ax = plt.subplots(figsize=(width, height), layout="none")
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(inches.height + _LEGEND, -top))
    ax.axis("off")
    if title:
        ax.text(0.06, -top / 2, title, fontsize=11, weight="bold", va="center")
    _draw_rows(ax, grid, inches)
    for way in ways:
        extra = "auxiliary" in (structure.block(way.source).role, structure.block(way.target).role)
        _draw_arrow(ax, inches.points(way), extra=extra)
    for block in structure.blocks:
        _draw_box(ax, block, labels[block.name], grid, inches)
    _draw_legend(ax, structure)
    return figure


def network_alt_text(structure: Structure) -> str:
    """What :func:`network_diagram` shows, in words, for readers who cannot see it.

    Args:
        structure: from :func:`aucseg.models.network_structure`.
    """
    said = [f"Diagram of {structure.network}."]
    for role, name in _NAMES.items():
        blocks = [
            f"{short_name(block, structure)} ({_facts(block)}) from {_sources(block, structure)}"
            for block in structure.blocks
            if block.role == role
        ]
        if blocks:
            said.append(f"{name.capitalize()}: {'; '.join(blocks)}.")
    said.append(f"The logits come from {_sources(structure.block('logits'), structure)}.")
    return " ".join(said)


def _facts(block: Block) -> str:
    at = dict.fromkeys(
        "no map" if output.stride is None else f"1/{output.stride}" for output in block.outputs
    )
    given = zip(channels(block), at, strict=True)
    return ", ".join([*kind_lines(block), *(f"{sizes} at {stride}" for sizes, stride in given)])


def _sources(block: Block, structure: Structure) -> str:
    names = [
        short_name(structure.block(e.source), structure) for e in structure.edges if e.target == block.name
    ]
    return " and ".join(dict.fromkeys(names))


def _draw_rows(ax: Axes, grid: Grid, inches: Inches) -> None:
    strides = list(grid.strides)
    for number, stride in enumerate(dict.fromkeys(strides)):
        first = strides.index(stride)
        upper, lower = inches.row(first, first + strides.count(stride) - 1)
        if number % 2 == 0:
            ax.add_patch(
                Rectangle((0, upper), inches.width, lower - upper, color=_BAND, linewidth=0, zorder=0)
            )
        name = "no map" if stride is None else f"1/{stride}"
        ax.text(0.06, (upper + lower) / 2, name, fontsize=FONT_SIZE + 1, va="center", color="#404040")


def _draw_arrow(ax: Axes, points: Sequence[tuple[float, float]], *, extra: bool) -> None:
    ax.add_patch(
        FancyArrowPatch(
            path=_rounded(points),
            arrowstyle="-|>,head_length=3.2,head_width=1.6",
            color=_COLORS["auxiliary"][1] if extra else _ARROW,
            linewidth=0.8,
            linestyle="--" if extra else "-",
            shrinkA=0,
            shrinkB=0,
            zorder=1 if extra else 2,
        )
    )


def _draw_box(ax: Axes, block: Block, text: Label, grid: Grid, inches: Inches) -> None:
    box, place = inches.frame(block.name), grid.places[block.name]
    fill, line = _COLORS[block.role]
    ax.add_patch(
        FancyBboxPatch(
            (box.left, box.upper),
            box.right - box.left,
            box.lower - box.upper,
            boxstyle=f"round,pad=0,rounding_size={_RADIUS}",
            facecolor=fill,
            edgecolor=line,
            linewidth=0.9,
            linestyle="--" if block.losses else "-",
            zorder=3,
        )
    )
    first = box.upper + MARGIN + LINE / 2
    rows = [(first + LINE * number, content) for number, content in enumerate(text.lines)]
    lanes = [lane for lane in place.rows.values() if lane != place.first]
    rows += [
        (inches.middle(lane), content) for lane, content in zip(lanes, channels(block)[1:], strict=False)
    ]
    for number, (y, content) in enumerate(rows):
        ax.text(
            (box.left + box.right) / 2,
            y,
            content,
            fontsize=FONT_SIZE,
            weight="bold" if number < text.bold else "normal",
            ha="center",
            va="center",
            zorder=4,
        )


def _draw_legend(ax: Axes, structure: Structure) -> None:
    there = {block.role for block in structure.blocks}
    dashed = {block.role for block in structure.blocks if block.losses}
    handles = [
        Patch(
            facecolor=_COLORS[role][0],
            edgecolor=_COLORS[role][1],
            linestyle="--" if role == "auxiliary" else "-",
            label=name,
        )
        for role, name in _NAMES.items()
        if role in there
    ]
    if dashed - {"auxiliary"}:
        handles.append(
            Patch(facecolor="white", edgecolor="#404040", linestyle="--", label="dashed: a loss of its own")
        )
    ax.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        fontsize=FONT_SIZE + 1,
        handlelength=1.4,
        columnspacing=1.4,
        borderaxespad=0.2,
    )


def _rounded(points: Sequence[tuple[float, float]]) -> Path:
    """A way along points with rounded corners."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """A little away from a corner on the way to the next, and never more than half of it."""
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    part = min(_RADIUS / length, 0.5) if length else 0.0
    return corner[0] + part * (other[0] - corner[0]), corner[1] + part * (other[1] - corner[1])
