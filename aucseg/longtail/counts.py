"""What one pass over the masks leaves: pixels, and regions, of each class in each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_array

from aucseg.data.spec import GROUPS, ClassSpec, classes_of_group
from aucseg.errors import DataError, OptionError
from aucseg.longtail.label_counts import LabelCounts
from aucseg.longtail.statistics import ClassStatistics

_VERSION = 1
_ARRAYS = ("offsets", "entry_class", "entry_pixels", "image_void")


@dataclass(frozen=True, eq=False)
class MaskCounts:
    """Pixels of each class in each image, sparse: an image holds a few of the classes.

    The entries of image n stand from ``offsets[n]`` to ``offsets[n + 1]``, by ascending class, as in a CSR
    matrix (N, K); a class that an image lacks has no entry. About ten bytes an entry.

    Args:
        class_names: class names, one for each train id.
        image_names: name of each image.
        offsets: where the entries of an image start, (N + 1,) int64.
        entry_class: train id of each entry, (E,) uint8.
        entry_pixels: pixels of that class in that image, (E,) int64, at least 1.
        image_void: void pixels of each image, (N,) int64.
        entry_regions: connected regions of that class in that image, (E,) int32; None if not counted.

    Raises:
        ValueError: if the arrays do not fit each other.
    """

    class_names: tuple[str, ...]
    image_names: tuple[str, ...]
    offsets: np.ndarray
    entry_class: np.ndarray
    entry_pixels: np.ndarray
    image_void: np.ndarray
    entry_regions: np.ndarray | None = None

    def __post_init__(self) -> None:
        images, entries = len(self.image_names), len(self.entry_class)
        if len(self.offsets) != images + 1 or len(self.image_void) != images:
            raise ValueError(
                f"{images} image names, {len(self.offsets)} offsets and {len(self.image_void)} void counts"
            )
        if len(self.entry_pixels) != entries or self.offsets[-1] != entries:
            raise ValueError(
                f"{entries} classes of entries, {len(self.entry_pixels)} pixel counts, and the offsets end "
                f"at {self.offsets[-1]}"
            )
        if self.entry_regions is not None and len(self.entry_regions) != entries:
            raise ValueError(f"{entries} entries but {len(self.entry_regions)} region counts")
        if entries and int(self.entry_class.max()) >= len(self.class_names):
            raise ValueError(f"an entry of class {self.entry_class.max()} of {len(self.class_names)} classes")

    @property
    def num_images(self) -> int:
        """Images N counted."""
        return len(self.image_names)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    @cached_property
    def matrix(self) -> csr_array:
        """Pixels of each class in each image, sparse (N, K) int64."""
        return self._csr(self.entry_pixels)

    @property
    def pixels(self) -> np.ndarray:
        """Labelled pixels of each class, (K,) int64."""
        return self._by_class(self.entry_pixels)

    @property
    def images(self) -> np.ndarray:
        """Images that hold each class, (K,) int64; the region frequency of Region Rebalance, Eq. 7."""
        return np.bincount(self.entry_class, minlength=self.num_classes)

    @property
    def presence(self) -> np.ndarray:
        """Which image holds which class, (N, K) bool."""
        held = np.zeros((self.num_images, self.num_classes), bool)
        held[np.repeat(np.arange(self.num_images), np.diff(self.offsets)), self.entry_class] = True
        return held

    @property
    def co_occurrence(self) -> np.ndarray:
        """Images that hold both of two classes, (K, K) int64; the diagonal is :attr:`images`."""
        held = self._csr(np.ones(len(self.entry_class), np.int64))
        return (held.T @ held).toarray()

    @property
    def regions(self) -> np.ndarray:
        """Connected regions of each class, (K,) int64.

        Raises:
            ValueError: if the scan did not count them.
        """
        if self.entry_regions is None:
            raise ValueError("regions were not counted; scan with regions=True")
        return self._by_class(self.entry_regions)

    @property
    def mean_region_size(self) -> np.ndarray:
        """Mean pixels of a connected region of each class, (K,); nan where there is none."""
        regions = self.regions
        return np.where(regions > 0, self.pixels / np.maximum(regions, 1), np.nan)

    def group_pixels(self, groups: Sequence[str]) -> np.ndarray:
        """Pixels of the head, middle and tail classes in each image, (N, 3) int64.

        Args:
            groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class.

        Raises:
            ValueError: if there is not one group for each class.
        """
        if len(groups) != self.num_classes:
            raise ValueError(f"{len(groups)} groups for {self.num_classes} classes")
        member = np.zeros((self.num_classes, len(GROUPS)), np.int64)
        for column, group in enumerate(GROUPS):
            member[list(classes_of_group(groups, group)), column] = 1
        return np.asarray(self.matrix @ member)

    def label_counts(self) -> LabelCounts:
        """The same without the pixels of the single images."""
        return LabelCounts(self.pixels, self.presence, int(self.image_void.sum()))

    def statistics(self, spec: ClassSpec) -> ClassStatistics:
        """Pixels and images of each class with names and groups.

        Args:
            spec: the label set; its classes are those that were counted, in their order.

        Raises:
            ValueError: if the classes differ.
        """
        if spec.names != self.class_names:
            raise ValueError(
                f"{spec.name!r} has the classes {spec.names[:3]}..., counted were {self.class_names[:3]}...: "
                f"scan with the same label set"
            )
        return ClassStatistics.from_counts(self.label_counts(), spec)

    def same(self, other: MaskCounts) -> bool:
        """Whether two scans counted the same.

        Args:
            other: the other scan.
        """
        pairs = [(getattr(self, name), getattr(other, name)) for name in _ARRAYS]
        if (self.entry_regions is None) != (other.entry_regions is None):
            return False
        if self.entry_regions is not None:
            pairs.append((self.entry_regions, other.entry_regions))
        names = self.class_names == other.class_names and self.image_names == other.image_names
        return names and all(np.array_equal(a, b) for a, b in pairs)

    def save(self, path: str | Path) -> Path:
        """Write an ``.npz`` file; a reader sees either the whole of it or nothing.

        Args:
            path: where to.
        """
        path = Path(path)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.entry_regions is not None:
            arrays["entry_regions"] = self.entry_regions
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                version=np.array(_VERSION),
                class_names=np.array(self.class_names, str),
                image_names=np.array(self.image_names, str),
                **arrays,
            )
        part.replace(path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> MaskCounts:
        """Read what :meth:`save` wrote.

        Args:
            path: the file.

        Raises:
            DataError: if it is missing, not such a file, or of another version.
        """
        try:
            # opened here: NumPy leaves a file open that it cannot read
            with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                version = int(file["version"])
                if version != _VERSION:
                    raise DataError(
                        f"version {version} of the counts, this is {_VERSION}",
                        file=path,
                        remedy="count the masks again",
                    )
                arrays = {name: file[name] for name in (*_ARRAYS, "entry_regions") if name in file}
                class_names, image_names = file["class_names"].tolist(), file["image_names"].tolist()
                return cls(tuple(class_names), tuple(image_names), **arrays)
        except FileNotFoundError as error:
            raise DataError("no such file", file=path, remedy="scan the masks first") from error
        except (ValueError, TypeError, KeyError, EOFError, OSError, BadZipFile) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"not counts of masks: {error}", file=path, remedy="delete it and count again"
            ) from error

    def _by_class(self, values: np.ndarray) -> np.ndarray:
        total = np.zeros(self.num_classes, np.int64)
        np.add.at(total, self.entry_class, values)
        return total

    def _csr(self, values: np.ndarray) -> csr_array:
        shape = (self.num_images, self.num_classes)
        return csr_array((values, self.entry_class.astype(np.int32), self.offsets), shape=shape)


def join(parts: Sequence[MaskCounts]) -> MaskCounts:
    """Put the counts of several sets of images behind one another.

    Args:
        parts: counts of the same classes, at least one, all with regions or all without.

    Raises:
        ValueError: if there is none, or they differ in classes or in whether regions were counted.
    """
    if not parts:
        raise OptionError("nothing was counted: give at least one part")
    if len({part.class_names for part in parts}) > 1:
        raise ValueError("the parts were counted with different classes")
    regions = [part.entry_regions for part in parts if part.entry_regions is not None]
    if len(regions) not in (0, len(parts)):
        raise ValueError(f"{len(regions)} of {len(parts)} parts have regions; count all of them alike")
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    return MaskCounts(
        parts[0].class_names,
        tuple(name for part in parts for name in part.image_names),
        np.append(0, np.cumsum(sizes)).astype(np.int64),
        np.concatenate([part.entry_class for part in parts]),
        np.concatenate([part.entry_pixels for part in parts]),
        np.concatenate([part.image_void for part in parts]),
        np.concatenate(regions) if regions else None,
    )
