r"""AUCSeg Definition 3, Lemmas 5 and 6: covering numbers of small classes, exactly, and their uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad
from scipy.optimize import Bounds, LinearConstraint, milp, minimize_scalar

from aucseg.errors import OptionError
from aucseg.theory.checks import check_positive, check_whole
from aucseg.theory.decomposition import split_pairs
from aucseg.theory.graphs import maximal_cliques, membership


@dataclass(frozen=True)
class Contraction:
    """Both sides of Lemma 5 for one finite class; it says ``losses <= scores``.

    Attributes:
        losses: covering number of the inner losses at the radius.
        scores: covering number of the score maps at ``score_radius``.
        radius: epsilon, in units of loss.
        score_radius: epsilon / (2 mu rho_max), in units of score.
        rho_max: largest weight of an image.
    """

    losses: int
    scores: int
    radius: float
    score_radius: float
    rho_max: float


@dataclass(frozen=True)
class DudleyBound:
    """Lemma 6 with its best alpha.

    Attributes:
        value: the bound of the empirical Rademacher complexity.
        alpha: where the infimum is.
    """

    value: float
    alpha: float


def covering_number(values: ArrayLike, radius: float) -> int:
    """Smallest number of balls of the maximum norm that hold all vectors (AUCSeg, Definition 3).

    Centres may be any vectors. A group then fits into one ball if in no coordinate two of its members are
    further apart than twice the radius: the middle of each coordinate is the centre. So groups are cliques of
    a graph, and the least number of them that holds every vector is a whole-number programme.

    Args:
        values: one vector for each function of the class, (F, n); up to some dozens of functions.
        radius: of the balls, above 0.

    Returns:
        The number, from 1 to F.

    Raises:
        ValueError: for another shape or values that are not finite.
        OptionError: for a radius that is not above 0.

    Example:
        >>> covering_number([[0.0], [0.5], [1.0]], 0.25)
        2
    """
    vectors = np.asarray(values, np.float64)
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError(f"values must be finite, (functions, points), got shape {vectors.shape}")
    check_positive("radius", radius)
    apart = np.abs(vectors[:, None] - vectors[None]).max(2)
    near = (apart <= 2 * radius) & ~np.eye(len(vectors), dtype=bool)
    balls = maximal_cliques(near)
    solved = milp(
        np.ones(len(balls)),
        constraints=LinearConstraint(membership(balls, len(vectors)), lb=1),
        integrality=np.ones(len(balls)),
        bounds=Bounds(0, 1),
    )
    if not solved.success:
        raise RuntimeError(f"the whole-number programme found no solution: {solved.message}")
    return round(solved.fun)


def loss_contraction(
    scores: ArrayLike,
    labels: ArrayLike,
    positive: int,
    negative: int,
    radius: float,
    *,
    lipschitz: float = 4.0,
) -> Contraction:
    r"""Lemma 5 on a finite class: the inner losses need no more balls than the score maps.

    .. math:: N(\ell \circ F, \epsilon) \le N(F, \epsilon / (2 \mu \rho_{\max}))

    The left side covers one number for each image, the right side one for each pixel.

    Args:
        scores: f of the class ``positive`` for each function, (F, N, P), in [0, 1].
        labels: classes, (N, P).
        positive: the class +.
        negative: the class -.
        radius: epsilon.
        lipschitz: mu; 4 for the square loss of scores in [0, 1].

    Returns:
        Both covering numbers.

    Raises:
        ValueError: for scores of another shape or outside [0, 1].
        OptionError: for labels that have no pair inside an image, or what ``split_pairs`` refuses.
    """
    maps = np.asarray(scores, np.float64)
    if maps.ndim != 3 or not ((maps >= 0) & (maps <= 1)).all():
        raise ValueError(f"scores must be (functions, images, pixels) in [0, 1], got shape {maps.shape}")
    check_positive("radius", radius)
    mu = float(check_positive("lipschitz", lipschitz))
    splits = [split_pairs(one, labels, positive, negative) for one in maps]
    rho = splits[0].rho_inner  # of the labels alone
    if rho == 0:
        raise OptionError(f"no image holds both {positive} and {negative}: there is no pair inside an image")
    score_radius = radius / (2 * mu * rho)
    compared = np.isin(np.asarray(labels), (positive, negative))
    return Contraction(
        covering_number([part.inner_losses for part in splits], radius),
        covering_number(maps[:, compared], score_radius),
        radius,
        score_radius,
        rho,
    )


def dudley_bound(log_covering: Callable[[float], float], sample_size: int) -> DudleyBound:
    r"""Lemma 6: the empirical Rademacher complexity is at most an integral over covering numbers (Eq. 25).

    .. math:: \hat R(F) \le \inf_{\alpha > 0} \Bigl( 4\alpha
        + \frac{12}{\sqrt n} \int_\alpha^1 \sqrt{\log N(F, \epsilon)} \, d\epsilon \Bigr)

    Args:
        log_covering: the logarithm of the covering number at a radius in (0, 1], or an upper bound of it.
        sample_size: n.

    Returns:
        The bound and its alpha. The integral is numeric, to about eight digits.

    Raises:
        ValueError: for a negative logarithm.
        OptionError: for a sample below 1.
    """
    root_n = float(np.sqrt(check_whole("sample_size", sample_size, 1, "an empty sample has no mean")))

    def root(radius: float) -> float:
        value = log_covering(radius)
        if value < 0:
            raise ValueError(f"log_covering({radius:g}) is {value:g}: a covering number is at least 1")
        return float(np.sqrt(value))

    def bound(alpha: float) -> float:
        integral = quad(root, alpha, 1.0, limit=400, epsabs=1e-9, epsrel=1e-8)[0]
        return float(4 * alpha + 12 / root_n * integral)

    best = minimize_scalar(lambda t: bound(float(np.exp(t))), bounds=(np.log(1e-8), 0.0), method="bounded")
    found, end = float(np.exp(best.x)), bound(1.0)
    return DudleyBound(float(best.fun), found) if best.fun < end else DudleyBound(end, 1.0)
