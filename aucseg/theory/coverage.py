"""The smallest batch that holds every class, from which image holds which class: exact, or simulated.

What a batch misses depends on how classes occur together. Up to 20 classes that a batch can miss
inclusion-exclusion counts it in whole numbers; beyond, batches are drawn (:func:`simulate_coverage`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import quantile_test

from aucseg.errors import OptionError
from aucseg.theory.batch_size import BatchSizes, batch_sizes, batch_sizes_of_set
from aucseg.theory.checks import (
    Floats,
    Ints,
    check_confidence,
    check_delta,
    check_presence,
    check_whole,
)

MAX_CLASSES = 20
"""Inclusion-exclusion visits every set of classes: 2^20 are a tenth of a second, 2^30 are not."""


@dataclass(frozen=True)
class SimulatedBatchSize:
    """A smallest batch size found by simulation.

    Attributes:
        value: images; the smallest batch that held every class in a share 1 - delta of the draws.
        low: images; lower end of its interval.
        high: images; upper end of its interval.
        confidence: of the interval, which makes no assumption on the distribution.
        draws: simulated draws.
    """

    value: int
    low: int
    high: int
    confidence: float
    draws: int


@dataclass(frozen=True, eq=False)
class CoverageTimes:
    """How many images it took, draw by draw, until every class had come.

    Attributes:
        times: images, ascending, (draws,) int64.
        num_images: images in the set.
        replacement: whether images were drawn with replacement.
    """

    times: Ints
    num_images: int
    replacement: bool

    def probability(self, batch_size: int) -> float:
        """Share of the draws in which a batch of this size held every class."""
        return float(np.searchsorted(self.times, batch_size, side="right") / len(self.times))

    def batch_size(self, delta: float, *, confidence: float = 0.95) -> SimulatedBatchSize:
        """Smallest batch that misses a class with probability of at most delta, and its interval.

        It is a quantile of the times; the interval is made of two of them in order, whose ranks are binomial.

        Args:
            delta: accepted probability that a class is missing, in (0, 1).
            confidence: of the interval, in (0, 1).

        Raises:
            OptionError: for a value outside its range, or if there are too few draws for such an interval.
        """
        limit = float(check_delta(delta))
        check_confidence(confidence)
        count = len(self.times)
        ends = quantile_test(self.times, p=1 - limit).confidence_interval(confidence)
        if np.isnan(ends).any():
            raise OptionError(
                f"{count} draws are too few for delta={limit:g} at {confidence:g}", remedy="give more"
            )
        value = int(self.times[int(np.ceil(count * (1 - limit) - 1e-9)) - 1])
        return SimulatedBatchSize(value, int(ends.low), int(ends.high), confidence, count)


def exact_batch_size(presence: ArrayLike, delta: float, *, replacement: bool = False) -> int:
    """Smallest batch that misses a class with probability of at most delta, with real co-occurrence.

    Inclusion-exclusion over all sets of classes, in whole numbers; bisection between what the rarest class
    forces and what the union bound allows. Rows may be crops as well as whole images.

    Args:
        presence: which image holds which class, (N, K), at most 20 classes that are not in every image.
        delta: accepted probability that a class is missing, in (0, 1).
        replacement: whether an image may be drawn twice.

    Returns:
        The batch size, images.

    Raises:
        ValueError: for another shape.
        OptionError: for more than 20 classes, see :func:`simulate_coverage`; for a class in no image; or for
            values outside their ranges.

    Example:
        >>> exact_batch_size([[1, 0], [0, 1], [1, 1]], 0.1)
        2
    """
    matrix = check_presence(presence)
    sizes = _bracket(matrix, delta, replacement)
    counts, limit = _absences(_unsure(matrix)), 1 - Fraction(repr(float(delta)))
    # the bracket is made in floating point: one more on both sides, lest rounding exclude the answer
    low, high = max(1, sizes.necessary - 1), sizes.union + 1
    high = high if replacement else min(high, len(matrix))
    while low < high:
        middle = (low + high) // 2
        enough = _missing(counts, middle, replacement)[0] >= limit
        low, high = (low, middle) if enough else (middle + 1, high)
    return high


def coverage_probability(presence: ArrayLike, batch_size: int, *, replacement: bool = False) -> float:
    """Probability that a batch holds every class, with real co-occurrence: exact, by inclusion-exclusion.

    Args:
        presence: which image or crop holds which class, (N, K), at most 20 classes not in all of them.
        batch_size: images in the batch, at least 1; at most N without replacement.
        replacement: whether an image may be drawn twice; without, the terms are hypergeometric.

    Returns:
        The probability, the nearest double of an exact fraction.

    Raises:
        ValueError: for another shape.
        OptionError: for more than 20 classes, see :func:`simulate_coverage`; for a class in no image; or for
            values outside their ranges.

    Example:
        >>> coverage_probability([[1, 0], [0, 1], [1, 1], [1, 0]], 2)
        0.8333333333333334
    """
    return float(missing_distribution(check_presence(presence), batch_size, replacement=replacement)[0])


def missing_distribution(presence: ArrayLike, batch_size: int, *, replacement: bool = False) -> Floats:
    r"""Distribution of the number of classes that a batch misses, with real co-occurrence.

    With :math:`S_k = \sum_{|T|=k} P(\text{all of } T \text{ missing})`, inclusion-exclusion gives
    :math:`P(M=j) = \sum_{k \ge j} (-1)^{k-j} \binom{k}{j} S_k`. A term is
    :math:`\binom{f_T}{B} / \binom{N}{B}` without and :math:`(f_T / N)^B` with replacement, :math:`f_T` the
    images that hold none of :math:`T`. The sums are made of whole numbers: in floating point their
    alternating terms would cancel.

    Args:
        presence: which image holds which class, (N, K), at most 20 classes that are not in every image. A
            class in no image is always missing.
        batch_size: images B in the batch, at least 1; at most N without replacement.
        replacement: whether an image may be drawn twice.

    Returns:
        Probability of 0 to K missing classes, (K + 1,), each the nearest double of an exact fraction.

    Raises:
        ValueError: for another shape.
        OptionError: for more than 20 classes, see :func:`simulate_coverage`, or a batch outside its range.

    Example:
        >>> missing_distribution([[1, 0], [0, 1], [1, 1], [1, 0]], 1).tolist()
        [0.25, 0.75, 0.0]
    """
    matrix = np.asarray(presence).astype(bool)
    if matrix.ndim != 2:
        raise ValueError(f"presence must have shape (images, classes), got {matrix.shape}")
    size = int(check_whole("batch_size", batch_size, 1, "an empty batch holds no class"))
    if size > len(matrix) and not replacement:
        raise OptionError(
            f"batch_size is {size}; without replacement a batch has at most {len(matrix)} images"
        )
    unsure = _unsure(matrix)
    found = np.zeros(matrix.shape[1] + 1)  # classes in every image are never missing
    found[: unsure.shape[1] + 1] = [float(p) for p in _missing(_absences(unsure), size, replacement)]
    return found


def simulate_coverage(
    presence: ArrayLike, *, draws: int = 10_000, seed: int = 0, replacement: bool = False
) -> CoverageTimes:
    """Draw images one by one until every class has come, many times: all batch sizes from one simulation.

    Args:
        presence: which image or crop holds which class, (N, K).
        draws: how many times.
        seed: of the draws.
        replacement: whether an image may be drawn twice.

    Returns:
        The number of images each time.

    Raises:
        ValueError: for another shape.
        OptionError: for a class in no image, or draws below 1.
    """
    matrix = check_presence(presence)
    check_whole("draws", draws, 1, "nothing is simulated")
    rng = np.random.default_rng(seed)
    # the classes of a prefix of the images drawn, longer and longer; a common class needs a short one
    block = min(len(matrix), 4 * int(np.ceil(len(matrix) / matrix.sum(0).min())))
    times = np.empty(draws, np.int64)
    for draw in range(draws):
        order = None if replacement else rng.permutation(len(matrix))
        missing = np.ones(matrix.shape[1], bool)
        start = 0
        while missing.any():
            rows = rng.integers(len(matrix), size=block) if order is None else order[start : start + block]
            held = matrix[rows][:, missing]
            came = held.any(0)
            times[draw] = start + 1 + int(held.argmax(0)[came].max(initial=-1))
            missing[np.flatnonzero(missing)[came]] = False
            start += block
    return CoverageTimes(np.sort(times), len(matrix), replacement)


@dataclass(frozen=True)
class _Absences:
    """In how many images sets of classes are absent together; all that a batch of any size depends on.

    ``cells`` says for each number of images and each size of a set how many sets of that size are absent
    together from that many images: (images, size, number), by ascending images.
    """

    num_images: int
    num_classes: int
    cells: tuple[tuple[int, int, int], ...]


def _unsure(matrix: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The columns of the classes that a batch can miss."""
    unsure = matrix[:, ~matrix.all(0)]
    if unsure.shape[1] > MAX_CLASSES:
        raise OptionError(
            f"inclusion-exclusion is for at most {MAX_CLASSES} classes, got {unsure.shape[1]}",
            remedy="use simulate_coverage",
        )
    return unsure


def _absences(presence: NDArray[np.bool_]) -> _Absences:
    """Count for every set of classes the images that hold none of it."""
    images, classes = presence.shape
    codes = presence.astype(np.int64) @ (1 << np.arange(classes, dtype=np.int64))
    free = np.bincount(codes, minlength=1 << classes)
    for bit in range(classes):  # free[T] becomes the number of images whose classes all lie in T
        pairs = free.reshape(-1, 2, 1 << bit)
        pairs[:, 1] += pairs[:, 0]
    free = free[::-1]  # and now the number that hold none of T
    sizes = np.bitwise_count(np.arange(1 << classes)).astype(np.int64)
    cells, times = np.unique(free * (classes + 1) + sizes, return_counts=True)
    held = [(*divmod(int(c), classes + 1), int(n)) for c, n in zip(cells, times, strict=True)]
    return _Absences(images, classes, tuple(held))


def _missing(counts: _Absences, batch_size: int, replacement: bool) -> tuple[Fraction, ...]:
    """Probability of 0 to C missing classes, exactly: see :func:`missing_distribution`."""
    images, classes = counts.num_images, counts.num_classes
    sums = [0] * (classes + 1)
    ways, at = 1, batch_size  # the binomial of (at, batch_size), carried along
    for unheld, size, number in counts.cells:
        if replacement:
            ways = unheld**batch_size
        elif unheld < batch_size:
            continue
        else:
            while at < unheld:
                at += 1
                ways = ways * at // (at - batch_size)
        sums[size] += number * ways
    whole = images**batch_size if replacement else math.comb(images, batch_size)
    return tuple(
        Fraction(sum((-1) ** (k - j) * math.comb(k, j) * sums[k] for k in range(j, classes + 1)), whole)
        for j in range(classes + 1)
    )


def _bracket(matrix: NDArray[np.bool_], delta: float, replacement: bool) -> BatchSizes:
    """What the rarest class forces and what the union bound allows."""
    held = matrix.sum(0)
    if replacement:
        return batch_sizes(held / len(matrix), delta)
    return batch_sizes_of_set(held, len(matrix), delta)
