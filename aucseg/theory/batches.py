"""Exact probabilities that a batch misses classes: for Proposition 1 and for the odds of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from aucseg.errors import OptionError

MAX_CLASSES = 20
"""Inclusion-exclusion visits every set of classes: 2^20 are a tenth of a second, 2^30 are not."""


def miss_probabilities(images: np.ndarray, num_images: int) -> Iterator[np.ndarray]:
    r"""Probability that a batch without replacement holds no image of a class, for B = 0, 1, ..., N.

    The hypergeometric :math:`\binom{N - n_c}{B} / \binom{N}{B} = \prod_{b<B} \frac{N - n_c - b}{N - b}`.

    Args:
        images: images :math:`n_c` that hold each class, (K,).
        num_images: images :math:`N` in the set.

    Yields:
        The probability of each class, (K,), first for the empty batch.
    """
    free = num_images - np.asarray(images, np.float64)
    result = np.ones(len(free))
    yield result
    for b in range(num_images):
        result = result * np.maximum(free - b, 0) / (num_images - b)
        yield result


def miss_probability(images: np.ndarray, num_images: int, batch_size: int) -> np.ndarray:
    """The value of :func:`miss_probabilities` at one batch size.

    Args:
        images: images that hold each class, (K,).
        num_images: images N in the set.
        batch_size: images B in the batch, 0 to N.
    """
    for size, missing in enumerate(miss_probabilities(images, num_images)):
        if size == batch_size:
            return missing
    raise OptionError(f"batch_size must be from 0 to the {num_images} images, got {batch_size}")


@dataclass(frozen=True)
class AbsenceCounts:
    """In how many images sets of classes are absent together; all that a batch of any size depends on.

    Attributes:
        num_images: images N.
        num_classes: classes C.
        cells: for each number of images and each size of a set, how many sets of that size are absent
            together from that many images: (images, size, number), by ascending images.
    """

    num_images: int
    num_classes: int
    cells: tuple[tuple[int, int, int], ...]


def absence_counts(presence: np.ndarray) -> AbsenceCounts:
    """Count for every set of classes the images that hold none of it.

    Args:
        presence: which image holds which class, (N, C) bool, at most 20 classes.

    Raises:
        ValueError: for more than 20 classes.
    """
    images, classes = presence.shape
    if classes > MAX_CLASSES:
        raise ValueError(f"inclusion-exclusion is for at most {MAX_CLASSES} classes, got {classes}")
    codes = presence.astype(np.int64) @ (1 << np.arange(classes, dtype=np.int64))
    free = np.bincount(codes, minlength=1 << classes)
    for bit in range(classes):  # free[T] becomes the number of images whose classes all lie in T
        pairs = free.reshape(-1, 2, 1 << bit)
        pairs[:, 1] += pairs[:, 0]
    free = free[::-1]  # and now the number that hold none of T
    sizes = np.bitwise_count(np.arange(1 << classes))
    cells, times = np.unique(sizes.astype(np.int64) * (images + 1) + free, return_counts=True)
    return AbsenceCounts(
        images,
        classes,
        tuple(
            sorted(
                (int(c) % (images + 1), int(c) // (images + 1), int(n))
                for c, n in zip(cells, times, strict=True)
            )
        ),
    )


def missing_from_counts(
    counts: AbsenceCounts, batch_size: int, *, replacement: bool = False
) -> tuple[Fraction, ...]:
    r"""Distribution of the number of classes that a batch misses, exactly.

    With :math:`S_k = \sum_{|T|=k} P(\text{all of } T \text{ missing})`, inclusion-exclusion gives
    :math:`P(M=j) = \sum_{k \ge j} (-1)^{k-j} \binom{k}{j} S_k`. A term is
    :math:`\binom{f_T}{B} / \binom{N}{B}` without and :math:`(f_T / N)^B` with replacement, :math:`f_T` the
    images that hold none of :math:`T`. The sums are made of whole numbers: in floating point their
    alternating terms would cancel.

    Args:
        counts: of the presence matrix.
        batch_size: images B in the batch; at most N without replacement.
        replacement: whether an image may be drawn twice.

    Returns:
        Probability of 0 to C missing classes.
    """
    images, classes = counts.num_images, counts.num_classes
    sums = [0] * (classes + 1)
    ways, at = 1, batch_size  # the binomial of (at, batch_size), carried along
    for unheld, size, number in counts.cells:
        if replacement:
            ways = unheld**batch_size
        elif unheld < batch_size:
            continue
        else:
            while at < unheld:
                at += 1
                ways = ways * at // (at - batch_size)
        sums[size] += number * ways
    whole = images**batch_size if replacement else math.comb(images, batch_size)
    return tuple(
        Fraction(sum((-1) ** (k - j) * math.comb(k, j) * sums[k] for k in range(j, classes + 1)), whole)
        for j in range(classes + 1)
    )


def missing_distribution(presence: np.ndarray, batch_size: int) -> np.ndarray:
    """Distribution of the number of classes that a batch without replacement misses, with real co-occurrence.

    Args:
        presence: which image holds which class, (N, C) bool, at most 20 classes.
        batch_size: images in the batch, at most N.

    Returns:
        Probability of 0 to C missing classes, (C + 1,).

    Raises:
        ValueError: for more than 20 classes.
    """
    return np.array([float(p) for p in missing_from_counts(absence_counts(presence), batch_size)])
