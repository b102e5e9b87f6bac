"""What stands in the boxes of a network's picture, and how much room it takes."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from aucseg.models.structure.blocks import Block, Structure

#: Points.
FONT_SIZE = 7.0
#: Inches: height of a line, and room between text and box.
LINE, MARGIN = 0.118, 0.045
_LETTERS = 13
_JOINED = {"sum": "+", "product": "×", "concatenation": "concat"}
# Pieces of a path that its colour, or its being there, says already.
_UNSAID = ("encoder", "decoder", "auxiliary_heads", "model")


@dataclass(frozen=True)
class Label:
    """Text of a box.

    Attributes:
        lines: the name on the first ones, then what it is and the channels that it hands on. Where it does
            so at several resolutions they are the channels of the finest.
        bold: how many of the lines are the name.
        width: of the box, in inches.
        height: of the box, in inches.
    """

    lines: tuple[str, ...]
    bold: int
    width: float
    height: float


def label(block: Block, structure: Structure) -> Label:
    """The text of a block's box.

    Args:
        block: one of the structure's.
        structure: it, for the names must differ.
    """
    name = short_name(block, structure)
    # a long name breaks after an underscore
    lines = [part.replace("_ ", "_") for part in textwrap.wrap(name.replace("_", "_ "), _LETTERS)]
    bold = len(lines)
    for text in (*kind_lines(block), channels(block)[0]):
        lines += textwrap.wrap(text, _LETTERS + 1)
    width = max(_width(line, bold=number < bold) for number, line in enumerate(lines))
    return Label(tuple(lines), bold, width + 2 * MARGIN, LINE * len(lines) + 2 * MARGIN)


def short_name(block: Block, structure: Structure) -> str:
    """The end of a module's path, as much of it as tells it from others of its role.

    Args:
        block: one of the structure's.
        structure: it.
    """
    if block.joins:
        return _JOINED[block.kind]
    path = _path(block)
    pieces = [piece for piece in path.split(".") if piece not in _UNSAID]
    start = max((i for i, piece in enumerate(pieces) if not piece.isdigit()), default=None)
    if start is None:
        return path
    others = {_path(other) for other in structure.blocks if other.role == block.role} - {path}
    while start > 0 and any(f".{other}".endswith("." + ".".join(pieces[start:])) for other in others):
        start -= 1
    return ".".join(pieces[start:])


def kind_lines(block: Block) -> list[str]:
    """What a block is, a line for each of its layers; nothing where that would repeat its name.

    Args:
        block: any.
    """
    kind = block.kind.replace("depthwise convolution", "depthwise").replace("convolution", "conv")
    return [] if kind in _path(block).replace("_", " ") or block.joins else kind.split(", ")


def channels(block: Block) -> list[str]:
    """Channels that a block hands on at each of its resolutions, the finest first.

    Args:
        block: any. What is no map of the image has more sizes than channels.
    """
    found: dict[int | None, list[str]] = defaultdict(list)
    for output in block.outputs:
        sizes = output.shape if output.stride is None else output.shape[:1]
        found[output.stride].append(" × ".join(map(str, sizes)))
    return [", ".join(texts) for texts in found.values()]


def _path(block: Block) -> str:
    return block.name.split(" ")[0]


@cache
def _width(text: str, *, bold: bool) -> float:
    """Inches."""
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return float(TextPath((0, 0), text, size=FONT_SIZE, prop=font).get_extents().width) / 72
