"""Where the boxes of a network's picture stand: columns by data flow, rows by resolution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aucseg.models.structure.blocks import Block, Structure


@dataclass
class Place:
    """Cells of a grid that a box takes.

    Attributes:
        column: counted from the left.
        first: uppermost of its lanes, counted from the top.
        last: lowest of them; more than one for what works at several resolutions.
        rows: the lane of each stride that it hands on.
    """

    column: int
    first: int
    last: int
    rows: dict[int | None, int]


@dataclass(frozen=True)
class Grid:
    """A picture's cells.

    Attributes:
        places: of the boxes, by name of the block.
        strides: of each lane from the top; None for what is no map of the image.
    """

    places: dict[str, Place]
    strides: tuple[int | None, ...]


def arrange(structure: Structure) -> Grid:
    """Put each block into a cell.

    A row holds one stride and as many lanes as it needs. The encoder runs down a column, as far as each of
    its blocks is no finer than the one before; everything else stands right of what it gets data from, in
    the lane next to that.

    Args:
        structure: the blocks and edges.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    for edge in structure.edges:
        sources[edge.target].append(edge.source)
    blocks = {block.name: block for block in structure.blocks}
    columns = _columns(structure, sources)
    rows = sorted({stride for block in blocks.values() for stride in _strides(block)}, key=_depth)
    boxes: dict[tuple[int | None, int], list[str]] = defaultdict(list)
    for name, block in blocks.items():
        for stride in _strides(block):
            boxes[stride, columns[name]].append(name)
    lanes: dict[int | None, int] = {}
    strides: list[int | None] = []
    for row in rows:
        lanes[row] = len(strides)
        strides += [row] * max(len(found) for (stride, _), found in boxes.items() if stride == row)
    where: dict[tuple[str, int | None], int] = {}
    for column in range(max(columns.values()) + 1):
        for row in rows:
            count = strides.count(row)
            wish = {
                name: _wished(blocks[name], row, lanes[row], count, sources[name], where)
                for name in boxes[row, column]
            }
            where |= {(name, row): lane for name, lane in _spread(wish, lanes[row], count).items()}
    places = {}
    for name, block in blocks.items():
        own = {stride: where[name, stride] for stride in _strides(block)}
        places[name] = Place(columns[name], min(own.values()), max(own.values()), own)
    return Grid(places, tuple(strides))


def _strides(block: Block) -> list[int | None]:
    """Strides that a block hands on; whether it is a map besides where it is both says little."""
    found = list(dict.fromkeys(output.stride for output in block.outputs))
    return found if len(found) == 1 else [stride for stride in found if stride is not None]


def _depth(stride: int | None) -> tuple[bool, int]:
    return stride is None, stride or 0


def _columns(structure: Structure, sources: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The column of each block."""
    columns: dict[str, int] = {}
    foot: list[Block] = []
    blocks = {block.name: block for block in structure.blocks}
    for block in structure.blocks:
        before = [blocks[name] for name in sources[block.name]]
        if block.role in ("image", "encoder"):
            columns[block.name] = len(foot)
            for column in {columns[source.name] for source in before}:
                above = foot[column]
                if above in before and len(_strides(block)) == 1 and _ends(above) <= _depth(block.stride):
                    columns[block.name] = column
            foot[columns[block.name] :] = [block, *foot[columns[block.name] + 1 :]]
        elif block.role == "logits":
            last = max(columns.values())
            others = [other for other in structure.blocks if columns.get(other.name) == last]
            # with nothing between it and a source in the last column, an arrow can go straight up
            highest = min(others, key=lambda other: _depth(other.stride))
            alone = all(_depth(other.stride) > _depth(highest.stride) for other in others if other != highest)
            columns[block.name] = last if highest in before and alone and highest.stride != 1 else last + 1
        else:
            columns[block.name] = max(len(foot), *(1 + columns[source.name] for source in before))
    return columns


def _ends(block: Block) -> tuple[bool, int]:
    """The coarsest resolution of a block."""
    return _depth(_strides(block)[-1])


def _wished(
    block: Block,
    row: int | None,
    first: int,
    count: int,
    sources: list[str],
    where: dict[tuple[str, int | None], int],
) -> float:
    """The lane nearest to what a block gets data from."""
    lanes = [lane for (name, _), lane in where.items() if name in sources]
    same = [lane for (name, stride), lane in where.items() if name in sources and stride == row]
    wished = same or lanes or [first]
    return min(max(sum(wished) / len(wished), first), first + count - 1)


def _spread(wish: dict[str, float], first: int, count: int) -> dict[str, int]:
    """Lanes of their own for boxes of one cell of the grid, in their order and near to where they wish."""
    if not wish:
        return {}
    middle = sum(wish.values()) / len(wish)
    start = round(middle - (len(wish) - 1) / 2)
    start = min(max(start, first), first + count - len(wish))
    return {name: start + i for i, name in enumerate(sorted(wish, key=wish.__getitem__))}
