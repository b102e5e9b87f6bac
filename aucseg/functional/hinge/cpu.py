"""Hinge sums on a CPU: one score channel after the other, in strips that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from aucseg.functional.hinge.sort import OwnScores

# pixels of one strip: a handful of float64 temporaries of this length fit the L2 cache of a core
STRIP_PIXELS = 2**16
# buckets of the table that a search begins with: for each positive, and at most
_BUCKETS_PER_POSITIVE = 4
_BUCKETS_MAX = 2**17


def hinge_sums(
    scores: Tensor, rows: Tensor, own: OwnScores, reach: float, power: int, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Sums over pairs of max(0, reach - (positive - negative))^power, by class of the negatives.

    Only the channels of classes that are present in the whole batch are read.

    Args:
        scores: (B, K, P), float32 or float64, on the CPU.
        rows: (B, P) int64, classes 0 to K - 1, K for void.
        own: the sorted positives.
        reach: score difference from which on a pair costs nothing.
        power: 1 or 2.
        keep: whether to return the ranks, which ``hinge_gradients`` needs.

    Returns:
        The sums (K, K + 1) in float64, positive class in rows, with void in the last column and a class
        against itself on the diagonal, both to be ignored; and the ranks, (present classes, B, P) int32:
        how many positives of the class cost something against the pixel.

    """
    classes = scores.shape[1]
    sums = torch.zeros(classes, classes + 1, dtype=torch.float64)
    ranges = _present(own)
    ranks = torch.empty(len(ranges), *rows.shape, dtype=torch.int32) if keep else None
    for place, (c, first, last) in enumerate(ranges):
        positives = _Positives(own.value[first:last], reach)
        search = _Search(positives.value)
        for image, part in _strips(rows):
            threshold = positives.threshold(scores[image, c, part])
            rank = search(threshold)
            if ranks is not None:
                ranks[place, image, part] = rank
            # a sum of its own for each strip: small terms are never added to a very large sum
            part_sums = torch.zeros(classes + 1, dtype=torch.float64)
            sums[c] += part_sums.scatter_add_(0, rows[image, part], positives.cost(rank, threshold, power))
    return sums, ranks


def hinge_gradients(
    scores: Tensor, rows: Tensor, own: OwnScores, ranks: Tensor, weight: Tensor, reach: float, power: int
) -> tuple[Tensor, Tensor]:
    """Gradient of the weighted total of the sums, for this rank's pixels as negatives and as positives.

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
    gradient = torch.empty_like(scores)
    ranges = _present(own)
    absent = sorted(set(range(scores.shape[1])) - {c for c, _, _ in ranges})
    gradient[:, absent] = 0
    shares = torch.zeros(len(own.value), dtype=torch.float64)
    for place, (c, first, last) in enumerate(ranges):
        positives = _Positives(own.value[first:last], reach)
        # total of the weights, and of weight times threshold, of the negatives with the same rank
        weights, moments = torch.zeros(2, last - first + 1, dtype=torch.float64)
        for image, part in _strips(rows):
            rank = ranks[place, image, part].long()
            share = weight[c].index_select(0, rows[image, part])
            weights.scatter_add_(0, rank, share)
            slope = rank
            if power == 2:
                threshold = positives.threshold(scores[image, c, part]).double()
                slope = positives.slope(rank, threshold).mul_(2)
                moments.scatter_add_(0, rank, share * threshold)
            gradient[image, c, part] = share.mul_(slope)
        # positive j costs something against the negatives of a rank above j
        if power == 1:
            shares[first:last] = -_above(weights)
        else:
            shares[first:last] = 2 * (positives.value * _above(weights) - _above(moments))
    return gradient, shares


class _Positives:
    """Positives of one class, centred so that the sums over them cancel nothing."""

    def __init__(self, value: Tensor, reach: float) -> None:
        self.centre = value.mean(dtype=torch.float64).item()
        self.reach = reach
        self.value = value - self.centre
        wide = self.value.double()
        self.sums = torch.nn.functional.pad(wide.cumsum(0), (1, 0))
        self.squares = torch.nn.functional.pad(wide.square().cumsum(0), (1, 0))

    def threshold(self, scores: Tensor) -> Tensor:
        """Score of a positive, centred, from which on it costs nothing against these negatives."""
        return (scores - self.centre).add_(self.reach)

    def slope(self, rank: Tensor, threshold: Tensor) -> Tensor:
        """Sum of threshold - positive over the lowest ``rank`` positives."""
        return (rank * threshold).sub_(self.sums.index_select(0, rank))

    def cost(self, rank: Tensor, threshold: Tensor, power: int) -> Tensor:
        """Sum of (threshold - positive)^power over the lowest ``rank`` positives."""
        threshold = threshold.double()
        slope = self.slope(rank, threshold)
        if power == 1:
            return slope
        cross = self.sums.index_select(0, rank).mul_(threshold).sub_(self.squares.index_select(0, rank))
        return slope.mul_(threshold).sub_(cross)


class _Search:
    """How many of the sorted values lie below a threshold, without a cache miss for each halving.

    A table over equal steps of the score gives the number of values in lower buckets. That is the answer
    if the bucket of the threshold holds no value, as is the case for most; only the others are searched
    by halving, within their bucket, all of them together. Values and thresholds go through the same
    rising function to their bucket, so rounding cannot make the answer wrong.
    """

    def __init__(self, value: Tensor) -> None:
        count = len(value)
        self.buckets = min(max(_BUCKETS_PER_POSITIVE * count, 256), _BUCKETS_MAX)
        low, high = value[0].item(), value[-1].item()
        # a range of zero would make an infinite step
        self.step = min(self.buckets / max(high - low, 1e-300), 1e30)
        self.shift = 1 - low * self.step
        held = torch.bincount(self._bucket(value), minlength=self.buckets + 2)
        below = held.cumsum(0).sub_(held)
        # the complement, which is negative, marks a bucket that holds values
        self.table = torch.where(held > 0, ~below, below).int()
        self.halvings = int(held.max()).bit_length()
        self.value = torch.nn.functional.pad(value, (0, 2**self.halvings), value=torch.inf)

    def __call__(self, threshold: Tensor) -> Tensor:
        rank = self.table.index_select(0, self._bucket(threshold))
        open_ = (rank < 0).nonzero().squeeze(1)
        if open_.numel():
            threshold = threshold.index_select(0, open_)
            found = ~rank.index_select(0, open_)
            for half in (2**i for i in reversed(range(self.halvings))):
                below = self.value.index_select(0, found + (half - 1)) < threshold
                found.add_(below, alpha=half)
            rank.index_copy_(0, open_, found)
        return rank

    def _bucket(self, value: Tensor) -> Tensor:
        # Two roundings, never a fused one in some elements and not in others: the function must rise. The
        # second clamp is for nan, which becomes any integer.
        last = self.buckets + 1
        return (value * self.step).add_(self.shift).clamp_(0, last).int().clamp_(0, last)


def _above(totals: Tensor) -> Tensor:
    """Entry j is the sum of all entries after j; the last entry has none and is left out."""
    return totals.flip(0).cumsum(0).flip(0)[1:]


def _present(own: OwnScores) -> list[tuple[int, int, int]]:
    edges = own.start.tolist()
    return [(c, a, b) for c, (a, b) in enumerate(pairwise(edges)) if b > a]


def _strips(rows: Tensor) -> Iterator[tuple[int, slice]]:
    images, pixels = rows.shape
    for image in range(images):
        for start in range(0, pixels, STRIP_PIXELS):
            yield image, slice(start, start + STRIP_PIXELS)
