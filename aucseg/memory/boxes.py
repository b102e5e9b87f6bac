"""Which tail classes an image holds, the tight box around each, and how many pixels it has."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aucseg.functional.checks import synchronizes


class Box(NamedTuple):
    """Rows ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


class Survey(NamedTuple):
    """What an image holds.

    Attributes:
        boxes: the box around all pixels of each tail class that is there, in the order of the tail classes.
        areas: the pixels of each of them.
        labelled: pixels that are not void.
    """

    boxes: dict[int, Box]
    areas: dict[int, int]
    labelled: int


def survey(target: Tensor, tail_classes: tuple[int, ...], ignore_index: int = 255) -> list[Survey]:
    """What each image of a batch holds of the tail classes.

    The cost is linear in the pixels whatever the number of classes, and only the numbers travel to the host,
    in one transfer.

    Args:
        target: (B, H, W), integer labels; labels that are no tail class, void included, are passed over.
        tail_classes: distinct labels of the tail classes, none negative.
        ignore_index: the void label.

    Example:
        >>> survey(torch.tensor([[[0, 7], [7, 7]]]), (3, 7))
        [Survey(boxes={7: Box(top=0, bottom=2, left=0, right=2)}, areas={7: 3}, labelled=4)]
    """
    if target.numel() == 0:
        return [Survey({}, {}, 0) for _ in target]
    if not synchronizes(target.device):
        return _survey_here(target, tail_classes, ignore_index)
    number = len(tail_classes)
    spans, areas = spans_by_tables(target, tail_classes), _areas(target, tail_classes)
    labelled = (target.long() != ignore_index).flatten(1).sum(1, keepdim=True)
    found = []
    for row in torch.cat((spans.flatten(1), areas, labelled), dim=1).tolist():  # the one transfer
        boxes = {
            label: Box(*row[4 * slot : 4 * slot + 4])
            for slot, label in enumerate(tail_classes)
            if row[4 * slot + 1] > 0
        }
        counts = dict(zip(tail_classes, row[4 * number : -1], strict=True))
        found.append(Survey(boxes, {label: counts[label] for label in boxes}, row[-1]))
    return found


def _survey_here(target: Tensor, tail_classes: tuple[int, ...], ignore_index: int) -> list[Survey]:
    """The same on the host, where looking at a few pixels costs no transfer."""
    found = []
    for labels, rows in zip(target, spans_by_corners(target, tail_classes).tolist(), strict=True):
        boxes = {label: Box(*box) for label, box in zip(tail_classes, rows, strict=True) if box[1] > 0}
        here = labels.numpy()
        areas = {
            label: int(np.count_nonzero(here[box.top : box.bottom, box.left : box.right] == label))
            for label, box in boxes.items()
        }
        found.append(Survey(boxes, areas, int(np.count_nonzero(here != ignore_index))))
    return found


def spans_by_tables(target: Tensor, tail_classes: tuple[int, ...]) -> Tensor:
    """The boxes as numbers, found without asking how many pixels there are of anything.

    Every pixel marks its (class, row) and its (class, column) in two small tables of booleans.

    Args:
        target: (B, H, W), integer labels, at least one.
        tail_classes: distinct labels of the T tail classes, none negative.

    Returns:
        (B, T, 4), int64: the numbers of a :class:`Box`; ``bottom`` is 0 where an image has none of a class.
    """
    batch, height, width = target.shape
    slot = tail_slots(target, tail_classes)
    size = len(tail_classes) + 1  # the last slot takes every other label
    rows = torch.zeros(batch, height, size, dtype=torch.bool, device=target.device).scatter_(2, slot, True)
    columns = torch.zeros(batch, width, size, dtype=torch.bool, device=target.device)
    columns.scatter_(2, slot.transpose(1, 2), True)
    return torch.stack((*_span(rows), *_span(columns)), dim=-1)[:, : len(tail_classes)]


def spans_by_corners(target: Tensor, tail_classes: tuple[int, ...]) -> Tensor:
    """The same numbers on a CPU, from the few pixels that can end a box.

    In the first row that holds a class, the first pixel of the class differs from its left and its upper
    neighbour, and so does the first one in the first column. Such a corner, or its mirror image at the lower
    right, is few pixels of a label map; finding them is two comparisons of neighbours, which run at the speed
    of memory. How many there are depends on the labels, and a device would have to tell the host. (Where
    every pixel has a label of its own all are corners, and this costs several times what the tables do.)

    Args:
        target: (B, H, W), integer labels, at least one, on the CPU.
        tail_classes: distinct labels of the T tail classes, none negative.

    Returns:
        As :func:`spans_by_tables`.
    """
    batch, height, width = target.shape
    # half the memory to walk through; NumPy compares and searches several times as fast as PyTorch here
    labels = (target.int() if target.dtype == torch.int64 else target).contiguous().numpy()
    # whether a pixel differs from the one before it; one position more than pixels, as borders differ too
    across = np.ones((batch, height, width + 1), dtype=bool)
    np.not_equal(labels[:, :, 1:], labels[:, :, :-1], out=across[:, :, 1:-1])
    down = np.ones((batch, height + 1, width), dtype=bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=down[:, 1:-1])
    top, left = _extremes(across[:, :, :-1] & down[:, :-1], labels, tail_classes, "amin")
    bottom, right = _extremes(across[:, :, 1:] & down[:, 1:], labels, tail_classes, "amax")
    return torch.stack((top, bottom + 1, left, right + 1), dim=-1)


def _areas(target: Tensor, tail_classes: tuple[int, ...]) -> Tensor:
    """Pixels of each tail class in each image, (B, T) int64, left on the device."""
    batch, size = target.shape[0], len(tail_classes) + 1
    slot = tail_slots(target, tail_classes).flatten(1)
    slot = slot + torch.arange(0, batch * size, size, device=target.device)[:, None]
    ones = torch.ones_like(slot).flatten()  # counting with bincount would ask the device for the largest
    counts = torch.zeros(batch * size, dtype=torch.int64, device=target.device)
    return counts.scatter_add_(0, slot.flatten(), ones).view(batch, size)[:, :-1]


def tail_slots(target: Tensor, tail_classes: tuple[int, ...]) -> Tensor:
    """Position of each pixel's label in the tail classes.

    Args:
        target: integer labels, any shape.
        tail_classes: distinct labels, none negative.

    Returns:
        int64, same shape; the number of tail classes where the label is none of them.
    """
    top = max(tail_classes)
    table = torch.full((top + 3,), len(tail_classes))
    table[torch.tensor(tail_classes) + 1] = torch.arange(len(tail_classes))
    # entries 0 and top + 2 of the table catch labels below 0 and above the highest tail class
    labels = target if target.dtype in (torch.int32, torch.int64) else target.int()
    index = labels.clamp(-1, top + 1).add_(1).flatten()
    return table.to(target.device).index_select(0, index).view(target.shape)


def _span(marks: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last marked position along axis 1 of (B, L, C); an end of 0 where unmarked."""
    length = marks.shape[1]
    ascending = torch.arange(length, device=marks.device)[:, None]
    first = torch.where(marks, ascending, length).amin(1)
    end = torch.where(marks, ascending + 1, 0).amax(1)
    return first, end


def _extremes(
    corners: NDArray[np.bool_], labels: NDArray[Any], tail_classes: tuple[int, ...], reduce: str
) -> tuple[Tensor, Tensor]:
    """Least or greatest row and column of the corners of each tail class in each image.

    The greatest of none is -1, the least of none more than any.
    """
    batch, height, width = labels.shape
    size = len(tail_classes) + 1
    index = np.flatnonzero(corners)
    row, column = np.divmod(index, width)
    image, row = np.divmod(row, height)
    slot = tail_slots(torch.from_numpy(labels.reshape(-1)[index]), tail_classes)
    slot += torch.from_numpy(image * size)
    start = torch.full((batch * size,), -1 if reduce == "amax" else height + width)
    first, second = (
        start.scatter_reduce(0, slot, torch.from_numpy(where), reduce) for where in (row, column)
    )
    return first.view(batch, size)[:, :-1], second.view(batch, size)[:, :-1]
