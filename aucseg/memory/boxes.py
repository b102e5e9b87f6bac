"""Which tail classes an image holds, and the tight box around each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Box(NamedTuple):
    """Rows ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


def tail_boxes(target: Tensor, tail_classes: tuple[int, ...]) -> list[dict[int, Box]]:
    """The tight box around all pixels of each tail class in each image.

    Every pixel marks its (class, row) and its (class, column) in two small tables of booleans, so the cost
    is linear in the pixels whatever the number of classes, and only the boxes travel to the host, in one
    transfer.

    Args:
        target: (B, H, W), integer labels; labels that are no tail class, void included, are passed over.
        tail_classes: distinct labels of the tail classes, none negative.

    Returns:
        For each image a dictionary from the tail classes it holds, in the order of ``tail_classes``, to
        their boxes.

    Example:
        >>> tail_boxes(torch.tensor([[[0, 7], [7, 7]]]), (3, 7))
        [{7: Box(top=0, bottom=2, left=0, right=2)}]
    """
    batch, height, width = target.shape
    if target.numel() == 0:
        return [{} for _ in range(batch)]
    slot = tail_slots(target, tail_classes)
    size = len(tail_classes) + 1  # the last slot takes every other label
    rows = torch.zeros(batch, height, size, dtype=torch.bool, device=target.device).scatter_(2, slot, True)
    columns = torch.zeros(batch, width, size, dtype=torch.bool, device=target.device)
    columns.scatter_(2, slot.transpose(1, 2), True)
    spans = torch.stack((*_span(rows), *_span(columns)), dim=-1)[:, : len(tail_classes)]
    return [
        {label: Box(*box) for label, box in zip(tail_classes, boxes, strict=True) if box[1] > 0}
        for boxes in spans.tolist()
    ]


def tail_areas(target: Tensor, tail_classes: tuple[int, ...]) -> list[dict[int, int]]:
    """Number of pixels of each tail class in each image, in one transfer to the host.

    Args:
        target: (B, H, W), integer labels.
        tail_classes: distinct labels of the tail classes, none negative.

    Returns:
        For each image a dictionary from all tail classes to their pixels.
    """
    batch, size = target.shape[0], len(tail_classes) + 1
    slot = tail_slots(target, tail_classes).flatten(1)
    slot = slot + torch.arange(0, batch * size, size, device=target.device)[:, None]
    counts = torch.bincount(slot.flatten(), minlength=batch * size).view(batch, size)
    return [dict(zip(tail_classes, row, strict=False)) for row in counts.tolist()]


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
