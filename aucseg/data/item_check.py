"""Check one image and its mask, each by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from aucseg.data.classes import NOT_A_LABEL
from aucseg.data.listing import Item, Listing, unreadable
from aucseg.data.reading import check_same_size, read_image, to_train_ids
from aucseg.data.report import Problem
from aucseg.data.soundness import check_bytes, check_inside, is_wide
from aucseg.errors import DataError


@dataclass(frozen=True)
class Subject:
    """What is verified: a layout and the folder that holds it.

    Args:
        root: the folder; no file may lead out of it.
        layout: name of the layout.
        splits: names of its splits.
        list_split: the items of a split.
        read_ids: decodes a mask to the values of its file, (H, W) uint8.
        lookup: train id of each value; None if the labels are not known, and masks are only decoded.
    """

    root: Path
    layout: str
    splits: tuple[str, ...]
    list_split: Callable[[str], Listing]
    read_ids: Callable[[Path], np.ndarray]
    lookup: np.ndarray | None


@dataclass
class CheckedItem:
    """What one image and its mask gave.

    Args:
        problems: what is wrong with them.
        warnings: what is worth knowing.
        image_hash: sha256 of the image's pixels, None if it cannot be read.
        size: its height and width.
        labels: train ids that occur, uint8, and the pixels of each, int64; None if the mask cannot be read.
    """

    problems: list[Problem]
    warnings: list[str]
    image_hash: str | None = None
    size: tuple[int, int] | None = None
    labels: tuple[np.ndarray, np.ndarray] | None = None

    def histogram(self) -> np.ndarray:
        """Pixels of each train id, (256,) int64."""
        dense = np.zeros(256, np.int64)
        if self.labels is not None:
            dense[self.labels[0]] = self.labels[1]
        return dense


def as_problem(split: str, error: DataError) -> Problem:
    """An error as an entry of the report."""
    return Problem(split, error.file or "", error.what, error.remedy or "")


def check_item(subject: Subject, split: str, item: Item) -> CheckedItem:
    """Check image and mask each by itself, so that one defect does not hide another.

    Args:
        subject: the data set.
        split: name of the split, for the report.
        item: the two files; one that is missing is passed over, since the listing has reported it.
    """
    checked = CheckedItem([], [])
    found: list[np.ndarray | None] = []
    for kind, path in (("image", item.image), ("mask", item.mask)):
        value = None
        if path is not None:
            try:
                check_inside(path, subject.root)
                value = read_image(path) if kind == "image" else subject.read_ids(path)
                check_bytes(path, kind)
            except DataError as error:
                checked.problems.append(as_problem(split, error))
            except OSError as error:
                checked.problems.append(as_problem(split, unreadable(error, path)))
        found.append(value)
    image, ids = found
    if image is not None:
        # The shape is hashed too: the same bytes are another image in another shape.
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(image.data)
        checked.image_hash = digest.hexdigest()
        checked.size = (image.shape[0], image.shape[1])
    checks: list[Callable[[], object]] = []
    image_file, mask_file, lookup = item.image, item.mask, subject.lookup
    if image is not None and ids is not None and image_file is not None and mask_file is not None:
        checks.append(partial(check_same_size, image, ids, image_file, mask_file))
    if ids is not None and mask_file is not None:
        if is_wide(mask_file):
            checked.warnings.append(
                f"{mask_file}: 16 bits a pixel where 8 do; `aucseg data prepare` makes them 8"
            )
        if lookup is not None:
            present = np.bincount(ids.ravel(), minlength=256)
            checked.labels = _by_train_id(present, lookup)
            if np.any((present > 0) & (lookup == NOT_A_LABEL)):
                checks.append(partial(to_train_ids, ids, lookup, mask_file))
    for check in checks:
        try:
            check()
        except DataError as error:
            checked.problems.append(as_problem(split, error))
    return checked


def _by_train_id(present: np.ndarray, lookup: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Train ids that occur and their pixels, from pixels of each value; labels outside are left out."""
    known = lookup != NOT_A_LABEL
    dense = np.bincount(lookup[known], present[known], minlength=256).astype(np.int64)
    held = np.flatnonzero(dense)
    return held.astype(np.uint8), dense[held]
