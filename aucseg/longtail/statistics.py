"""What is known of a data set's long tail: pixels and images of each class, and which image holds which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aucseg.data.files import read_rows
from aucseg.data.spec import ClassSpec
from aucseg.errors import OptionError, did_you_mean
from aucseg.longtail.label_counts import LabelCounts, sum_histograms

_COUNTED = Path(__file__).parent / "counted"
# Training images: AUCSeg, F.1, for the first two; train2017 of COCO, which the 164K labels follow.
_NUM_IMAGES = {"cityscapes": 2975, "ade20k": 20210, "coco_stuff": 118287}


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Pixels and images of each class of a training set.

    Args:
        name: name of the data set.
        names: class names, one for each train id.
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each train id.
        pixels: labelled pixels of each train id, (K,) int64.
        images: images that hold each train id, (K,) int64.
        num_images: images N of the set, those without any label included.
        presence: which image holds which train id, (N, K) bool; None if only the sums are known.

    Raises:
        ValueError: if the fields disagree in length, or ``images`` with ``presence`` or ``num_images``.
    """

    name: str
    names: tuple[str, ...]
    groups: tuple[str, ...]
    pixels: np.ndarray
    images: np.ndarray
    num_images: int
    presence: np.ndarray | None = None

    def __post_init__(self) -> None:
        k = len(self.names)
        for field in ("groups", "pixels", "images"):
            if len(getattr(self, field)) != k:
                raise OptionError(f"{self.name!r}: {k} names but {len(getattr(self, field))} {field}")
        if self.num_images < 1 or self.images.min() < 0 or self.images.max() > self.num_images:
            raise OptionError(
                f"{self.name!r}: a class is in 0 to num_images={self.num_images} images, got counts from "
                f"{self.images.min()} to {self.images.max()}"
            )
        if self.presence is not None and (
            self.presence.shape != (self.num_images, k)
            or not np.array_equal(self.presence.sum(0), self.images)
        ):
            raise OptionError(
                f"{self.name!r}: presence of shape {self.presence.shape} does not add up to the image counts "
                f"of {k} classes in {self.num_images} images"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.names)

    @property
    def tail(self) -> tuple[int, ...]:
        """Train ids of the tail classes."""
        return tuple(i for i, group in enumerate(self.groups) if group == "tail")

    @property
    def pixel_share(self) -> np.ndarray:
        """Fraction of the labelled pixels, (K,), in [0, 1]."""
        return self.pixels / max(int(self.pixels.sum()), 1)

    @property
    def image_share(self) -> np.ndarray:
        """Fraction of the images that hold the class, (K,), in [0, 1], the p_i of Proposition 1."""
        return self.images / self.num_images

    @property
    def area_share(self) -> np.ndarray:
        """Mean fraction of an image's labelled pixels that a class fills where it occurs, (K,)."""
        per_image = float(self.pixels.sum()) / self.num_images
        return self.pixels / np.maximum(self.images, 1) / max(per_image, 1.0)

    @classmethod
    def from_counts(cls, counts: LabelCounts, spec: ClassSpec) -> ClassStatistics:
        """The statistics of counted masks.

        Args:
            counts: the counts, in the order of ``spec``.
            spec: names and groups.
        """
        return cls(
            spec.name,
            spec.names,
            spec.groups,
            counts.pixels,
            counts.images,
            counts.num_images,
            counts.presence,
        )


def list_statistics() -> tuple[str, ...]:
    """Names of the training sets whose statistics come with the package."""
    return tuple(_NUM_IMAGES)


def load_statistics(name: str) -> ClassStatistics:
    """Statistics of a training set that come with the package.

    ``"cityscapes"``, ``"ade20k"`` and ``"coco_stuff"``, counted on the full-size training labels, in the
    three groups of AUCSeg (Tables 8 to 10). Images for each class are those of Tables 5 to 7; pixel shares
    those of Tables 9 and 10, but not of Table 8, which no count of Cityscapes reproduces. Cityscapes comes
    with its presence matrix; of the order of its images nothing is kept.

    Args:
        name: name of the training set.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in _NUM_IMAGES:
        raise OptionError(f"no statistics of {name!r} come along; {did_you_mean(name, _NUM_IMAGES)}")
    rows = read_rows(_COUNTED / f"{name}.csv", ("name", "group", "pixels", "images"))
    counted = zip(*(r.whole("pixels", "images") for r in rows), strict=True)
    pixels, images = (np.array(column, np.int64) for column in counted)
    patterns = _COUNTED / f"{name}_patterns.csv"
    return ClassStatistics(
        name,
        tuple(r["name"] for r in rows),
        tuple(r["group"] for r in rows),
        pixels,
        images,
        _NUM_IMAGES[name],
        _read_patterns(patterns) if patterns.is_file() else None,
    )


def count_dataset(items: Iterable[tuple[Any, Any]], num_classes: int) -> LabelCounts:
    """One pass over a data set: pixels of each class, and the presence matrix.

    For files in folders ``aucseg.longtail.label_counts.count_labels`` reads the masks alone and in threads.
    To count crops instead of whole images pass a data set whose transform crops.

    Args:
        items: ``(image, mask)`` pairs, masks (H, W) of integers from 0 to 255.
        num_classes: number of classes K; other labels are taken for void.
    """
    histograms = (np.bincount(np.asarray(mask, np.uint8).ravel(), minlength=256) for _, mask in items)
    return sum_histograms(histograms, num_classes)


def _read_patterns(path: Path) -> np.ndarray:
    rows = read_rows(path, ("classes", "images"))
    distinct = np.array([[digit == "1" for digit in r["classes"]] for r in rows], bool)
    return np.repeat(distinct, [int(r["images"]) for r in rows], axis=0)
