r"""Does Theorem 1 say anything? The gap that it bounds, measured where everything can be computed exactly.

Scores are :math:`f^{(c)}(x) = \tfrac12 + w_c \cdot x` with :math:`\|w_c\| \le \tfrac12`, so in [0, 1], for
images drawn by a ``GapDesign``. The square AUC risk is then a quadratic function of the weights, made of
class-wise means and covariances, and

* its minimum (training), and
* the largest difference of the population's and the sample's risk over the whole class of scores, which is
  what Theorem 1 bounds,

are both exact, by :func:`minimise_in_ball`. The population is a large test set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_whole
from aucseg.theory.gap_design import GapDesign, draw_images
from aucseg.theory.trust_region import minimise_in_ball

RADIUS = 0.5
_TEST_SEED = 2**31


@dataclass(frozen=True)
class GapRow:
    """One training set.

    Attributes:
        tau: degree of imbalance of the design.
        spread: mean square over squared mean of the tail's pixels in an image.
        images: training images n.
        seed: of the training set.
        train_risk: square AUC risk of the trained scores on the training set, in [0, 4].
        erm_gap: their risk on the test set minus that; may be negative.
        sup_gap: largest such difference over all scores of the class, what Theorem 1 bounds; not negative.
        optimism: ``erm_gap`` less the same difference for the scores that are best on the test set, whose
            mean over training sets is near zero: what training itself adds; not negative.
        auc_gap: AUC (Eq. 6) of the trained scores on the training set minus that on the test set.
    """

    tau: float
    spread: float
    images: int
    seed: int
    train_risk: float
    erm_gap: float
    sup_gap: float
    optimism: float
    auc_gap: float


@dataclass(frozen=True, eq=False)
class _Moments:
    """Means (K, d) and second moments about zero (K, d, d) of the pixels of each class."""

    mean: Floats
    square: Floats


def measure_gaps(design: GapDesign, seeds: Sequence[int]) -> list[GapRow]:
    """Train on the first n of the images that each seed draws, for each tau, and measure the gaps.

    Args:
        design: what is drawn.
        seeds: of the training sets, each at least 0.

    Returns:
        One row for each tau, seed and n.

    Raises:
        ValueError: without a seed or for a negative one.
    """
    if not seeds:
        raise OptionError("no seed: give at least one, and several for an interval")
    for seed in seeds:
        check_whole("seed", seed, 0, "it seeds a generator")
    rows = []
    for burst in design.bursts:
        test = _population(design, burst)
        ranked = draw_images(design, burst, design.ranked_images, _TEST_SEED + 1).pixels
        for seed in seeds:
            train = draw_images(design, burst, design.sizes[-1], seed)
            for size in design.sizes:
                pixels = train.first(size)
                rows.append(_row(design, burst, size, seed, pixels, test, ranked))
    return rows


def risk_quadratic(moments_mean: Floats, moments_square: Floats) -> tuple[Floats, Floats]:
    r"""The square AUC risk of linear scores as a quadratic function of the weights of each class.

    .. math:: \frac{1}{K(K-1)} \sum_c \bigl( K - 1 - 2\, g_c \cdot w_c + w_c^\top H_c w_c \bigr)

    Args:
        moments_mean: mean feature of each class, (K, d).
        moments_square: mean of the outer product of a feature with itself, (K, d, d).

    Returns:
        H, (K, d, d), and g, (K, d).
    """
    k = len(moments_mean)
    total, square = moments_mean.sum(0), moments_square.sum(0)
    g = k * moments_mean - total
    crossed = moments_mean[:, :, None] * (total - moments_mean)[:, None, :]
    h = (k - 2) * moments_square + square - crossed - crossed.transpose(0, 2, 1)
    return h, g


def pixel_auc(weights: Floats, pixels: Sequence[Floats]) -> float:
    """AUC of linear scores, Eq. 6: the mean over ordered pairs of classes, by ranks, ties counted half.

    Args:
        weights: w of each class, (K, d).
        pixels: features of the pixels of each class, K arrays (n_c, d).
    """
    values = []
    for c, weight in enumerate(weights):
        scores = [x @ weight for x in pixels]
        for other in range(len(pixels)):
            if other != c:
                m, n = len(scores[c]), len(scores[other])
                ranks = rankdata(np.concatenate((scores[c], scores[other])))[:m]
                values.append((ranks.sum() - m * (m + 1) / 2) / (m * n))
    return float(np.mean(values))


def _row(
    design: GapDesign,
    burst: int,
    size: int,
    seed: int,
    pixels: list[Floats],
    test: _Moments,
    ranked: list[Floats],
) -> GapRow:
    h, g = risk_quadratic(*_moments_of(pixels))
    h_test, g_test = risk_quadratic(test.mean, test.square)
    k = len(g)
    weights = np.array([minimise_in_ball(h[c], g[c], RADIUS).point for c in range(k)])
    # the largest difference is the least of its negative
    worst = -sum(minimise_in_ball(h[c] - h_test[c], g[c] - g_test[c], RADIUS).value for c in range(k))
    best = np.array([minimise_in_ball(h_test[c], g_test[c], RADIUS).point for c in range(k)])
    train_risk, test_risk = _risk(h, g, weights), _risk(h_test, g_test, weights)
    return GapRow(
        tau=design.tau(burst),
        spread=design.spread(burst),
        images=size,
        seed=seed,
        train_risk=train_risk,
        erm_gap=test_risk - train_risk,
        sup_gap=worst / (k * (k - 1)),
        optimism=test_risk - train_risk - (_risk(h_test, g_test, best) - _risk(h, g, best)),
        auc_gap=pixel_auc(weights, pixels) - pixel_auc(weights, ranked),
    )


def _risk(h: Floats, g: Floats, weights: Floats) -> float:
    k = len(g)
    bent = np.einsum("ci,cij,cj->", weights, h, weights)
    return float(1 + (bent - 2 * (g * weights).sum()) / (k * (k - 1)))


def _moments_of(pixels: Sequence[Floats]) -> tuple[Floats, Floats]:
    mean = np.array([x.mean(0) for x in pixels])
    square = np.array([x.T @ x / len(x) for x in pixels])
    return mean, square


def _population(design: GapDesign, burst: int) -> _Moments:
    """Moments of the test set, in blocks: its pixels need not fit into memory."""
    block = 4096
    count = np.zeros(3)
    mean = np.zeros((3, design.dimensions))
    square = np.zeros((3, design.dimensions, design.dimensions))
    for number, start in enumerate(range(0, design.test_images, block)):
        part = draw_images(
            design, burst, min(block, design.test_images - start), _TEST_SEED + 2 + number
        ).pixels
        sizes = np.array([len(x) for x in part])
        m, s = _moments_of(part)
        mean, square = mean + sizes[:, None] * m, square + sizes[:, None, None] * s
        count += sizes
    return _Moments(mean / count[:, None], square / count[:, None, None])
