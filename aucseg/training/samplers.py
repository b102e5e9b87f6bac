"""The orders of training images by name: a new one is a function here and its line in ``SAMPLERS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from aucseg.data import (
    CoveringBatchSampler,
    RareClassBatchSampler,
    RepeatingBatchSampler,
    StepBatchSampler,
    StratifiedBatchSampler,
    rarest_class_factors,
    repeat_factors,
)
from aucseg.training.classes import ClassInfo


class SamplingOptions(Protocol):
    """What a sampling is told of the section ``data``, whose keys have these names."""

    @property
    def batch_size(self) -> int:
        """Images in a step."""

    @property
    def repeat_threshold(self) -> float:
        """Share of images from which on a class is not repeated."""

    @property
    def rare_temperature(self) -> float:
        """Temperature T."""

    @property
    def rare_min_share(self) -> float:
        """Share of an image's pixels from which on it counts for a class."""


# of the section data, the number of training images, the classes, and the options of StepBatchSampler
Sampling = Callable[[SamplingOptions, int, ClassInfo, dict[str, Any]], StepBatchSampler]


def presence_of(classes: ClassInfo) -> np.ndarray:
    """Which training image holds which class, (N, K) bool; reads every training mask.

    Args:
        classes: of the run.
    """
    presence = classes.tally.presence
    assert presence is not None  # it was counted image by image
    return presence


def _random(
    data: SamplingOptions, images: int, classes: ClassInfo, options: dict[str, Any]
) -> StepBatchSampler:
    return StepBatchSampler(images, data.batch_size, **options)


def _stratified(
    data: SamplingOptions, images: int, classes: ClassInfo, options: dict[str, Any]
) -> StepBatchSampler:
    return StratifiedBatchSampler(presence_of(classes), data.batch_size, **options)


def _covering(
    data: SamplingOptions, images: int, classes: ClassInfo, options: dict[str, Any]
) -> StepBatchSampler:
    presence = presence_of(classes)
    held = np.flatnonzero(presence.any(0)).tolist()
    return CoveringBatchSampler(presence, data.batch_size, classes=held, **options)


def _repeat_factor(
    data: SamplingOptions, images: int, classes: ClassInfo, options: dict[str, Any]
) -> StepBatchSampler:
    factors = repeat_factors(presence_of(classes), data.repeat_threshold)
    return RepeatingBatchSampler(factors, data.batch_size, **options)


def _rarest_class(
    data: SamplingOptions, images: int, classes: ClassInfo, options: dict[str, Any]
) -> StepBatchSampler:
    return RepeatingBatchSampler(rarest_class_factors(presence_of(classes)), data.batch_size, **options)


def _rare_class(
    data: SamplingOptions, images: int, classes: ClassInfo, options: dict[str, Any]
) -> StepBatchSampler:
    by_image = classes.tally.by_image
    assert by_image is not None  # it was counted image by image
    table = by_image.toarray()
    options = options | {
        "temperature": data.rare_temperature,
        "min_pixels": np.maximum(1, data.rare_min_share * table.sum(1)),
    }
    return RareClassBatchSampler(table, data.batch_size, **options)


SAMPLERS: dict[str, Sampling] = {
    "random": _random,
    "stratified": _stratified,
    "covering": _covering,
    "repeat_factor": _repeat_factor,
    "rarest_class": _rarest_class,
    "rare_class": _rare_class,
}
"""What the key ``data.sampling`` names."""
