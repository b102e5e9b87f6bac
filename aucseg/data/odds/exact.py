"""Exact probabilities for batches drawn without replacement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

MAX_CLASSES = 20
"""Inclusion-exclusion visits every set of classes: 2^20 are a tenth of a second, 2^30 are not."""


def miss_probability(images: np.ndarray, num_images: int, batch_size: int) -> np.ndarray:
    r"""Probability that a batch holds no image of a class, for each class.

    The hypergeometric :math:`\binom{N - n_c}{B} / \binom{N}{B} = \prod_{b<B} \frac{N - n_c - b}{N - b}`.

    Args:
        images: images :math:`n_c` that hold each class.
        num_images: images :math:`N` in the set.
        batch_size: images :math:`B` in the batch.
    """
    free = num_images - np.asarray(images, np.float64)
    result = np.ones(len(free))
    for b in range(batch_size):
        result *= np.maximum(free - b, 0) / (num_images - b)
    return result


def missing_distribution(presence: np.ndarray, batch_size: int) -> np.ndarray:
    r"""Distribution of the number of classes that a batch misses, with their real co-occurrence.

    With :math:`S_k = \sum_{|T|=k} P(\text{all of } T \text{ missing})`, each term hypergeometric in the
    number of images that hold none of :math:`T`, inclusion-exclusion gives
    :math:`P(M=j) = \sum_{k \ge j} (-1)^{k-j} \binom{k}{j} S_k`. The sums are made of whole numbers: in
    floating point their alternating terms would cancel.

    Args:
        presence: which image holds which class, (N, C) bool, at most 20 classes.
        batch_size: images in the batch, at most N.

    Returns:
        Probability of 0 to C missing classes, (C + 1,).

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
    sums = [0] * (classes + 1)
    cells, times = np.unique(sizes.astype(np.int64) * (images + 1) + free, return_counts=True)
    by_free = sorted(
        (int(c) % (images + 1), int(c) // (images + 1), int(n)) for c, n in zip(cells, times, strict=True)
    )
    ways, at = 1, batch_size  # the binomial of (at, batch_size), carried along
    for unheld, size, number in by_free:
        if unheld < batch_size:
            continue
        while at < unheld:
            at += 1
            ways = ways * at // (at - batch_size)
        sums[size] += number * ways
    whole = math.comb(images, batch_size)
    exact = [
        Fraction(sum((-1) ** (k - j) * math.comb(k, j) * sums[k] for k in range(j, classes + 1)), whole)
        for j in range(classes + 1)
    ]
    return np.array([float(p) for p in exact])


def count_distribution(probabilities: Sequence[float]) -> np.ndarray:
    """Distribution of the number of independent events that happen, (n + 1,) (Poisson binomial)."""
    result = np.ones(1)
    for p in probabilities:
        result = np.append(result * (1 - p), 0.0) + np.append(0.0, result * p)
    return result


def mean_product(weights: np.ndarray, batch_size: int) -> np.ndarray:
    r"""Mean over all batches without replacement of the product of its images' weights.

    With :math:`E_k` the mean over all subsets of :math:`k` of the first :math:`n` images, one image more
    gives :math:`E_k \leftarrow \frac{n+1-k}{n+1} E_k + \frac{k}{n+1} w E_{k-1}`: sums of what is never
    negative, so nothing cancels.

    Args:
        weights: a weight in [0, 1] for each image and class, (N, C).
        batch_size: images in the batch, at most N.

    Returns:
        The mean for each class, (C,).
    """
    means = np.zeros((batch_size + 1, weights.shape[1]))
    means[0] = 1
    order = np.arange(1, batch_size + 1)[:, None]
    for n, weight in enumerate(weights, start=1):
        share = np.minimum(order / n, 1)
        means[1:] = (1 - share) * means[1:] + share * weight * means[:-1]
    return means[-1]
