"""Samplers that show images of rare classes more often than others.

Seeds, resuming, workers and ranks are those of :class:`aucseg.data.StepBatchSampler`: a batch depends on seed
and step alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aucseg.data.sampling import Key, StepBatchSampler, check_presence, mix_seed
from aucseg.errors import OptionError


def repeat_factors(presence: np.ndarray, threshold: float) -> np.ndarray:
    r"""How often each image shall come where classes below a share of images are repeated (LVIS, Sec. 4).

    With the share :math:`f_k` of the images that hold class k:

    .. math:: r_k = \max\bigl(1, \sqrt{t / f_k}\bigr), \qquad r_i = \max_{k \in i} r_k

    Args:
        presence: which image holds which class, (N, K) bool.
        threshold: t, the share of images from which on a class is not repeated, in (0, 1].

    Returns:
        (N,) float64, at least 1; 1 for an image without a class.

    Raises:
        ValueError: if ``presence`` is not a matrix of bool, or the threshold out of its range.

    Example:
        >>> repeat_factors(np.array([[True, True], [True, False], [True, False], [True, False]]), 1.0)
        array([2., 1., 1., 1.])
    """
    presence = check_presence(presence)
    if not 0 < threshold <= 1:
        raise OptionError(f"threshold is a share of images in (0, 1], got {threshold!r}")
    share = presence.mean(0)
    with np.errstate(divide="ignore"):
        by_class = np.maximum(1, np.sqrt(threshold / share))
    return np.where(presence, by_class, 1.0).max(1)


def rarest_class_factors(presence: np.ndarray) -> np.ndarray:
    r"""How often each image shall come where it is drawn by the rarest class that it holds.

    .. math:: r_i \propto \max_{k \in i} 1 / n_k, \qquad \tfrac1N \textstyle\sum_i r_i = 1

    with the number :math:`n_k` of images that hold class k. BLV's Table 5 compares with "resampling" and does
    not define it; this is the usual reading for images that hold several classes.

    Args:
        presence: which image holds which class, (N, K) bool.

    Returns:
        (N,) float64 of mean 1. An image without a class counts as one of the most frequent class.

    Raises:
        ValueError: if ``presence`` is not a matrix of bool, or no image holds any class.
    """
    presence = check_presence(presence)
    images = presence.sum(0)
    if not images.any():
        raise OptionError("no image holds any class: there is nothing to sample by")
    rarity = np.divide(1, images, out=np.zeros(len(images)), where=images > 0)
    factors = np.where(presence, rarity, 1 / images.max()).max(1)
    return factors / factors.mean()


def rare_class_probabilities(pixels: np.ndarray, temperature: float) -> np.ndarray:
    r"""How often a class is drawn in rare-class sampling (DAFormer, Eq. 7 and 8).

    .. math:: P(k) = \frac{e^{(1 - f_k) / T}}{\sum_j e^{(1 - f_j) / T}}

    with the share :math:`f_k` of class k of all labelled pixels.

    Args:
        pixels: labelled pixels of each class, (K,), none negative, one at least positive.
        temperature: T, positive; 0.01 in DAFormer. The higher, the more equal the classes.

    Returns:
        (K,) float64, of sum 1; 0 for a class without a pixel.

    Raises:
        ValueError: for counts of another kind, or a temperature that is not positive.

    Example:
        >>> rare_class_probabilities(np.array([3, 1, 0]), 0.5).round(3)
        array([0.269, 0.731, 0.   ])
    """
    total = np.asarray(pixels)
    if total.ndim != 1 or (total < 0).any() or not np.isfinite(total).all() or not total.any():
        raise OptionError(f"pixels are counts (K,), one at least positive, got {total!r}")
    if not 0 < temperature < float("inf"):
        raise OptionError(f"temperature must be positive, got {temperature!r}")
    exponent = np.where(total > 0, (1 - total / total.sum()) / temperature, -np.inf)
    weights = np.exp(exponent - exponent.max())
    probabilities: np.ndarray = weights / weights.sum()
    return probabilities


class RepeatingBatchSampler(StepBatchSampler):
    r"""Batches in which each image comes as often as is wanted of it.

    An epoch is of round(sum of r) images. Image i comes :math:`\lfloor r_i \rfloor` or
    :math:`\lceil r_i \rceil` times in it, :math:`r_i` times on average (systematic sampling with one random
    start for an epoch), in random order. With r = 1 everywhere it is the plain sampler's, in another order.

    Args:
        factors: how often each image shall come in an epoch, (N,), finite and not negative; see
            :func:`repeat_factors` and :func:`rarest_class_factors`.
        batch_size: images in a step on one rank.
        options: ``seed``, ``steps`` and the others of :class:`aucseg.data.StepBatchSampler`.

    Raises:
        ValueError: for factors that are none, or a count out of its range.
    """

    def __init__(
        self,
        factors: np.ndarray,
        batch_size: int,
        **options: Any,
    ) -> None:
        factors = np.asarray(factors, np.float64)
        if factors.ndim != 1 or not np.isfinite(factors).all() or (factors < 0).any() or factors.sum() < 0.5:
            raise OptionError(
                f"factors are numbers of at least 0, one for each image, that add up to at least one image; "
                f"got shape {factors.shape}, sum {factors.sum()}"
            )
        super().__init__(len(factors), batch_size, **options)
        self.epoch_length = max(1, round(factors.sum()))
        self.factors = factors * (self.epoch_length / factors.sum())

    def _epoch(self, epoch: int) -> list[int]:
        rng = np.random.default_rng(mix_seed("repeats", self.seed, epoch))
        order = rng.permutation(self.num_images)
        ends = np.cumsum(self.factors[order])
        ends[-1] = self.epoch_length  # whatever rounding left
        times = np.diff(np.floor(ends + rng.random()), prepend=0).astype(np.int64)
        return rng.permutation(np.repeat(order, times)).tolist()


class RareClassBatchSampler(StepBatchSampler):
    """Batches of images that are drawn for a class, rare classes more often (DAFormer, Eq. 7 and 8).

    For every place of a batch a class is drawn, by :func:`rare_class_probabilities`, and then one of the
    images that hold enough of it. The class comes with the image, for a :class:`aucseg.data.ClassCrop`.

    Args:
        pixels: pixels of each class in each image, (N, K), integers.
        batch_size: images in a step on one rank.
        temperature: T, positive; 0.01 in DAFormer. The higher, the more equal the classes.
        min_pixels: an image counts for a class from this many of its pixels on; one number, or one for each
            image, (N,). DAFormer has 3,000 for images of 1280 x 720; scale it by the area. A class of which
            no image has as many takes those it has.
        options: ``seed``, ``steps`` and the others of :class:`aucseg.data.StepBatchSampler`.

    Attributes:
        probabilities: P, (K,); 0 for a class without a pixel.

    Raises:
        ValueError: for an option out of its range, or a table of another kind.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        batch_size: int,
        *,
        temperature: float = 0.01,
        min_pixels: int | np.ndarray = 1,
        **options: Any,
    ) -> None:
        pixels = np.asarray(pixels)
        if pixels.ndim != 2 or not np.issubdtype(pixels.dtype, np.integer) or (pixels < 0).any():
            raise OptionError(
                f"pixels are counts (images, classes), none negative, got {pixels.shape} of {pixels.dtype}"
            )
        if not pixels.any():
            raise OptionError("no image holds any class: there is nothing to sample by")
        self.probabilities = rare_class_probabilities(pixels.sum(0), temperature)
        if np.min(min_pixels) < 1:
            raise OptionError(f"min_pixels is at least 1, got {min_pixels!r}")
        super().__init__(len(pixels), batch_size, **options)
        self._images = []
        for column in pixels.T:
            enough = np.flatnonzero(column >= min_pixels)
            self._images.append(enough if len(enough) else np.flatnonzero(column))
        self._edges = np.cumsum(self.probabilities)
        self._edges[np.flatnonzero(self.probabilities)[-1] :] = 1.0  # whatever rounding left

    def __iter__(self) -> Iterator[list[Key]]:
        first = self.rank * self.batch_size
        for step, keys in enumerate(super().__iter__(), self.start_step):
            labels = self.classes_of(step)[first : first + self.batch_size]
            yield [(key[0], key[1], label) for key, label in zip(keys, labels, strict=True)]

    def classes_of(self, step: int) -> list[int]:
        """The classes for which the images of a step are drawn, on all ranks together.

        Args:
            step: the step.
        """
        rng = np.random.default_rng(mix_seed("rare classes", self.seed, step))
        found = np.searchsorted(self._edges, rng.random(self.batch_size * self.world_size), side="right")
        return found.tolist()

    def global_batch(self, step: int) -> list[int]:
        """Indices of the images of a step on all ranks together, ``batch_size * world_size``."""
        rng = np.random.default_rng(mix_seed("rare images", self.seed, step))
        images = (self._images[label] for label in self.classes_of(step))
        return [int(held[rng.integers(len(held))]) for held in images]
