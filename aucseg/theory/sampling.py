r"""AUCSeg Proposition 1: how large a batch must be to hold every class.

The proof bounds the probability that a class is missing by a sum over classes (Eq. 40):

.. math:: P(\text{some class missing}) \le \sum_i (1 - p_i)^B \le K (1 - \min_i p_i)^B \le \delta,

so :math:`B \ge \log(\delta/K) / \log(1 - \min_i p_i)` is *sufficient*. The paper writes Omega and "at least",
which would make it necessary; what the rarest class alone forces is
:math:`B \ge \log \delta / \log(1 - \min_i p_i)`.

Remark 2 asks for K = 19, delta = 0.01 and min p = 1 % and prints 759. The formula gives
:math:`\ln(0.01/19) / \ln(0.99) = 751.18`, so 752; at 752 the union bound is 0.00992 and at 751 it is 0.01002.
The approximation :math:`\ln(1-p) \approx -p` would give 755. The printed number is
:math:`\ln(19/0.01) / \ln(1.01) = 758.7`: a plus sign in the place of the minus.
"""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import ArrayLike

from aucseg.theory.checks import Floats, check_delta, check_probabilities, check_whole

_WHY_TWO = "a single class needs no batch that holds them all"


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
        ValueError: for a value outside its range; with p = 0 no finite batch is enough.

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
        ValueError: for a value outside its range.

    Example:
        >>> necessary_batch_size(0.01, 0.01)
        459
    """
    return _smallest_power(1, delta, min_probability)


def all_present_probability(probabilities: ArrayLike, batch_size: int, *, method: str = "product") -> float:
    r"""Probability that a batch of independent images holds every class, for independent classes.

    .. math:: \prod_i \bigl(1 - (1 - p_i)^B\bigr) = \sum_{T} (-1)^{|T|} \prod_{i \in T} (1 - p_i)^B

    Args:
        probabilities: p_i that an image holds each class, (K,), in (0, 1].
        batch_size: images B in the batch, at least 1.
        method: ``"product"``, or ``"inclusion_exclusion"``, the sum over all sets of at most 20 classes: the
            same number by the way that also works where classes depend on each other.

    Returns:
        The probability.

    Raises:
        ValueError: for a value outside its range, or more than 20 classes for the sum.

    Example:
        >>> all_present_probability([0.5, 0.5], 1)
        0.25
    """
    values = check_classes(probabilities)
    size = int(check_whole("batch_size", batch_size, 1, "an empty batch holds no class"))
    missing = (1 - values) ** size
    if method == "product":
        return float(np.prod(1 - missing))
    if method != "inclusion_exclusion":
        raise ValueError(f"unknown method {method!r}; use 'product' or 'inclusion_exclusion'")
    if len(values) > 20:
        raise ValueError(f"inclusion-exclusion is for at most 20 classes, got {len(values)}; use 'product'")
    terms = (
        (-1) ** count * math.prod(chosen)
        for count in range(len(values) + 1)
        for chosen in itertools.combinations(missing.tolist(), count)
    )
    return math.fsum(terms)


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


def check_classes(probabilities: ArrayLike) -> Floats:
    """Probabilities of at least two classes.

    Args:
        probabilities: p_i that an image holds each class, (K,), in (0, 1].

    Raises:
        ValueError: for another shape, a value outside its range or fewer than two classes.
    """
    values = np.atleast_1d(check_probabilities(probabilities))
    if values.ndim != 1:
        raise ValueError(f"probabilities must have shape (classes,), got {values.shape}")
    check_whole("number of classes", len(values), 2, _WHY_TWO)
    return values
