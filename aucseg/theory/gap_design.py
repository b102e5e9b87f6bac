"""Synthetic images for the gap of Theorem 1, whose degree of imbalance tau is set and nothing else.

An image is a set of pixels with a feature vector in the unit ball of d dimensions, of three classes (head,
middle, tail). A pixel's feature is its class centre plus a shift that the pixels of the class in one image
share plus its own noise: pixels of an image depend on each other, as in the first layer of the proof. The
head and the middle have the same number of pixels in every image. The tail has the same *mean* in every
design; some images hold a burst of it and the others one pixel, which sets tau = (burst / mean)^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats


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
