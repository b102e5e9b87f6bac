"""Empirical Rademacher complexity of linear pixel classifiers, by simulation and in closed bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from aucseg.theory.checks import check_confidence, check_positive, check_whole

_BLOCK = 2**22


@dataclass(frozen=True)
class Estimate:
    """A mean found by simulation.

    Attributes:
        value: the mean.
        low: lower end of its interval.
        high: upper end of its interval.
        confidence: of the interval, from the normal approximation of a mean.
        draws: simulated draws.
    """

    value: float
    low: float
    high: float
    confidence: float
    draws: int


def linear_rademacher(
    features: ArrayLike,
    radius: float = 1.0,
    *,
    nonnegative: bool = False,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    r"""Empirical Rademacher complexity (AUCSeg, Lemma 2) of linear scores of pixels, by simulation.

    For :math:`F = \{x \mapsto w \cdot x : \lVert w \rVert_2 \le \Lambda\}` the supremum has a closed form,

    .. math:: \hat R(F) = \mathbb{E}_\sigma \sup_w \frac1n \sum_i \sigma_i \, w \cdot x_i
        = \frac{\Lambda}{n} \mathbb{E}_\sigma \Bigl\| \sum_i \sigma_i x_i \Bigr\|_2,

    and with :math:`w \ge 0` the norm is taken of the positive part. With non-negative features in the unit
    ball, radius 1 and w non-negative, scores lie in [0, 1] and 0 is among them, as Lemma 6 asks.

    Args:
        features: x of each pixel, (n, d).
        radius: :math:`\Lambda`, above 0.
        nonnegative: whether weights are at least 0.
        draws: vectors of signs to draw, at least 2.
        seed: of the draws.
        confidence: of the interval, in (0, 1).

    Returns:
        The complexity, in units of score, with its interval.

    Raises:
        ValueError: for features that are not finite numbers (n, d).
        OptionError: for a value outside its range.
    """
    x = _features(features)
    size = int(check_whole("draws", draws, 2, "an interval needs a spread"))
    check_positive("radius", radius)
    check_confidence(confidence)
    rng = np.random.default_rng(seed)
    tops = []
    step = max(1, _BLOCK // len(x))
    for start in range(0, size, step):
        signs = rng.integers(0, 2, (min(step, size - start), len(x)), np.int8) * 2.0 - 1
        sums = signs @ x
        tops.append(np.linalg.norm(np.maximum(sums, 0) if nonnegative else sums, axis=1))
    values = radius * np.concatenate(tops) / len(x)
    half = float(ndtri((1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(size))
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half, confidence, size)


def linear_rademacher_bound(features: ArrayLike, radius: float = 1.0) -> float:
    r"""Closed bound of the complexity of linear scores, by Jensen's inequality.

    .. math:: \hat R(F) \le \frac{\Lambda}{n} \sqrt{\sum_i \|x_i\|_2^2}

    It holds with and without the sign constraint, and falls like one over the root of n.

    Args:
        features: x of each pixel, (n, d).
        radius: :math:`\Lambda`, above 0.

    Raises:
        ValueError, OptionError: see :func:`linear_rademacher`.
    """
    check_positive("radius", radius)
    x = _features(features)
    return float(radius * np.sqrt((x**2).sum()) / len(x))


def linear_log_covering(dimensions: int) -> Callable[[float], float]:
    r"""Bound of the log covering number of linear scores: :math:`d \log(1 + 2/\epsilon)`, and 0 from 1 on.

    For weights and features in unit balls of d dimensions: weights closer than epsilon give scores closer
    than epsilon, and so many balls cover the unit ball. It does not depend on the number of pixels, and is
    what :func:`dudley_bound` takes.

    Args:
        dimensions: d, at least 1.

    Raises:
        OptionError: for fewer dimensions than one.
    """
    d = int(check_whole("dimensions", dimensions, 1, "a linear score has a weight"))
    return lambda radius: 0.0 if radius >= 1 else d * math.log1p(2 / radius)


def _features(features: ArrayLike) -> np.ndarray:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"features must be finite numbers, (pixels, dimensions), got shape {x.shape}")
    return x
