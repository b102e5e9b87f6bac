"""Hinge sums on an accelerator: several channels at once, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from aucseg.functional.checks import widest
from aucseg.functional.hinge.sort import OwnScores

# elements (channels x pixels) that are worked on at once; that needs some ten float64 buffers of this size
ELEMENTS = 2**23


def hinge_sums(
    scores: Tensor, rows: Tensor, own: OwnScores, reach: float, power: int, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """The same as ``cpu.hinge_sums``, on any device and with no host synchronisation.

    Which classes are present is not known here, so every channel is read.

    Args:
        scores: (B, K, P), float32 or float64.
        rows: (B, P) int64, classes 0 to K - 1, K for void.
        own: the sorted positives.
        reach: score difference from which on a pair costs nothing.
        power: 1 or 2.
        keep: whether to return the ranks.

    Returns:
        The sums (K, K + 1), float64 where the device knows it, and the ranks, (K, B * P) int32.

    """
    flat = rows.flatten()
    ranks = torch.empty(scores.shape[1], len(flat), dtype=torch.int32, device=scores.device) if keep else None
    sums = []
    for channels in _channels_at_once(scores, own):
        positives = _Positives.of(own, channels, reach)
        threshold = positives.threshold(scores[:, channels])
        rank = torch.searchsorted(positives.value, threshold, out_int32=True)
        if ranks is not None:
            ranks[channels] = rank
        sums.append(
            _sum_by_class(
                positives.cost(rank.long(), threshold.to(widest(threshold.device)), power),
                flat,
                scores.shape[1] + 1,
            )
        )
    return torch.cat(sums), ranks


def hinge_gradients(
    scores: Tensor, rows: Tensor, own: OwnScores, ranks: Tensor, weight: Tensor, reach: float, power: int
) -> tuple[Tensor, Tensor]:
    """The same as ``cpu.hinge_gradients``, on any device and with no host synchronisation.

    Args:
        scores: as for ``hinge_sums``.
        rows: as for ``hinge_sums``.
        own: as for ``hinge_sums``.
        ranks: what ``hinge_sums`` returned.
        weight: (K, K + 1) float64, weight of each sum; zero on the diagonal and in the last column.
        reach: as for ``hinge_sums``.
        power: as for ``hinge_sums``.

    Returns:
        (B, K, P) in the dtype of the scores, what the negatives receive; and (M,) float64, what the
        negatives of this rank add to the gradient of each of ``own.value``.

    """
    flat = rows.flatten()
    gradient = torch.empty_like(scores)
    wide = widest(scores.device)
    shares = torch.zeros(len(own.value), dtype=wide, device=scores.device)
    for channels in _channels_at_once(scores, own):
        rank = ranks[channels].long()
        share = weight[channels].index_select(1, flat)
        weights = _sum_by_rank(share, rank, len(own.value))
        if power == 1:
            slope: Tensor = rank
            received = -weights
        else:
            positives = _Positives.of(own, channels, reach)
            threshold = positives.threshold(scores[:, channels]).to(wide)
            slope = 2 * positives.slope(rank, threshold)
            moments = _sum_by_rank(share * threshold, rank, len(own.value))
            received = 2 * (positives.finite() * weights - moments)
        part = (share * slope).unflatten(1, rows.shape).transpose(0, 1)
        gradient[:, channels] = part.to(gradient.dtype)
        shares += _to_positives(received, own, channels)
    return gradient, shares


@dataclass(frozen=True)
class _Positives:
    """Positives of C channels side by side, centred: (C, M), with infinity after the last of a class."""

    value: Tensor
    centre: Tensor
    reach: float

    @classmethod
    def of(cls, own: OwnScores, channels: slice, reach: float) -> _Positives:
        place = torch.arange(len(own.value), device=own.value.device)
        count = own.count[channels, None]
        inside = place < count
        index = (own.start[:-1][channels, None] + place).clamp(max=max(len(place) - 1, 0))
        value = own.value[index]
        total = value.masked_fill(~inside, 0).sum(1, keepdim=True, dtype=widest(value.device))
        centre = (total / count.clamp(min=1)).to(value.dtype)
        return cls((value - centre).masked_fill(~inside, torch.inf), centre, reach)

    def threshold(self, scores: Tensor) -> Tensor:
        """(B, C, P) scores to (C, B * P): where a positive, centred, begins to cost nothing."""
        return (scores.transpose(0, 1).flatten(1) - self.centre).add_(self.reach).contiguous()

    def finite(self) -> Tensor:
        return self.value.masked_fill(self.value == torch.inf, 0).to(widest(self.value.device))

    def slope(self, rank: Tensor, threshold: Tensor) -> Tensor:
        """Sum of threshold - positive over the lowest ``rank`` positives."""
        return rank * threshold - _below(self.finite(), rank)

    def cost(self, rank: Tensor, threshold: Tensor, power: int) -> Tensor:
        """Sum of (threshold - positive)^power over the lowest ``rank`` positives."""
        value = self.finite()
        sums = _below(value, rank)
        slope = rank * threshold - sums
        return slope if power == 1 else threshold * slope - (threshold * sums - _below(value.square(), rank))


def _below(value: Tensor, rank: Tensor) -> Tensor:
    """Sum of the first ``rank`` entries of each row."""
    return torch.nn.functional.pad(value.cumsum(1), (1, 0)).gather(1, rank)


def _sum_by_rank(share: Tensor, rank: Tensor, size: int) -> Tensor:
    """(C, N) shares to (C, size): entry j is the sum of those whose rank is above j."""
    width = size + 1
    row = torch.arange(len(share), device=share.device)[:, None] * width
    totals = share.new_zeros(len(share) * width).index_add_(0, (rank + row).flatten(), share.flatten())
    return totals.view(-1, width).flip(1).cumsum(1).flip(1)[:, 1:]


def _sum_by_class(cost: Tensor, rows: Tensor, size: int) -> Tensor:
    """(C, N) to (C, size), as products with pieces of a one-hot: atomic additions would not be repeatable."""
    classes = torch.arange(size, device=rows.device)
    piece = max(ELEMENTS // size, 1)
    total = cost.new_zeros(len(cost), size)
    for part, row in zip(cost.split(piece, 1), rows.split(piece), strict=True):
        total += part @ (row[:, None] == classes).to(part.dtype)
    return total


def _to_positives(received: Tensor, own: OwnScores, channels: slice) -> Tensor:
    """(C, M), the positives of each channel from the left, to (M,), zero for those of other channels."""
    row = own.row - channels.start
    inside = (row >= 0) & (row < len(received))
    row = row.clamp(0, len(received) - 1)
    place = torch.arange(len(own.row), device=row.device) - own.start.index_select(0, own.row)
    return (received[row, place.clamp(min=0)]).masked_fill(~inside, 0)


def _channels_at_once(scores: Tensor, own: OwnScores) -> Iterator[slice]:
    images, classes, pixels = scores.shape
    step = max(ELEMENTS // max(images * pixels, len(own.value), 1), 1)
    for first in range(0, classes, step):
        yield slice(first, min(first + step, classes))
