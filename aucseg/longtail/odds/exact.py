"""Exact means over batches drawn without replacement, as far as only the odds need them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
