r"""AUCSeg Proposition 1: how large a batch must be to hold every class.

The proof bounds the probability that a class is missing by a sum over classes (Eq. 40):

.. math:: P(\text{some class missing}) \le \sum_i (1 - p_i)^B \le K (1 - \min_i p_i)^B \le \delta,

so :math:`B \ge \log(\delta/K) / \log(1 - \min_i p_i)` is *sufficient*. The paper writes Omega, by its Table 4
a lower bound, and "at least": a usual way to state a sufficient condition, though one can read it as a
necessary one. What the rarest class alone forces is :math:`B \ge \log \delta / \log(1 - \min_i p_i)`.

Remark 2 asks for K = 19, delta = 0.01 and min p = 1 % and prints 759. The formula gives
:math:`\ln(0.01/19) / \ln(0.99) = 751.18`, so 752; at 752 the union bound is 0.00992 and at 751 it is 0.01002.
The approximation :math:`\ln(1-p) \approx -p` would give 755. The printed number is
:math:`\ln(19/0.01) / \ln(1.01) = 758.7`: a plus sign in the place of the minus.

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
from scipy.stats import hypergeom

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_delta, check_probabilities, check_whole

_WHY_TWO = "a single class needs no batch that holds them all"
_Number = TypeVar("_Number", Fraction, Decimal)

# What must be at most delta, from the probabilities that a batch lacks each class; ascending in size.
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


def proposition1(num_classes: int, delta: ArrayLike, min_probability: ArrayLike) -> Floats:
    r"""The right side of Proposition 1 (AUCSeg, Eq. 41) as a real number: what a batch must reach to be safe.

    .. math:: \frac{\log(\delta / K)}{\log(1 - \min_i p_i)}

    :func:`minimum_batch_size` is the next whole number. K = 1 gives what the rarest class alone asks for.

    Args:
        num_classes: number of classes K, at least 1.
        delta: accepted probability that a class is missing, in (0, 1).
        min_probability: smallest probability p that an image holds a class, in (0, 1]; with 1 the value is 0.

    Returns:
        Images, of the shape that the arguments broadcast to.

    Raises:
        OptionError: for a value outside its range.

    Example:
        >>> float(proposition1(19, 0.01, 0.01).round(2))
        751.18
    """
    classes = check_whole("num_classes", num_classes, 1, "a batch is to hold some class")
    limit, p = check_delta(delta), check_probabilities(min_probability)
    with np.errstate(divide="ignore"):  # log1p(-1) is -inf
        return np.asarray(np.log(limit / classes) / np.log1p(-p))


def minimum_batch_size(num_classes: int, delta: float, min_probability: float) -> int:
    r"""Smallest whole B with :math:`K (1 - p)^B \le \delta`: Proposition 1 (AUCSeg, Eq. 41).

    Numbers are read as the decimals that they print as, and logarithms are taken with as many digits as it
    takes, so that no rounding moves the result where both sides are equal.

    Args:
        num_classes: number of classes K, at least 2.
        delta: accepted probability that a class is missing, in (0, 1).
        min_probability: smallest probability p that an image holds a class, in (0, 1].

    Returns:
        The batch size, images.

    Raises:
        OptionError: for a value outside its range; with p = 0 no finite batch is enough.

    Example:
        >>> minimum_batch_size(19, 0.01, 0.01)
        752
    """
    check_whole("num_classes", num_classes, 2, _WHY_TWO)
    return _smallest_power(int(num_classes), delta, min_probability)


def necessary_batch_size(delta: float, min_probability: float) -> int:
    r"""Smallest whole B with :math:`(1 - p)^B \le \delta`: what the rarest class alone asks for.

    Args:
        delta: accepted probability that the class is missing, in (0, 1).
        min_probability: probability p that an image holds it, in (0, 1].

    Returns:
        The batch size, images.

    Raises:
        OptionError: for a value outside its range.

    Example:
        >>> necessary_batch_size(0.01, 0.01)
        459
    """
    return _smallest_power(1, delta, min_probability)


def all_present_probability(probabilities: ArrayLike, batch_size: int) -> float:
    r"""Probability that a batch of independent images holds every class, for independent classes.

    .. math:: \prod_i \bigl(1 - (1 - p_i)^B\bigr)

    Args:
        probabilities: p_i that an image holds each class, (K,), in (0, 1].
        batch_size: images B in the batch, at least 1.

    Returns:
        The probability.

    Raises:
        ValueError: for another shape.
        OptionError: for a value outside its range or fewer than two classes.

    Example:
        >>> all_present_probability([0.5, 0.5], 1)
        0.25
    """
    values = _check_classes(probabilities)
    size = int(check_whole("batch_size", batch_size, 1, "an empty batch holds no class"))
    return float(np.prod(1 - (1 - values) ** size))


def miss_probability(images: ArrayLike, num_images: int, batch_size: int) -> Floats:
    r"""Probability that a batch without replacement holds no image of a class, for each class.

    The hypergeometric :math:`\binom{N - n_c}{B} / \binom{N}{B}`.

    Args:
        images: images :math:`n_c` that hold each class, (K,), 0 to N.
        num_images: images N in the set.
        batch_size: images B in the batch, 0 to N.

    Returns:
        The probability of each class, (K,), to ten digits.

    Raises:
        OptionError: for a batch that is larger than the set.

    Example:
        >>> miss_probability([1, 5], 10, 5).round(4).tolist()
        [0.5, 0.004]
    """
    if not 0 <= batch_size <= num_images:
        raise OptionError(f"batch_size must be from 0 to the {num_images} images, got {batch_size}")
    held = np.asarray(images)
    # certainties are exact, where the library may be off by the last bit
    sure = (held == 0) | (batch_size == 0)
    return np.asarray(np.where(sure, 1.0, hypergeom.pmf(0, num_images, held, batch_size)))


def batch_sizes(probabilities: ArrayLike, delta: float) -> BatchSizes:
    """Batch sizes for images drawn independently, from the probability of each class.

    Args:
        probabilities: p_i that an image holds each class, (K,), in (0, 1].
        delta: accepted probability that a class is missing, in (0, 1).

    Returns:
        The batch sizes.

    Raises:
        ValueError: for another shape.
        OptionError: for a value outside its range or fewer than two classes.

    Example:
        >>> batch_sizes([0.9, 0.5, 0.01], 0.01).necessary
        459
    """
    values = _check_classes(probabilities)
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
        ValueError: for another shape.
        OptionError: for a value outside its range or fewer than two classes.

    Example:
        >>> batch_sizes_of_set([10, 5, 1], 10, 0.15).necessary
        9
    """
    total = int(check_whole("num_images", num_images, 2, "a batch is drawn from several images"))
    held = np.atleast_1d(check_whole("images", images, 0, "it counts images"))
    if held.max(initial=0) > total:
        raise OptionError(f"a class is said to be in {held.max():g} of {total} images")
    shares = _check_classes(held / total)
    limit = float(check_delta(delta))

    def enough(name: str, size: int) -> bool:
        value = _MISSES[name](miss_probability(held, total, size))
        return _at_most(value, limit, lambda: _whole_miss(name, held, total, size, limit))

    found: dict[str, int] = {}
    low = 1
    for name in _MISSES:  # a batch of all images lacks no class
        low = found[name] = _first(lambda size: enough(name, size), low, total)  # noqa: B023
    return BatchSizes(limit, len(held), float(shares.min()), total, **found)


def _smallest_power(factor: int, delta: float, probability: float) -> int:
    """Smallest whole B >= 1 with factor * (1 - probability)^B <= delta."""
    check_delta(delta)
    check_probabilities(probability)
    p, limit = Decimal(repr(float(probability))), Decimal(repr(float(delta)))
    if p == 1:
        return 1
    with localcontext() as context:
        context.prec = 60 - p.adjusted()  # so that 1 - p keeps 60 digits of p
        size = (limit / factor).ln() / (1 - p).ln()
        nearest = size.to_integral_value()
        if abs(size - nearest) < Decimal("1e-30"):  # equal but for the last digits of the logarithms
            return int(nearest)
        return math.ceil(size)


def _check_classes(probabilities: ArrayLike) -> Floats:
    """Probabilities of at least two classes, (K,)."""
    values = np.atleast_1d(check_probabilities(probabilities))
    if values.ndim != 1:
        raise ValueError(f"probabilities must have shape (classes,), got {values.shape}")
    check_whole("number of classes", len(values), 2, _WHY_TWO)
    return values


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
    """Whether value <= limit, asked exactly where rounding could decide: values are right to ten digits."""
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
