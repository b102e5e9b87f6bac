r"""Does Theorem 1 say anything? The gap that it bounds, measured where everything can be computed exactly.

Synthetic images: sets of pixels with a feature vector in the unit ball of d dimensions, three classes (head,
middle, tail). A pixel's feature is its class centre plus a shift that the pixels of the class in one image
share plus its own noise: pixels of an image depend on each other, as in the first layer of the proof. The
head and the middle have the same number of pixels in every image. The tail has the same *mean* in every
design; some images hold a burst of it and the others one pixel, which sets tau = (burst / mean)^2 and nothing
else.

Scores are :math:`f^{(c)}(x) = \tfrac12 + w_c \cdot x` with :math:`\|w_c\| \le \tfrac12`, so in [0, 1]. The
square AUC risk is then a quadratic function of the weights, made of class-wise means and covariances, and

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

from aucseg.theory.checks import Floats, check_whole
from aucseg.theory.trust_region import minimise_in_ball

RADIUS = 0.5
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
            raise ValueError(f"sizes must ascend from at least 2, got {self.sizes}")
        if min(self.bursts) < self.tail_mean or self.tail_mean < 2:
            raise ValueError(
                f"a burst is at least the mean of the tail, and that at least 2; got {self.bursts} and "
                f"{self.tail_mean}"
            )
        if not 1 <= self.ranked_images <= self.test_images or self.dimensions < 3:
            raise ValueError("ranked_images must be from 1 to test_images, and dimensions at least 3")

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


@dataclass(frozen=True, eq=False)
class _Images:
    """Pixels of each class, and where those of each image begin."""

    pixels: list[Floats]
    starts: list[np.ndarray]

    def first(self, images: int) -> list[Floats]:
        """The pixels of the first images, class by class."""
        return [x[: start[images]] for x, start in zip(self.pixels, self.starts, strict=True)]


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
        raise ValueError("no seed: give at least one, and several for an interval")
    for seed in seeds:
        check_whole("seed", seed, 0, "it seeds a generator")
    rows = []
    for burst in design.bursts:
        test = _population(design, burst)
        ranked = _draw(design, burst, design.ranked_images, _TEST_SEED + 1).pixels
        for seed in seeds:
            train = _draw(design, burst, design.sizes[-1], seed)
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
        part = _draw(design, burst, min(block, design.test_images - start), _TEST_SEED + 2 + number).pixels
        sizes = np.array([len(x) for x in part])
        m, s = _moments_of(part)
        mean, square = mean + sizes[:, None] * m, square + sizes[:, None, None] * s
        count += sizes
    return _Moments(mean / count[:, None], square / count[:, None, None])


def _draw(design: GapDesign, burst: int, images: int, seed: int) -> _Images:
    """Images of one design; the first n of them are the same for every number of images."""
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
    return _Images(pixels, starts)
