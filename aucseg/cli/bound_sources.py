"""What ``aucseg bound`` reads: the statistics of a data set, counted image by image where there are masks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aucseg.data import download
from aucseg.data.classes import ClassTable, read_classes
from aucseg.data.layout import mask_path, read_split
from aucseg.data.places import find_root
from aucseg.data.reading import read_ids, to_train_ids
from aucseg.errors import DataError, file_errors
from aucseg.longtail.label_counts import STATS_FILE
from aucseg.longtail.statistics import list_statistics, load_statistics

# Full-size images: AUCSeg, F.1; COCO images have 640 pixels on their longer side. Those of ADE20K vary.
_IMAGE_SIZES = {"cityscapes": (1024, 2048), "coco_stuff": (640, 640)}
_STREETS, _STREET_SIZE = 500, (64, 128)


@dataclass(frozen=True, eq=False)
class Source:
    """What is known of a training set.

    Args:
        name: of the data set.
        origin: where the numbers come from, for the reader.
        names: class names, (K,).
        pixels: labelled pixels of each class, (K,).
        images: images that hold each class, (K,).
        num_images: images N.
        presence: which image holds which class, (N, K) bool, or None.
        counts: pixels of each class in each image, (N, K), or None.
        image_pixels: pixels of the largest image, or None.
        image_size: height and width if all images have the same, or None.
        masks: the folder whose masks can be read again, its split and class table, or None.
    """

    name: str
    origin: str
    names: tuple[str, ...]
    pixels: np.ndarray
    images: np.ndarray
    num_images: int
    presence: np.ndarray | None = None
    counts: np.ndarray | None = None
    image_pixels: int | None = None
    image_size: tuple[int, int] | None = None
    masks: tuple[Path, str, ClassTable] | None = None


def read_source(data: str, split: str) -> Source:
    """Statistics by name, of the streets, of a known data set or of a folder.

    Args:
        data: what the user named.
        split: the split of a folder.

    Raises:
        DataError: if there is no such data, or a file of it cannot be used.
    """
    if not Path(data).exists():
        if data in list_statistics():
            return _named(data)
        if data == "streets":
            return _streets()
        if data not in download.SOURCES:
            known = ", ".join((*list_statistics(), "streets", *download.SOURCES))
            raise DataError(f"no data {data!r}", remedy=f"give a folder or one of {known}")
    root = Path(data) if Path(data).exists() else find_root(data)
    table = read_classes(root)
    if not (root / "annotations" / split).is_dir() and (root / STATS_FILE).is_file():
        return _from_stats(root, split, table)
    sizes = set()
    rows = []
    for mask in read_masks(root, split, table):
        sizes.add(mask.shape)
        rows.append(np.bincount(mask.ravel(), minlength=256)[: len(table.classes)])
    counted = _counted(
        root.resolve().name,
        f"{len(rows)} masks of {split}",
        tuple(row.name for row in table.classes),
        np.array(rows),
        max(height * width for height, width in sizes),
    )
    return replace(counted, image_size=sizes.pop() if len(sizes) == 1 else None, masks=(root, split, table))


def read_masks(root: Path, split: str, table: ClassTable) -> Iterator[np.ndarray]:
    """The masks of a split as maps of train ids, void = 255.

    Args:
        root: the folder.
        split: the split.
        table: its class table.

    Raises:
        DataError: for the first mask that is missing, unreadable or has labels outside the classes.
    """
    lookup = table.lookup()
    for name in read_split(root, split):
        path = mask_path(root, split, name)
        yield to_train_ids(read_ids(path, table), lookup, path)


def _named(name: str) -> Source:
    known = load_statistics(name)
    size = _IMAGE_SIZES.get(name)
    return Source(
        name,
        "statistics of the package",
        known.names,
        known.pixels,
        known.images,
        known.num_images,
        known.presence,
        image_pixels=size[0] * size[1] if size else None,
        image_size=size if name == "cityscapes" else None,
    )


def _streets() -> Source:
    from aucseg.streets import SyntheticStreets  # imports PyTorch, which nothing else here wants

    streets = SyntheticStreets(_STREETS, size=_STREET_SIZE)
    k = streets.spec.num_classes
    masks = (np.asarray(streets[i][1], np.uint8).ravel() for i in range(_STREETS))
    rows = np.array([np.bincount(mask, minlength=256)[:k] for mask in masks])
    origin = f"{_STREETS} synthetic scenes"
    area = _STREET_SIZE[0] * _STREET_SIZE[1]
    return replace(_counted("streets", origin, streets.spec.names, rows, area), image_size=_STREET_SIZE)


def _counted(name: str, origin: str, names: tuple[str, ...], rows: np.ndarray, image_pixels: int) -> Source:
    held = rows > 0
    return Source(
        name, origin, names, rows.sum(0), held.sum(0), len(rows), held, rows, image_pixels=image_pixels
    )


def _from_stats(root: Path, split: str, table: ClassTable) -> Source:
    """Sums of ``class_stats.csv``; the number of images is that of the split's list."""
    path = root / STATS_FILE
    with file_errors(path, "cannot be read"), path.open(newline="", encoding="utf-8-sig") as file:
        rows = {row.get("name"): row for row in csv.DictReader(file)}
    values = []
    for row in table.classes:
        found = rows.get(row.name) or {}
        try:
            values.append([int(found[f"{split}_{what}"]) for what in ("pixels", "images")])
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"no {split}_pixels and {split}_images for class {row.name!r}",
                file=path,
                remedy="make the file again with `aucseg data stats FOLDER --write`",
            ) from None
    pixels, images = np.array(values, np.int64).T
    return Source(
        root.resolve().name,
        STATS_FILE,
        tuple(row.name for row in table.classes),
        pixels,
        images,
        len(read_split(root, split)),
    )
