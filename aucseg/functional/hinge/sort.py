"""The positives of every class, sorted: each pixel's score in the channel of its own class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.functional.distributed import gather, gather_uneven


@dataclass(frozen=True)
class OwnScores:
    """Own-class scores of the whole batch (of all ranks), class by class and rising within a class.

    Attributes:
        value: (M,), the scores; those of void pixels, meaningless, may follow at the end.
        row: (M,) int64, class of each score, K for void.
        start: (K + 1,) int64, where each class begins in ``value``, and where the last one ends.
        pixel: (L,) int64, flat index b * P + p of each pixel of this rank, in the order of its own sort.
        slot: (L,) int64, where in ``value`` these pixels lie; None if they are all of it, in order.

    """

    value: Tensor
    row: Tensor
    start: Tensor
    pixel: Tensor
    slot: Tensor | None

    @property
    def count(self) -> Tensor:
        """(K,) int64, number of pixels of each class."""
        return self.start.diff()


def sort_own_scores(
    scores: Tensor, rows: Tensor, num_classes: int, group: dist.ProcessGroup | None = None
) -> OwnScores:
    """Sort the scores that pixels have in the channel of their own class, O(N log N) for N pixels in all.

    Args:
        scores: (B, K, P), float32 or float64.
        rows: (B, P) int64, classes 0 to K - 1, K for void.
        num_classes: number of classes K.
        group: ranks whose pixels belong to the same batch; every rank of it must call. None: no others.

    Returns:
        The sorted scores. Without a group nothing waits for the device; with one, it is read how many
        scores each rank sends.

    """
    flat = rows.flatten()
    value = scores.gather(1, rows.clamp(max=num_classes - 1)[:, None]).flatten()
    order = _order(value, flat)
    value, row = value.index_select(0, order), flat.index_select(0, order)
    start = _starts(row, num_classes)
    if group is None:
        return OwnScores(value, row, start, order, None)

    counts = torch.stack(gather(start.diff(), group))
    sizes = counts.sum(1).tolist()
    rank = dist.get_rank(group)
    value = torch.cat(gather_uneven(value[: sizes[rank]], group, sizes))
    row = torch.arange(num_classes, device=row.device).repeat(len(sizes)).repeat_interleave(counts.flatten())
    merged = _order(value, row)
    place = torch.empty_like(merged).scatter_(0, merged, torch.arange(len(merged), device=merged.device))
    before = sum(sizes[:rank])
    row = row.index_select(0, merged)
    return OwnScores(
        value.index_select(0, merged),
        row,
        _starts(row, num_classes),
        order[: sizes[rank]],
        place[before : before + sizes[rank]],
    )


def _starts(row: Tensor, num_classes: int) -> Tensor:
    return torch.searchsorted(row, torch.arange(num_classes + 1, device=row.device))


def _order(value: Tensor, row: Tensor) -> Tensor:
    """Permutation that sorts by class, then by score."""
    if value.dtype != torch.float32:
        order = value.argsort()
        return order.index_select(0, row.index_select(0, order).argsort(stable=True))
    # Bits of a float32, made to rise with its value, below those of the class: integers are sorted by
    # radix, several times faster than floats are compared.
    bits = value.contiguous().view(torch.int32)
    bits = torch.where(bits < 0, ~bits, bits ^ -(2**31))
    return ((row << 32) | (bits.long() & 0xFFFFFFFF)).argsort(stable=True)
