"""Four batch sizes of a data set: what is needed, what is enough, and what Proposition 1 asks for.

A size is the smallest whole number whose probability is at most delta. Where floating point comes too close
to delta to tell, as for one image of 200 and delta = 0.005, the comparison is made in exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from aucseg.errors import OptionError
from aucseg.theory.batches import miss_probabilities
from aucseg.theory.checks import Floats, check_delta, check_whole
from aucseg.theory.sampling import check_classes, minimum_batch_size, necessary_batch_size

_Number = TypeVar("_Number", Fraction, Decimal)

# What must be at most delta, from the probabilities that a batch lacks each class.
_MISSES: dict[str, Callable[[Floats], float]] = {
    "necessary": lambda missing: float(missing.max()),
    "independent": lambda missing: -math.expm1(_log_all_there(missing)),
    "union": lambda missing: float(missing.sum()),
    "sufficient": lambda missing: float(len(missing) * missing.max()),
}


@dataclass(frozen=True)
class BatchSizes:
    """Batch sizes that make a missing class rarer than delta, under four assumptions.

    Always ``necessary <= independent <= union <= sufficient``.

    Attributes:
        delta: accepted probability that a class is missing.
        num_classes: number of classes K.
        min_probability: smallest share of images that holds a class, min p.
        num_images: images N, drawn without replacement; None if drawn independently from probabilities.
        necessary: images; no smaller batch does it, however classes occur together.
        independent: images; the smallest batch if classes occur independently of each other.
        union: images; sufficient however classes occur together, by the union bound with each p_i.
        sufficient: images; Proposition 1, the union bound with the smallest p_i for all.
    """

    delta: float
    num_classes: int
    min_probability: float
    num_images: int | None
    necessary: int
    independent: int
    union: int
    sufficient: int


def batch_sizes(probabilities: ArrayLike, delta: float) -> BatchSizes:
    """Batch sizes for images drawn independently, from the probability of each class.

    Args:
        probabilities: p_i that an image holds each class, (K,), in (0, 1].
        delta: accepted probability that a class is missing, in (0, 1).

    Returns:
        The batch sizes.

    Raises:
        ValueError: for a value outside its range or fewer than two classes.

    Example:
        >>> batch_sizes([0.9, 0.5, 0.01], 0.01).necessary
        459
    """
    values = check_classes(probabilities)
    limit, least = float(check_delta(delta)), float(values.min())
    low, high = necessary_batch_size(delta, least), minimum_batch_size(len(values), delta, least)
    # log1p(-1) is -inf, and exp(-inf * B) the 0 that a class in every image is missed with
    with np.errstate(divide="ignore"):
        logs = np.log1p(-values)

    def enough(name: str, size: int) -> bool:
        missing = np.exp(logs * size)
        return _at_most(_MISSES[name](missing), limit, lambda: _decimal_miss(name, values, size, limit))

    union = _first(lambda size: enough("union", size), low, high)
    independent = _first(lambda size: enough("independent", size), low, union)
    return BatchSizes(limit, len(values), least, None, low, independent, union, high)


def batch_sizes_of_set(images: ArrayLike, num_images: int, delta: float) -> BatchSizes:
    """Batch sizes for images drawn without replacement from a set, from the images that hold each class.

    Args:
        images: images that hold each class, (K,), at least 1 each (AUCSeg, Tables 5 to 7).
        num_images: images N in the set, at least 2.
        delta: accepted probability that a class is missing, in (0, 1).

    Returns:
        The batch sizes, none above N.

    Raises:
        ValueError: for a value outside its range or fewer than two classes.

    Example:
        >>> batch_sizes_of_set([10, 5, 1], 10, 0.15).necessary
        9
    """
    total = int(check_whole("num_images", num_images, 2, "a batch is drawn from several images"))
    held = np.atleast_1d(check_whole("images", images, 0, "it counts images"))
    if held.max(initial=0) > total:
        raise OptionError(f"a class is said to be in {held.max():g} of {total} images")
    shares = check_classes(held / total)
    limit = float(check_delta(delta))
    found: dict[str, int] = {}
    for size, missing in enumerate(miss_probabilities(held, total)):
        for name, chance in _MISSES.items():
            if name not in found and _at_most(
                chance(missing),
                limit,
                lambda: _whole_miss(name, held, total, size, limit),  # noqa: B023
            ):
                found[name] = size
        if len(found) == len(_MISSES):
            break
    return BatchSizes(limit, len(held), float(shares.min()), total, **found)


def _first(enough: Callable[[int], bool], low: int, high: int) -> int:
    """Smallest whole number in [low, high] that is enough; high is known to be."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def _log_all_there(missing: Floats) -> float:
    with np.errstate(divide="ignore"):  # a class that is certainly missing
        return float(np.log1p(-missing).sum())


def _at_most(value: float, limit: float, exact: Callable[[], bool]) -> bool:
    """Whether value <= limit, asked exactly where rounding could decide: both are sums of some 10^5 steps."""
    return value <= limit if abs(value - limit) > 1e-9 * limit else exact()


def _whole_miss(name: str, held: Floats, total: int, size: int, limit: float) -> bool:
    """The comparison for draws without replacement, in fractions of whole numbers."""
    ways = math.comb(total, size)
    missing = [Fraction(math.comb(total - int(n), size), ways) for n in held]
    return _exact(name, missing, Fraction(1)) <= Fraction(repr(limit))


def _decimal_miss(name: str, probabilities: Floats, size: int, limit: float) -> bool:
    """The comparison for independent draws, with 60 digits; equal but for the last of them is equal."""
    with localcontext() as context:
        context.prec = 60 - min(Decimal(repr(float(p))).adjusted() for p in probabilities)
        missing = [(1 - Decimal(repr(float(p)))) ** size for p in probabilities]
        bound = Decimal(repr(limit))
        return bool(_exact(name, missing, Decimal(1)) <= bound * (1 + Decimal("1e-30")))


def _exact(name: str, missing: Sequence[_Number], one: _Number) -> _Number:
    if name == "independent":
        return one - math.prod((one - m for m in missing), start=one)
    if name == "union":
        return sum(missing, start=one - one)
    return max(missing) * (len(missing) if name == "sufficient" else 1)
