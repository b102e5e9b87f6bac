"""The smallest batch that holds every class, from which image holds which class."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from aucseg.errors import OptionError
from aucseg.theory.batches import MAX_CLASSES, AbsenceCounts, absence_counts, missing_from_counts
from aucseg.theory.checks import check_delta, check_presence, check_whole
from aucseg.theory.sizes import BatchSizes, batch_sizes, batch_sizes_of_set


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

    times: NDArray[np.int64]
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
            ValueError: for a value outside its range, or if there are too few draws for such an interval.
        """
        limit = float(check_delta(delta))
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be in (0, 1), got {confidence}")
        count = len(self.times)
        low, high = binom.ppf([(1 - confidence) / 2, (1 + confidence) / 2], count, 1 - limit)
        if low < 1 or high >= count:
            raise OptionError(f"{count} draws are too few for delta={limit:g} at {confidence:g}; give more")
        rank = int(np.ceil(count * (1 - limit) - 1e-9)) - 1
        value, below, above = (int(self.times[i]) for i in (rank, int(low) - 1, int(high)))
        return SimulatedBatchSize(value, below, above, confidence, count)


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
        ValueError: for more than 20 classes, see :func:`simulate_coverage`; for a class in no image; or for
            values outside their ranges.

    Example:
        >>> exact_batch_size([[1, 0], [0, 1], [1, 1]], 0.1)
        2
    """
    matrix, sizes = _bracket(presence, delta, replacement)
    counts, limit = _unsure(matrix), 1 - Fraction(repr(float(delta)))
    # the bracket is made in floating point: one more on both sides, lest rounding exclude the answer
    low, high = max(1, sizes.necessary - 1), sizes.union + 1
    high = high if replacement else min(high, len(matrix))
    while low < high:
        middle = (low + high) // 2
        enough = missing_from_counts(counts, middle, replacement=replacement)[0] >= limit
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
        ValueError: for more than 20 classes, see :func:`simulate_coverage`; for a class in no image; or for
            values outside their ranges.

    Example:
        >>> coverage_probability([[1, 0], [0, 1], [1, 1], [1, 0]], 2)
        0.8333333333333334
    """
    matrix = check_presence(presence)
    size = int(check_whole("batch_size", batch_size, 1, "an empty batch holds no class"))
    if size > len(matrix) and not replacement:
        raise ValueError(
            f"batch_size is {size}; without replacement a batch has at most {len(matrix)} images"
        )
    return float(missing_from_counts(_unsure(matrix), size, replacement=replacement)[0])


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
        ValueError: for a class in no image or another bad shape, or draws below 1.
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


def _unsure(matrix: NDArray[np.bool_]) -> AbsenceCounts:
    """Counts of the classes that a batch can miss."""
    unsure = matrix[:, ~matrix.all(0)]
    if unsure.shape[1] > MAX_CLASSES:
        raise ValueError(
            f"inclusion-exclusion is for at most {MAX_CLASSES} classes, got {unsure.shape[1]}; use "
            "simulate_coverage"
        )
    return absence_counts(unsure)


def _bracket(presence: ArrayLike, delta: float, replacement: bool) -> tuple[NDArray[np.bool_], BatchSizes]:
    matrix = check_presence(presence)
    held = matrix.sum(0)
    if replacement:
        return matrix, batch_sizes(held / len(matrix), delta)
    return matrix, batch_sizes_of_set(held, len(matrix), delta)
