"""What is counted of masks: pixels and images of each class, and, image by image, which holds how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_array, vstack

from aucseg.data.files import MOST_TABLE, read_rows, write_file
from aucseg.data.spec import GROUPS, ClassSpec, classes_of_group
from aucseg.errors import DataError, OptionError, UserError

_VERSION = 2


@dataclass(frozen=True, eq=False)
class Tally:
    """How often each class occurs in the masks of a data set.

    The sums are always there. What is known image by image is sparse, for an image holds a few of the
    classes: 16 bytes for each class of each image. Of a published training set there may be the sums alone.

    Args:
        spec: the label set, whose train ids the classes are.
        pixels: labelled pixels of each class, (K,) int64.
        images: images that hold each class, (K,) int64; the region frequency of Region Rebalance, Eq. 7.
        num_images: images N of the set, those without any label included.
        by_image: pixels of each class in each image, sparse (N, K) int64; of bool where only the presence is
            known; None where only the sums are.
        regions_by_image: connected regions of each class in each image, sparse (N, K); None if not counted.
        void_by_image: void pixels of each image, (N,) int64; None if not counted.
        image_names: name of each image; none if not known.
        image_size: height and width in pixels if all images have the same, else None.
        max_image_pixels: pixels of the largest image; None if not known.

    Raises:
        ValueError: if the fields do not fit each other.
    """

    spec: ClassSpec
    pixels: np.ndarray
    images: np.ndarray
    num_images: int
    by_image: csr_array | None = None
    regions_by_image: csr_array | None = None
    void_by_image: np.ndarray | None = None
    image_names: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    max_image_pixels: int | None = None

    def __post_init__(self) -> None:
        n, k, name = self.num_images, self.spec.num_classes, self.spec.name
        for field in ("pixels", "images"):
            if len(getattr(self, field)) != k:
                raise ValueError(f"{name!r}: {k} names but {len(getattr(self, field))} {field}")
        if n < 1 or self.images.min() < 0 or self.images.max() > n:
            raise ValueError(
                f"{name!r}: a class is in 0 to num_images={n} images, got counts from "
                f"{self.images.min()} to {self.images.max()}"
            )
        for field in ("by_image", "regions_by_image"):
            table = getattr(self, field)
            if table is not None and table.shape != (n, k):
                raise ValueError(f"{name!r}: {field} of shape {table.shape} for {k} classes in {n} images")
            if table is not None and not np.array_equal(_held(table), self.images):
                raise ValueError(f"{name!r}: {field} does not add up to the image counts of {k} classes")
        if self.image_names and len(self.image_names) != n:
            raise ValueError(f"{name!r}: {len(self.image_names)} image names for {n} images")
        if self.void_by_image is not None and len(self.void_by_image) != n:
            raise ValueError(f"{name!r}: {len(self.void_by_image)} void counts for {n} images")

    @classmethod
    def of_images(
        cls,
        spec: ClassSpec,
        by_image: np.ndarray | csr_array,
        *,
        regions: np.ndarray | csr_array | None = None,
        void: np.ndarray | None = None,
        names: Sequence[str] = (),
        image_size: tuple[int, int] | None = None,
        max_image_pixels: int | None = None,
    ) -> Tally:
        """The tally of images of which each is counted.

        Args:
            spec: the label set.
            by_image: pixels of each class in each image, (N, K) of integers, dense or sparse.
            regions: connected regions of each class in each image, (N, K).
            void: void pixels of each image, (N,).
            names: name of each image.
            image_size: height and width if all images have the same.
            max_image_pixels: pixels of the largest image.

        Raises:
            ValueError: if the arrays do not fit each other.
        """
        table = csr_array(by_image, dtype=np.int64)
        table.sort_indices()
        return cls(
            spec,
            np.asarray(table.sum(axis=0), np.int64),
            _held(table),
            table.shape[0],
            table,
            None if regions is None else csr_array(regions),
            void,
            tuple(names),
            image_size,
            max_image_pixels,
        )

    @property
    def name(self) -> str:
        """Name of the label set."""
        return self.spec.name

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, one for each train id."""
        return self.spec.names

    @property
    def groups(self) -> tuple[str, ...]:
        """``"head"``, ``"middle"`` or ``"tail"`` for each train id."""
        return self.spec.groups

    @property
    def tail(self) -> tuple[int, ...]:
        """Train ids of the tail classes."""
        return self.spec.tail

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return self.spec.num_classes

    @property
    def pixel_share(self) -> np.ndarray:
        """Fraction of the labelled pixels, (K,), in [0, 1]; zeros if nothing is labelled."""
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

    @cached_property
    def presence(self) -> np.ndarray | None:
        """Which image holds which class, (N, K) bool; None if only the sums are known."""
        return None if self.by_image is None else self.by_image.astype(bool).toarray()

    @property
    def pixels_by_image(self) -> csr_array | None:
        """Pixels of each class in each image, sparse (N, K) int64; None if they are not known."""
        table = self.by_image
        return None if table is None or table.dtype == bool else table

    @property
    def void(self) -> int:
        """Void pixels, 0 where they were not counted."""
        return 0 if self.void_by_image is None else int(self.void_by_image.sum())

    @property
    def co_occurrence(self) -> np.ndarray:
        """Images that hold both of two classes, (K, K) int64; the diagonal is ``images``.

        Raises:
            ValueError: if only the sums are known.
        """
        held = self._known().astype(bool).astype(np.int64)
        return (held.T @ held).toarray()

    @property
    def has_regions(self) -> bool:
        """Whether connected regions were counted."""
        return self.regions_by_image is not None

    @property
    def regions(self) -> np.ndarray:
        """Connected regions of each class, (K,) int64.

        Raises:
            ValueError: if they were not counted.
        """
        if self.regions_by_image is None:
            raise ValueError("regions were not counted; count with regions=True")
        return np.asarray(self.regions_by_image.sum(axis=0), np.int64)

    @property
    def mean_region_size(self) -> np.ndarray:
        """Mean pixels of a connected region of each class, (K,); nan where there is none."""
        regions = self.regions
        return np.where(regions > 0, self.pixels / np.maximum(regions, 1), np.nan)

    @property
    def group_pixels(self) -> np.ndarray:
        """Pixels of the head, middle and tail classes in each image, (N, 3) int64.

        Raises:
            ValueError: if the pixels of single images are not known.
        """
        table = self.pixels_by_image
        if table is None:
            raise ValueError(f"{self.name!r}: the pixels of single images are not known; count the masks")
        member = np.zeros((self.num_classes, len(GROUPS)), np.int64)
        for column, group in enumerate(GROUPS):
            member[list(classes_of_group(self.groups, group)), column] = 1
        return np.asarray(table @ member)

    def with_spec(self, spec: ClassSpec) -> Tally:
        """The same counts under another label set of the same classes: its order, groups and name.

        Args:
            spec: the label set.

        Raises:
            ValueError: if its classes are others.
        """
        if set(spec.names) != set(self.names):
            raise ValueError(
                f"{spec.name!r} has the classes {spec.names[:3]}..., counted were {self.names[:3]}...: "
                f"count with the same label set"
            )
        order = [self.names.index(name) for name in spec.names]
        return replace(
            self,
            spec=spec,
            pixels=self.pixels[order],
            images=self.images[order],
            by_image=_ordered(self.by_image, order),
            regions_by_image=_ordered(self.regions_by_image, order),
        )

    def same(self, other: Tally) -> bool:
        """Whether two tallies counted the same, image by image; groups may differ.

        Args:
            other: the other tally.
        """
        pairs = [
            (self.by_image, other.by_image),
            (self.regions_by_image, other.regions_by_image),
            (self.void_by_image, other.void_by_image),
        ]
        if self.names != other.names or self.image_names != other.image_names:
            return False
        if self.num_images != other.num_images or not np.array_equal(self.pixels, other.pixels):
            return False
        if any((a is None) != (b is None) for a, b in pairs):
            return False
        return all(_equal(a, b) for a, b in pairs if a is not None)

    def save(self, path: str | Path, *, key: str = "") -> Path:
        """Write an ``.npz`` file; a reader sees either the whole of it or nothing.

        Args:
            path: where to.
            key: what was counted, by which a later count of the same masks knows it again.

        Raises:
            ValueError: if only the sums are known.
            DataError: if the file cannot be written.
        """
        table = self._known()
        arrays = {
            "version": np.array(_VERSION),
            "key": np.array(key),
            "class_names": np.array(self.names, str),
            "image_names": np.array(self.image_names, str),
            "pixels": self.pixels,
            "image_size": np.array(self.image_size or (0, 0)),
            "max_image_pixels": np.array(self.max_image_pixels or 0),
            "offsets": table.indptr,
            "entry_class": table.indices.astype(np.uint8),
            "entry_pixels": table.data,
        }
        if self.regions_by_image is not None:
            arrays["entry_regions"] = self.regions_by_image.data.astype(np.int32)
        if self.void_by_image is not None:
            arrays["image_void"] = self.void_by_image

        def write(part: Path) -> None:
            with part.open("wb") as file:  # NumPy would add an ending to a name
                np.savez_compressed(file, **arrays)

        return write_file(path, write)

    @classmethod
    def load(cls, path: str | Path, spec: ClassSpec) -> Tally:
        """Read what :meth:`save` wrote.

        Args:
            path: the file.
            spec: the label set that was counted.

        Raises:
            DataError: if it is missing, not such a file, of another version or of other classes.
        """
        path = Path(path)
        with _open(path) as file:
            if (version := int(file["version"])) != _VERSION:
                raise DataError(
                    f"version {version} of the counts, this is {_VERSION}",
                    file=path,
                    remedy="count the masks again",
                )
            return cls._of_file(file, path, spec)

    @classmethod
    def load_kept(cls, path: str | Path, spec: ClassSpec, key: str) -> Tally | None:
        """Read what :meth:`save` wrote of the same masks; None if it is not there, or of others.

        A file that an older version wrote counts as not there: it is counted again and never misread.

        Args:
            path: the file.
            spec: the label set.
            key: what is wanted.

        Raises:
            DataError: if the file is damaged.
        """
        path = Path(path)
        if not path.is_file():
            return None
        with _open(path) as file:
            fits = int(file["version"]) == _VERSION and str(file["key"]) == key
            return cls._of_file(file, path, spec) if fits else None

    @classmethod
    def _of_file(cls, file: Any, path: Path, spec: ClassSpec) -> Tally:
        if (found := tuple(file["class_names"].tolist())) != spec.names:
            raise DataError(
                f"the classes are {found[:3]}..., wanted are {spec.names[:3]}...",
                file=path,
                remedy="count the masks with the same label set",
            )
        offsets, classes = file["offsets"], file["entry_class"].astype(np.int32)
        shape = (len(offsets) - 1, spec.num_classes)
        table = csr_array((file["entry_pixels"], classes, offsets), shape=shape)
        regions = None
        if "entry_regions" in file:
            regions = csr_array((file["entry_regions"], classes, offsets), shape=shape)
        height, width = file["image_size"].tolist()
        return cls(
            spec,
            file["pixels"],
            _held(table),
            shape[0],
            table,
            regions,
            file.get("image_void"),
            tuple(file["image_names"].tolist()),
            (height, width) if height else None,
            int(file["max_image_pixels"]) or None,
        )

    @classmethod
    def read_table(cls, path: str | Path, spec: ClassSpec) -> Tally:
        """Counts from a CSV with a row for each image: its name, then the pixels of each class.

        Args:
            path: the file, with a header ``file,c0,c1,...``.
            spec: the label set, in the order of the columns.

        Raises:
            DataError: if the file is missing, a row has another number of columns, or a cell is no count.
        """
        path, k = Path(path), spec.num_classes
        remedy = "write the columns file,c0,c1,... in the order of the train ids"
        names, pixels = [], []
        for row in read_rows(path, (), remedy=remedy, limit=MOST_TABLE):
            name, *cells = row.values()
            if len(cells) != k or not all(cell.isdecimal() for cell in cells):
                raise row.error(f" is not a name and {k} pixel counts", remedy)
            names.append(name)
            pixels.append(np.array(cells, np.int64))
        if not names:
            raise DataError("no image in it", file=path, remedy="write a row for each image")
        return cls.of_images(spec, np.stack(pixels), names=names)

    def _known(self) -> csr_array:
        if self.by_image is None:
            raise ValueError(f"{self.name!r}: which image holds which class is not known; count the masks")
        return self.by_image


def join(parts: Sequence[Tally]) -> Tally:
    """Put the tallies of several sets of images behind one another.

    Args:
        parts: tallies of the same classes, image by image, at least one, all with regions or all without.

    Raises:
        ValueError: if there is none, or they differ in classes or in whether regions were counted.
    """
    if not parts:
        raise OptionError("nothing was counted: give at least one part")
    first = parts[0]
    if len({part.names for part in parts}) > 1:
        raise ValueError("the parts were counted with different classes")
    regions = [part.regions_by_image for part in parts if part.regions_by_image is not None]
    if len(regions) not in (0, len(parts)):
        raise ValueError(f"{len(regions)} of {len(parts)} parts have regions; count all of them alike")
    voids = [part.void_by_image for part in parts if part.void_by_image is not None]
    sizes = {part.image_size for part in parts}
    largest = [part.max_image_pixels for part in parts if part.max_image_pixels is not None]
    return Tally(
        first.spec,
        np.sum([part.pixels for part in parts], axis=0),
        np.sum([part.images for part in parts], axis=0),
        sum(part.num_images for part in parts),
        csr_array(vstack([part._known() for part in parts])),
        csr_array(vstack(regions)) if regions else None,
        np.concatenate(voids) if len(voids) == len(parts) else None,
        tuple(name for part in parts for name in part.image_names),
        first.image_size if len(sizes) == 1 else None,
        max(largest) if len(largest) == len(parts) else None,
    )


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The arrays of a file; whatever is wrong with it is a `DataError`."""
    try:
        # opened here: NumPy leaves a file open that it cannot read
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError("no such file", file=path, remedy="count the masks first") from error
    except UserError:
        raise
    except (ValueError, TypeError, KeyError, EOFError, OSError, BadZipFile) as error:
        raise DataError(
            f"not counts of masks: {error}", file=path, remedy="delete it and count again"
        ) from error


def _held(table: csr_array) -> np.ndarray:
    """Images that hold each class, (K,) int64."""
    return np.bincount(table.indices, minlength=table.shape[1])


def _ordered(table: csr_array | None, order: list[int]) -> csr_array | None:
    """The columns of a table in another order."""
    if table is None:
        return None
    moved = csr_array(table[:, order])
    moved.sort_indices()
    return moved


def _equal(a: csr_array | np.ndarray, b: csr_array | np.ndarray) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return a.shape == b.shape and (a != b).nnz == 0
