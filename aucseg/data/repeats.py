"""What a sampler repeats, and what its batches miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aucseg.data.sampling import StepBatchSampler
from aucseg.data.stratified import check_presence


@dataclass(frozen=True, eq=False)
class Repeats:
    """How often a sampler showed each image.

    Args:
        times: how often each image came, (N,) int64.
        per_class: mean times of the images of each class, over the mean of all images: 1 is no repetition
            beyond the others', (K,); NaN for a class without an image.
        most: the most often shown image, over the mean of all images.
        unseen: images that never came.
        missed: share of the steps whose batch lacks each class, (K,).
    """

    times: np.ndarray
    per_class: np.ndarray
    most: float
    unseen: int
    missed: np.ndarray


def count_repeats(sampler: StepBatchSampler, presence: np.ndarray) -> Repeats:
    """Walk through a sampler and count what it repeats and what its batches miss.

    On one of several ranks it counts that rank's part.

    Args:
        sampler: any sampler of this package that still has a step to give.
        presence: which image holds which class, (N, K) bool.

    Raises:
        ValueError: if the matrix is not of the sampler's images, or no step is left.
    """
    presence = check_presence(presence)
    if len(presence) != sampler.num_images:
        raise ValueError(f"presence has {len(presence)} images, the sampler {sampler.num_images}")
    steps = sampler.steps - sampler.start_step
    if not steps:
        raise ValueError(f"no step is left from start_step={sampler.start_step} to steps={sampler.steps}")
    times, missed = np.zeros(len(presence), np.int64), np.zeros(presence.shape[1])
    for batch in sampler:
        indices = [index for index, _ in batch]
        np.add.at(times, indices, 1)
        missed += ~presence[indices].any(0)
    held, mean = presence.sum(0), times.mean()
    shown = times @ presence.astype(np.int64)
    per_class = np.divide(shown, held * mean, out=np.full(len(held), np.nan), where=held > 0)
    return Repeats(times, per_class, float(times.max() / mean), int((times == 0).sum()), missed / steps)
