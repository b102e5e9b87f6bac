"""Open every file of a data set and report all that is wrong, before a training finds out."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aucseg.data.classes import ClassTable, read_classes, read_pixel_share
from aucseg.data.labels import VOID, by_train_id, to_train_ids, without_meaning
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.own import list_folder, list_splits
from aucseg.data.listing import Item, Listing
from aucseg.data.reading import (
    check_bytes,
    check_same_size,
    is_wide,
    orientation,
    read_ids,
    read_image,
)
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import bounded_map
from aucseg.errors import DataError, file_errors

_NAMED = 5


@dataclass(frozen=True)
class Problem:
    """One defect: in which split and file, what it is, what to do about it."""

    split: str
    file: str
    what: str
    remedy: str


@dataclass
class VerifyReport:
    """What `verify` found.

    Args:
        root: the folder.
        layout: what it was taken for: ``"folder"`` is the package's own layout.
        class_names: in train id order; empty if the class table cannot be read.
        splits: items listed in each split.
        problems: defects that would stop a training, or falsify it.
        warnings: things to know that stop nothing.
        duplicates: images with the same pixels in more than one split, as ``"split/NAME"``.
        sizes: number of images for each (height, width).
        pixels: pixels of each class in each split's readable masks, (K,) int64.
        void: void pixels of each split's readable masks.
    """

    root: Path
    layout: str = "folder"
    class_names: tuple[str, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    duplicates: list[tuple[str, ...]] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    void: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings and duplicates do not count."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types, for JSON."""
        return {
            "root": str(self.root),
            "layout": self.layout,
            "ok": self.ok,
            "splits": self.splits,
            "problems": [vars(p) for p in self.problems],
            "warnings": self.warnings,
            "duplicates": [list(d) for d in self.duplicates],
            "sizes": {f"{h}x{w}": n for (h, w), n in self.sizes.items()},
            "labels": {
                split: {
                    "pixels": dict(zip(self.class_names, pixels.tolist(), strict=True)),
                    "void": self.void[split],
                }
                for split, pixels in self.pixels.items()
            },
        }


def verify(
    root: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    *,
    spec: ClassSpec | None = None,
    layout: Layout | None = None,
    workers: int | None = None,
) -> VerifyReport:
    """Open every file of a data set, in the package's own layout or a published one.

    Args:
        root: the folder.
        splits: names of the splits; all that are there if None.
        spec: the label set that the class table must have, if any.
        layout: the published layout of the folder; the package's own if None.
        workers: threads; the processor count up to 8 if None.

    Returns:
        All problems, not only the first. Nothing is changed on disk.

    Raises:
        DataError: if the folder does not exist, is not in the layout, or lists no split.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DataError("no such folder", file=folder, remedy="check the path of the data set")
    report = VerifyReport(folder)
    subject = _own(folder, spec, report) if layout is None else _published(folder, layout, report)
    report.layout = subject.layout
    seen: dict[str, list[tuple[str, Item]]] = defaultdict(list)
    checked: dict[Item, _CheckedItem] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    for split in subject.splits if splits is None else tuple(splits):
        try:
            listing = subject.list_split(split)
        except DataError as error:
            report.splits[split] = 0
            report.problems.append(_as_problem(split, error))
            continue
        report.splits[split] = len(listing.items)
        report.problems += [_as_problem(split, error) for error in listing.problems]
        new = [item for item in listing.items if item not in checked]  # lists may overlap: "trainval"
        for item, result in zip(
            new, bounded_map(partial(_check_item, subject, split), new, workers=workers), strict=True
        ):
            checked[item] = result
            report.problems += result.problems
            report.warnings += result.warnings
            if result.size is not None:
                sizes[result.size] += 1
        results = [checked[item] for item in listing.items]
        for item, result in zip(listing.items, results, strict=True):
            if result.image_hash is not None:
                seen[result.image_hash].append((split, item))
        if report.class_names:
            total = sum((i.histogram() for i in results), np.zeros(256, np.int64))
            report.pixels[split] = total[: len(report.class_names)]
            report.void[split] = int(total[VOID])
        report.warnings += listing.warnings
    if turned := [item.image for item, result in checked.items() if result.turned]:
        report.warnings.append(
            f"{len(turned)} images are turned upright by their EXIF orientation, the first is {turned[0]}: "
            "their masks belong on the upright images"
        )
    report.sizes = dict(sizes.most_common())
    report.duplicates = [
        tuple(f"{split}/{item.name}" for split, item in group) for group in seen.values() if _leaks(group)
    ]
    if "train" in report.pixels:
        absent = [report.class_names[k] for k in np.flatnonzero(report.pixels["train"] == 0)]
        if len(absent) > _NAMED:
            named = ", ".join(map(repr, absent[:_NAMED]))
            report.warnings.append(f"{len(absent)} classes have no pixel in train: {named} and others")
        else:
            report.warnings += [f"class {name!r} has no pixel in train" for name in absent]
    return report


def _leaks(group: Sequence[tuple[str, Item]]) -> bool:
    """Whether the places of one image are in several splits, by more than a list that overlaps by design."""
    apart = len({item.image for _, item in group}) > 1
    splits = {split for split, _ in group}
    return (apart and len(splits) > 1) or len(splits & {"train", "val", "test"}) > 1


def _own(folder: Path, spec: ClassSpec | None, report: VerifyReport) -> _Subject:
    splits = list_splits(folder)
    if not splits:
        raise DataError(
            "no split files", file=folder / "splits", remedy="write train.txt there with a NAME on each line"
        )
    table = _check_table(folder, spec, report)
    reader = partial(read_ids, table=table)
    lookup = None if table is None else table.lookup()
    return _Subject(folder, "folder", splits, partial(list_folder, folder), reader, lookup)


def _published(folder: Path, layout: Layout, report: VerifyReport) -> _Subject:
    place = layout.locate(folder)
    report.class_names = layout.spec.names
    splits, listing = layout.splits(place), partial(layout.listing, place)
    return _Subject(folder, layout.name, splits, listing, layout.read_ids, layout.lookup)


def _check_table(root: Path, spec: ClassSpec | None, report: VerifyReport) -> ClassTable | None:
    try:
        table = read_classes(root)
    except DataError as error:
        report.problems.append(_as_problem("", error))
        return None
    report.class_names = tuple(r.name for r in table.classes)
    checks: list[Callable[[], object]] = [table.groups, lambda: read_pixel_share(root, table)]
    if spec is not None:
        checks.append(lambda: table.check_names(spec))
    for check in checks:
        try:
            check()
        except DataError as error:
            report.problems.append(_as_problem("", error))
    return table


@dataclass(frozen=True)
class _Subject:
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
class _CheckedItem:
    """What one image and its mask gave.

    Args:
        problems: what is wrong with them.
        warnings: what is worth knowing.
        image_hash: sha256 of the image's pixels, None if it cannot be read.
        size: its height and width.
        turned: whether its EXIF orientation turns it.
        labels: train ids that occur, uint8, and the pixels of each, int64; None if the mask cannot be read.
    """

    problems: list[Problem]
    warnings: list[str]
    image_hash: str | None = None
    size: tuple[int, int] | None = None
    turned: bool = False
    labels: tuple[np.ndarray, np.ndarray] | None = None

    def histogram(self) -> np.ndarray:
        """Pixels of each train id, (256,) int64."""
        dense = np.zeros(256, np.int64)
        if self.labels is not None:
            dense[self.labels[0]] = self.labels[1]
        return dense


def _as_problem(split: str, error: DataError) -> Problem:
    """An error as an entry of the report."""
    return Problem(split, error.file or "", error.what, error.remedy or "")


def _check_item(subject: _Subject, split: str, item: Item) -> _CheckedItem:
    """Check image and mask each by itself, so that one defect does not hide another.

    Args:
        subject: the data set.
        split: name of the split, for the report.
        item: the two files; one that is missing is passed over, since the listing has reported it.
    """
    checked = _CheckedItem([], [])
    found: list[np.ndarray | None] = []
    for kind, path in (("image", item.image), ("mask", item.mask)):
        value = None
        if path is not None:
            try:
                with file_errors(path, "cannot be read"):
                    _check_inside(path, subject.root)
                    value = read_image(path) if kind == "image" else subject.read_ids(path)
                    check_bytes(path, kind)
            except DataError as error:
                checked.problems.append(_as_problem(split, error))
        found.append(value)
    image, ids = found
    if image is not None:
        # The shape is hashed too: the same bytes are another image in another shape.
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(image.data)
        checked.image_hash = digest.hexdigest()
        checked.size = (image.shape[0], image.shape[1])
        checked.turned = item.image is not None and orientation(item.image) != 1
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
            pixels = by_train_id(present, lookup)
            held = np.flatnonzero(pixels)
            checked.labels = held.astype(np.uint8), pixels[held]
            if without_meaning(present, lookup).size:
                checks.append(partial(to_train_ids, ids, lookup, mask_file))
    for check in checks:
        try:
            check()
        except DataError as error:
            checked.problems.append(_as_problem(split, error))
    return checked


def _check_inside(path: Path, root: Path) -> None:
    """Raise `DataError` if a file is a link, or lies behind one, that leads out of the data set's folder.

    Args:
        path: the file.
        root: the folder; it may itself be reached by a link.
    """
    real, home = os.path.realpath(path), os.path.realpath(root)
    if not real.startswith(home + os.sep):
        raise DataError(
            f"a link leads out of the folder, to {real}", file=path, remedy="copy the file into the folder"
        )
