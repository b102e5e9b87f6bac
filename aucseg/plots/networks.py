"""A picture of what a network is made of."""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from aucseg.models.structure.blocks import Block, Structure
from aucseg.plots.layout import Grid, arrange
from aucseg.plots.routing import PORT, Net, Route, routes, slots

# Fill and outline, from the palette of Okabe and Ito, which colour-blind readers can tell apart.
ROLE_COLORS = {
    "encoder": ("#d3e6f3", "#0072b2"),
    "decoder": ("#fdebc8", "#b37500"),
    "head": ("#cdeadf", "#00795a"),
    "auxiliary": ("#f6e3ee", "#a8487f"),
    "image": ("#ffffff", "#404040"),
    "logits": ("#ffffff", "#404040"),
}
_FONT = 7.0
# Inches: height of a line of text, margin inside a box, room between boxes, between arrows, for labels of rows.
_LINE, _MARGIN, _ROOM, _BETWEEN, _LEFT = 0.118, 0.05, 0.13, 0.055, 0.42
_WRAP = 13
_CENTRED = {"fontsize": _FONT, "ha": "center", "va": "center"}
_SYMBOLS = {"sum": "+", "product": "×", "concatenation": "concat"}


def network_diagram(structure: Structure, *, title: str | None = None) -> Figure:
    """Blocks of a network as boxes: data flows from left to right, and rows are resolutions.

    A box has the name of its module, what it is and the channels that it hands on, at each resolution if it
    works at several. Dashed boxes have a loss of their own in training; the pink ones among them are there
    in training only.

    Args:
        structure: from :func:`aucseg.models.network_structure`.
        title: above it; none if it is not given.
    """
    return _Drawing(structure, title).figure


def network_alt_text(structure: Structure) -> str:
    """What :func:`network_diagram` shows, in words, for readers who cannot see it.

    Args:
        structure: from :func:`aucseg.models.network_structure`.
    """
    sentences = [f"Diagram of {structure.network}."]
    for role in ("encoder", "decoder", "head", "auxiliary"):
        blocks = [block for block in structure.blocks if block.role == role]
        if blocks:
            words = "; ".join(
                f"{_short(block, structure)} ({', '.join(_said(block))}) from "
                + ", ".join(
                    dict.fromkeys(
                        _short(structure.block(edge.source), structure)
                        for edge in structure.edges
                        if edge.target == block.name
                    )
                )
                for block in blocks
            )
            sentences.append(f"{role.capitalize()}: {words}.")
    return " ".join(sentences)


@dataclass
class _Label:
    lines: list[str]
    bold: int
    width: float
    height: float


def _short(block: Block, structure: Structure) -> str:
    """The last pieces of a path, as many as tell it from others."""
    if block.joins:
        return _SYMBOLS[block.kind]
    path = block.name.split(" ")[0]
    pieces = [piece for piece in path.split(".") if piece not in ("encoder", "decoder", "auxiliary_heads", "model")]
    start = max((i for i, piece in enumerate(pieces) if not piece.isdigit()), default=0)
    others = [b.name.split(" ")[0] for b in structure.blocks if b.name != block.name and b.role == block.role]
    while start > 0 and any(other.endswith("." + ".".join(pieces[start:])) for other in others):
        start -= 1
    return ".".join(pieces[start:]) if not pieces[-1] == pieces[start] or not pieces[start].isdigit() else path


def _said(block: Block) -> list[str]:
    """Kind and channels of a block, a line each."""
    channels = [
        " × ".join(map(str, output.shape if output.stride is None else output.shape[:1]))
        for output in block.outputs
    ]
    kind = block.kind.replace("depthwise convolution", "depthwise").replace("convolution", "conv")
    repeated = kind in block.name.replace("_", " ")
    return [*([] if repeated else kind.split(", ")), *channels]


def _label(block: Block, structure: Structure) -> _Label:
    said = _said(block)
    if block.joins:
        lines, bold = [_short(block, structure), said[-1]], 1
    else:
        name = _short(block, structure)
        heads = textwrap.wrap(name.replace("_", "_ "), _WRAP) or [name]
        heads = [head.replace("_ ", "_") for head in heads]
        # a box of several resolutions says the channels of each at its height
        coarser = len({output.stride for output in block.outputs} - {None, block.stride})
        rest = said[: len(said) - coarser]
        lines = [*heads, *(line for text in rest for line in textwrap.wrap(text, _WRAP + 1))]
        bold = len(heads)
    width = max(_width(line, i < bold) for i, line in enumerate(lines))
    return _Label(lines, bold, width + 2 * _MARGIN, _LINE * len(lines) + 2 * _MARGIN)


def _width(text: str, bold: bool) -> float:
    """Inches."""
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return float(TextPath((0, 0), text, size=_FONT, prop=font).get_extents().width) / 72 if text.strip() else 0.0


class _Drawing:
    def __init__(self, structure: Structure, title: str | None) -> None:
        self.structure = structure
        self.grid = arrange(structure)
        self.routes = routes(structure, self.grid)
        self.labels = {block.name: _label(block, structure) for block in structure.blocks}
        self._measure()
        top = 0.3 if title else 0.05
        width, height = self.right, self.bottom + top + 0.3
        self.figure, ax = plt.subplots(figsize=(width, height), layout="none")
        ax.set_position((0, 0, 1, 1))
        ax.set(xlim=(0, width), ylim=(self.bottom + 0.3, -top))
        ax.axis("off")
        if title:
            ax.text(0.05, -top + 0.06, title, fontsize=11, weight="bold", va="top")
        self._rows(ax)
        for route in self.routes:
            self._arrow(ax, route)
        for block in structure.blocks:
            self._box(ax, block)
        self._legend(ax)

    def _measure(self) -> None:
        """Inches of columns, channels, lanes and tracks."""
        places, columns = self.grid.places, 1 + max(p.column for p in self.grid.places.values())
        turns: dict[int, dict[Net, tuple[list[float], list[float]]]] = defaultdict(dict)
        tracks: dict[int, dict[Net, tuple[list[float], list[float]]]] = defaultdict(dict)
        for route in self.routes:
            stops = route.bends
            for (channel, one), (_, other) in zip(stops[::2], stops[1::2], strict=True):
                left, right = turns[channel].setdefault(route.net, ([], []))
                left.append(one)
                right.append(other)
            for (a, height), (b, _) in zip(stops[1::2], stops[2::2], strict=False):
                if height % 1 == 0:
                    left, right = tracks[int(height)].setdefault(route.net, ([], []))
                    left += [a, b]
        self.slot = {channel: slots(found) for channel, found in turns.items()}
        self.layer = {track: slots(found) for track, found in tracks.items()}
        self.x: list[float] = []
        self.widths = [
            max(self.labels[name].width for name, place in places.items() if place.column == column)
            for column in range(columns)
        ]
        at = _LEFT
        self.channel: list[float] = []
        for column in range(columns):
            count = 1 + max(self.slot.get(column, {}).values(), default=-1)
            self.channel.append(at + (_ROOM / 2 if column else 0))
            at += (_ROOM + _BETWEEN * count + 0.03) if column else 0.04
            self.x.append(at + self.widths[column] / 2)
            at += self.widths[column]
        self.right = at + 0.06
        self.top: list[float] = []
        self.heights: list[float] = []
        self.track: list[float] = []
        at = 0.0
        for lane, stride in enumerate(self.grid.strides):
            border = lane == 0 or self.grid.strides[lane - 1] != stride
            count = 1 + max(self.layer.get(lane, {}).values(), default=-1)
            room = 0.09 + _BETWEEN * count + (0.06 if border and lane else 0)
            self.track.append(at + room / 2 - _BETWEEN * (count - 1) / 2)
            at += room
            single = [
                self.labels[name].height
                for name, place in places.items()
                if place.first == lane
            ]
            self.top.append(at)
            self.heights.append(max([0.26, *single]))
            at += self.heights[-1]
        self.track.append(at + 0.05)
        count = 1 + max(self.layer.get(len(self.top), {}).values(), default=-1)
        self.bottom = at + 0.09 + _BETWEEN * count

    def _y(self, height: float, net: Net) -> float:
        if height % 1 == 0:
            return self.track[int(height)] + _BETWEEN * self.layer[int(height)][net]
        lane = int(height)
        return self.top[lane] + self.heights[lane] / 2 + (height - lane - 0.5) / PORT * 0.075

    def _edges(self, name: str) -> tuple[float, float, float, float]:
        """Left, right, upper and lower edge of a box."""
        place, label = self.grid.places[name], self.labels[name]
        x, half = self.x[place.column], label.width / 2
        upper, lower = self.top[place.first], self.top[place.last] + self.heights[place.last]
        middle = self.top[place.first] + self.heights[place.first] / 2
        upper = middle - label.height / 2
        if place.first == place.last:
            lower = middle + label.height / 2
        return x - half, x + half, upper, lower

    def _rows(self, ax: Axes) -> None:
        strides = self.grid.strides
        for number, stride in enumerate(dict.fromkeys(strides)):
            first, last = strides.index(stride), len(strides) - 1 - strides[::-1].index(stride)
            upper = self.top[first] - 0.075 if first else 0.0
            lower = self.top[last + 1] - 0.075 if last + 1 < len(strides) else self.bottom
            if number % 2 == 0:
                ax.add_patch(Rectangle((0, upper), self.right, lower - upper, color="#f4f4f4", lw=0, zorder=0))
            text = "no map" if stride is None else f"1/{stride}"
            ax.text(0.06, (upper + lower) / 2, text, fontsize=8, va="center", color="#404040")

    def _arrow(self, ax: Axes, route: Route) -> None:
        left, right, upper, lower = self._edges(route.source)
        x0, x1, y0, y1 = self._edges(route.target)
        if route.down:
            x = self.x[self.grid.places[route.source].column]
            points = [(x, lower), (x, y0)] if y0 > lower else [(x, upper), (x, y1)]
        else:
            points = [(right, self._y(route.start, route.net))]
            for channel, height in route.bends:
                x = self.channel[channel] + _BETWEEN * self.slot[channel][route.net]
                points.append((x, self._y(height, route.net)))
            points.append((x0, self._y(route.end, route.net)))
        extra = "auxiliary" in {self.structure.block(name).role for name in (route.source, route.target)}
        ax.add_patch(
            FancyArrowPatch(
                path=_rounded(points),
                arrowstyle="-|>,head_length=3.2,head_width=1.6",
                color=ROLE_COLORS["auxiliary"][1] if extra else "#555555",
                linewidth=0.8,
                linestyle="--" if extra else "-",
                shrinkA=0,
                shrinkB=0,
                zorder=1 if extra else 2,
            )
        )

    def _box(self, ax: Axes, block: Block) -> None:
        left, right, upper, lower = self._edges(block.name)
        fill, line = ROLE_COLORS[block.role]
        ax.add_patch(
            FancyBboxPatch(
                (left, upper),
                right - left,
                lower - upper,
                boxstyle="round,pad=0,rounding_size=0.04",
                facecolor=fill,
                edgecolor=line,
                linewidth=0.9,
                linestyle="--" if block.losses else "-",
                zorder=3,
            )
        )
        label, place = self.labels[block.name], self.grid.places[block.name]
        x, y = (left + right) / 2, upper + _MARGIN + _LINE / 2
        for number, text in enumerate(label.lines):
            weight = "bold" if number < label.bold else "normal"
            ax.text(x, y + _LINE * number, text, weight=weight, zorder=4, **_CENTRED)
        for output in block.outputs:
            lane = place.rows.get(output.stride, place.first)
            if lane != place.first:
                middle = self.top[lane] + self.heights[lane] / 2
                ax.text(x, middle, str(output.channels), zorder=4, **_CENTRED)

    def _legend(self, ax: Axes) -> None:
        roles = [role for role in ("encoder", "decoder", "head", "auxiliary") if role in {b.role for b in self.structure.blocks}]
        handles = [
            Patch(facecolor=ROLE_COLORS[role][0], edgecolor=ROLE_COLORS[role][1], linestyle="--" if role == "auxiliary" else "-", label="auxiliary: training only" if role == "auxiliary" else role)
            for role in roles
        ]
        if any(b.losses and b.role != "auxiliary" for b in self.structure.blocks):
            handles.append(Patch(facecolor="white", edgecolor="#404040", linestyle="--", label="dashed: a loss of its own"))
        ax.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=8, handlelength=1.4, borderaxespad=0.3, columnspacing=1.4)


def _rounded(points: Sequence[tuple[float, float]], radius: float = 0.045) -> Path:
    """A way with rounded corners."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        for other, code in ((before, Path.LINETO), (after, Path.CURVE3)):
            length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
            part = min(radius, length / 2) / length if length else 0.0
            near = (corner[0] + part * (other[0] - corner[0]), corner[1] + part * (other[1] - corner[1]))
            if code == Path.CURVE3:
                vertices.append(corner)
                codes.append(Path.CURVE3)
            vertices.append(near)
            codes.append(code)
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])
