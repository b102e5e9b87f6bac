r"""Does Theorem 1 say anything? The gap that it bounds, measured where everything can be computed exactly.

Scores are :math:`f^{(c)}(x) = \tfrac12 + w_c \cdot x` with :math:`\|w_c\| \le \tfrac12`, so in [0, 1], for
images drawn by a ``GapDesign``. The square AUC risk is then a quadratic function of the weights, made of
class-wise means and covariances, and

* its minimum (training), and
* the largest difference of the population's and the sample's risk over the whole class of scores, which is
  what Theorem 1 bounds,

are both exact, by :func:`minimise_in_ball`. The population is a large test set.

An image is a set of pixels with a feature vector in the unit ball of d dimensions, of three classes (head,
middle, tail). A pixel's feature is its class centre plus a shift that the pixels of the class in one image
share plus its own noise: pixels of an image depend on each other, as in the first layer of the proof. The
head and the middle have the same number of pixels in every image. The tail has the same *mean* in every
design; some images hold a burst of it and the others one pixel, which sets tau = (burst / mean)^2 and nothing
else.

How the gaps fall with the number of images and rise with tau is fitted as exponents (:func:`fit_gaps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_confidence, check_option, check_whole
from aucseg.theory.trust_region import minimise_in_ball

RADIUS = 0.5
QUANTITIES = ("sup_gap", "optimism", "erm_gap", "auc_gap")
_TEST_SEED = 2**31


@dataclass(frozen=True)
class GapDesign:
    """What is drawn. The defaults take about a minute on one core.

    Attributes:
        sizes: numbers of training images n, ascending.
        bursts: pixels of the tail in the images that hold many; each makes one tau.
        tail_mean: mean pixels of the tail in an image.
        others: pixels of the head and of the middle class in every image.
        dimensions: d of the features.
        shift: standard deviation of what the pixels of a class in one image share, per dimension.
        noise: standard deviation of a pixel's own noise, per dimension.
        test_images: images of the test set that stands for the population.
        ranked_images: how many of them the exact AUC is ranked on.
    """

    sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    bursts: tuple[int, ...] = (4, 8, 16, 32, 64)
    tail_mean: int = 4
    others: tuple[int, int] = (32, 16)
    dimensions: int = 6
    shift: float = 0.15
    noise: float = 0.2
    test_images: int = 65_536
    ranked_images: int = 1024

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 2:
            raise OptionError(f"sizes must ascend from at least 2, got {self.sizes}")
        if min(self.bursts) < self.tail_mean or self.tail_mean < 2:
            raise OptionError(
                f"a burst is at least the mean of the tail, and that at least 2; got {self.bursts} and "
                f"{self.tail_mean}"
            )
        if not 1 <= self.ranked_images <= self.test_images or self.dimensions < 3:
            raise OptionError("ranked_images must be from 1 to test_images, and dimensions at least 3")

    def tau(self, burst: int) -> float:
        """Degree of imbalance: the square of the largest over the mean pixels of the tail in an image."""
        return (burst / self.tail_mean) ** 2

    def spread(self, burst: int) -> float:
        """Mean square over squared mean of the pixels of the tail in an image: 1 if all hold equally many."""
        often = self._often(burst)
        return ((1 - often) + often * burst**2) / self.tail_mean**2

    def _often(self, burst: int) -> float:
        """Share of images with a burst, which keeps the mean."""
        return (self.tail_mean - 1) / (burst - 1)


@dataclass(frozen=True, eq=False)
class DrawnImages:
    """Pixels of each class, and where those of each image begin."""

    pixels: list[Floats]
    starts: list[np.ndarray]

    def first(self, images: int) -> list[Floats]:
        """The pixels of the first images, class by class."""
        return [x[: start[images]] for x, start in zip(self.pixels, self.starts, strict=True)]


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


@dataclass(frozen=True)
class Slope:
    """An exponent and its interval.

    Attributes:
        value: the exponent, from a straight line through logarithms.
        low: lower end of its interval.
        high: upper end of its interval.
        confidence: of the interval, by resampling seeds.
    """

    value: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class GapFit:
    r"""The gap as a product of powers, :math:`\text{gap} \approx C\, n^a\, \tau^b`, of means over seeds.

    Attributes:
        quantity: the gap that was fitted, a field of ``GapRow``.
        per_images: a; Theorem 1 claims -1/2, up to logarithms.
        per_tau: b; Theorem 1 claims 1. None with a single tau.
        per_spread: the exponent of ``spread`` in the place of tau; None with a single tau.
        by_tau: a for each tau alone.
        seeds: number of seeds.
    """

    quantity: str
    per_images: Slope
    per_tau: Slope | None
    per_spread: Slope | None
    by_tau: dict[float, Slope]
    seeds: int


def measure_gaps(design: GapDesign, seeds: Sequence[int]) -> list[GapRow]:
    """Train on the first n of the images that each seed draws, for each tau, and measure the gaps.

    Args:
        design: what is drawn.
        seeds: of the training sets, each at least 0.

    Returns:
        One row for each tau, seed and n.

    Raises:
        OptionError: without a seed or for a negative one.
    """
    if not seeds:
        raise OptionError("no seed", remedy="give at least one, and several for an interval")
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


def fit_gaps(
    rows: Sequence[GapRow], quantity: str, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> GapFit:
    """Fit the exponents of a gap.

    Args:
        rows: what ``measure_gaps`` found, every tau and n with the same seeds.
        quantity: one of ``QUANTITIES``; the last two may be negative and have no logarithm.
        resamples: how often the seeds are drawn again, with replacement.
        confidence: of the intervals, in (0, 1).
        seed: of the resampling.

    Returns:
        The exponents.

    Raises:
        ValueError: for an unknown quantity.
        OptionError: for rows that are not a full grid, fewer than three seeds or two sizes, or a mean over
            seeds that is not above 0 and has no logarithm.
    """
    check_option("quantity", quantity, QUANTITIES)
    check_confidence(confidence)
    taus = sorted({row.tau for row in rows})
    sizes = sorted({row.images for row in rows})
    seeds = sorted({row.seed for row in rows})
    found = {(row.tau, row.images, row.seed): getattr(row, quantity) for row in rows}
    if len(found) != len(rows) or len(rows) != len(taus) * len(sizes) * len(seeds):
        raise OptionError(
            f"{len(rows)} rows are no full grid of {len(taus)} tau, {len(sizes)} n, {len(seeds)} seeds"
        )
    if len(seeds) < 3 or len(sizes) < 2:
        raise OptionError(
            f"a slope with an interval needs 3 seeds and 2 sizes, got {len(seeds)} and {len(sizes)}"
        )
    grid = np.array([[[found[t, n, s] for s in seeds] for n in sizes] for t in taus])
    spreads = [next(row.spread for row in rows if row.tau == t) for t in taus]
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(seeds), size=(resamples, len(seeds)))
    means = np.array([grid.mean(2), *(grid[:, :, draw].mean(2) for draw in draws)])
    if (means[0] <= 0).any():
        raise OptionError(
            f"a mean {quantity} over seeds is not above 0 and has no logarithm", remedy="take more seeds"
        )
    # a resample of few seeds may fall below 0; it then lacks a logarithm and is left out of the interval
    logs = np.log(means[(means > 0).all((1, 2))])

    def slope(response: Floats, *columns: Floats) -> list[Slope]:
        design = np.column_stack([*columns, np.ones(columns[0].shape)])
        fits = np.linalg.lstsq(design, response.reshape(len(response), -1).T, rcond=None)[0]
        tails = (1 - confidence) / 2, (1 + confidence) / 2
        return [
            Slope(float(line[0]), float(low), float(high), confidence)
            for line, (low, high) in zip(fits[:-1], np.quantile(fits[:-1, 1:], tails, axis=1).T, strict=True)
        ]

    n = np.log(np.tile(sizes, len(taus)))
    per_tau = per_spread = None
    if len(taus) > 1:
        per_images, per_tau = slope(logs, n, np.log(np.repeat(taus, len(sizes))))
        per_spread = slope(logs, n, np.log(np.repeat(spreads, len(sizes))))[1]
    else:
        (per_images,) = slope(logs, n)
    by_tau = {t: slope(logs[:, i], np.log(np.array(sizes, float)))[0] for i, t in enumerate(taus)}
    return GapFit(quantity, per_images, per_tau, per_spread, by_tau, len(seeds))


def draw_images(design: GapDesign, burst: int, images: int, seed: int) -> DrawnImages:
    """Images of one design; the first n of them are the same for every number of images.

    Args:
        design: what is drawn.
        burst: pixels of the tail in the images that hold many.
        images: how many.
        seed: of the images.
    """
    pixels, starts = [], []
    centres = 0.4 * np.eye(design.dimensions)[:3]
    # a stream for each class and purpose, so that more images only append
    streams = np.random.SeedSequence([seed, burst]).spawn(9)
    for c in range(3):
        of_count, of_shift, of_noise = (np.random.default_rng(s) for s in streams[3 * c : 3 * c + 3])
        if c < 2:
            counts = np.full(images, design.others[c])
        else:
            counts = np.where(of_count.random(images) < design._often(burst), burst, 1)
        shift = of_shift.normal(0, design.shift, (images, design.dimensions))
        x = centres[c] + np.repeat(shift, counts, axis=0)
        x += of_noise.normal(0, design.noise, x.shape)
        x /= np.maximum(1, np.linalg.norm(x, axis=1))[:, None]
        pixels.append(x)
        starts.append(np.concatenate(([0], counts.cumsum())))
    return DrawnImages(pixels, starts)


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
    test: tuple[Floats, Floats],
    ranked: list[Floats],
) -> GapRow:
    h, g = risk_quadratic(*class_moments(pixels))
    h_test, g_test = risk_quadratic(*test)
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


def class_moments(pixels: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Means and second moments about zero of the pixels of each class.

    Args:
        pixels: features of the pixels of each class, K arrays (n_c, d).

    Returns:
        The means, (K, d), and the means of the outer product of a feature with itself, (K, d, d).
    """
    mean = np.array([x.mean(0) for x in pixels])
    square = np.array([x.T @ x / len(x) for x in pixels])
    return mean, square


def _population(design: GapDesign, burst: int) -> tuple[Floats, Floats]:
    """Moments of the pixels of the test set, in blocks: its pixels need not fit into memory."""
    block = 4096
    count = np.zeros(3)
    mean = np.zeros((3, design.dimensions))
    square = np.zeros((3, design.dimensions, design.dimensions))
    for number, start in enumerate(range(0, design.test_images, block)):
        part = draw_images(
            design, burst, min(block, design.test_images - start), _TEST_SEED + 2 + number
        ).pixels
        sizes = np.array([len(x) for x in part])
        m, s = class_moments(part)
        mean, square = mean + sizes[:, None] * m, square + sizes[:, None, None] * s
        count += sizes
    return mean / count[:, None], square / count[:, None, None]
