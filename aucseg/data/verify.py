"""Open every file of a data set and report all that is wrong, before a training finds out."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from aucseg.data.classes import NOT_A_LABEL, ClassTable, read_classes
from aucseg.data.counts import default_workers, read_pixel_share, sum_histograms
from aucseg.data.errors import DataError
from aucseg.data.layout import list_splits
from aucseg.data.layouts import Layout, detect
from aucseg.data.listing import Listing, Pair, list_folder, unreadable
from aucseg.data.reading import check_same_size, read_ids, read_image, to_train_ids
from aucseg.data.report import Problem, VerifyReport
from aucseg.data.soundness import check_bytes, check_inside, is_wide
from aucseg.data.spec import ClassSpec


@dataclass(frozen=True)
class _Subject:
    """What is verified: a layout and the folder that holds it. Without labels masks are only decoded."""

    root: Path
    layout: str
    splits: tuple[str, ...]
    list_split: Callable[[str], Listing]
    read_ids: Callable[[Path], np.ndarray]
    lookup: np.ndarray | None


@dataclass
class _Item:
    """What one image and its mask gave."""

    problems: list[Problem]
    warnings: list[str]
    image_hash: str | None = None
    size: tuple[int, int] | None = None
    histogram: np.ndarray | None = None


def verify(
    root: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    *,
    spec: ClassSpec | None = None,
    layout: Layout | None = None,
    workers: int | None = None,
) -> VerifyReport:
    """Open every file of a data set, in the layout of `FolderDataset` or a published one.

    Args:
        root: the folder.
        splits: names of the splits; all that are there if None.
        spec: the label set that the class table must have, if any.
        layout: the layout of the folder; found by its files if None.
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
    layout = layout or detect(folder)
    subject = _own(folder, spec, report) if layout is None else _published(folder, layout, report)
    report.layout = subject.layout
    seen: dict[str, list[str]] = defaultdict(list)
    sizes: Counter[tuple[int, int]] = Counter()
    with ThreadPoolExecutor(workers or default_workers()) as pool:
        for split in subject.splits if splits is None else tuple(splits):
            try:
                listing = subject.list_split(split)
            except DataError as error:
                report.splits[split] = 0
                report.problems.append(_problem(split, error))
                continue
            report.splits[split] = len(listing.pairs)
            report.problems += [_problem(split, error) for error in listing.problems]
            items = list(pool.map(partial(_check_item, subject, split), listing.pairs))
            for pair, item in zip(listing.pairs, items, strict=True):
                report.problems += item.problems
                report.warnings += item.warnings
                if item.image_hash is not None:
                    seen[item.image_hash].append(f"{split}/{pair.name}")
                if item.size is not None:
                    sizes[item.size] += 1
            if report.class_names:
                histograms = [i.histogram for i in items if i.histogram is not None]
                report.counts[split] = sum_histograms(histograms, len(report.class_names))
            report.warnings += listing.warnings
    report.sizes = dict(sizes.most_common())
    report.duplicates = [tuple(v) for v in seen.values() if len({n.split("/")[0] for n in v}) > 1]
    if "train" in report.counts:
        absent = np.flatnonzero(report.counts["train"].pixels == 0)
        report.warnings += [f"class {report.class_names[k]!r} has no pixel in train" for k in absent]
    return report


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


def _problem(split: str, error: DataError) -> Problem:
    return Problem(split, error.file or "", error.what, error.remedy or "")


def _check_table(root: Path, spec: ClassSpec | None, report: VerifyReport) -> ClassTable | None:
    try:
        table = read_classes(root)
    except DataError as error:
        report.problems.append(_problem("", error))
        return None
    report.class_names = tuple(r.name for r in table.classes)
    checks: list[Callable[[], object]] = [table.groups, lambda: read_pixel_share(root, table)]
    if spec is not None:
        checks.append(lambda: table.check_names(spec))
    for check in checks:
        try:
            check()
        except DataError as error:
            report.problems.append(_problem("", error))
    return table


def _check_item(subject: _Subject, split: str, pair: Pair) -> _Item:
    """Check image and mask each by itself, so that one defect does not hide another."""
    item = _Item([], [])
    found: list[np.ndarray | None] = []
    for kind, path in (("image", pair.image), ("mask", pair.mask)):
        value = None
        if path is not None:
            try:
                check_inside(path, subject.root)
                value = read_image(path) if kind == "image" else subject.read_ids(path)
                check_bytes(path, kind)
            except DataError as error:
                item.problems.append(_problem(split, error))
            except OSError as error:
                item.problems.append(_problem(split, unreadable(error, path)))
        found.append(value)
    image, ids = found
    if image is not None:
        # The shape is hashed too: the same bytes are another image in another shape.
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(image.data)
        item.image_hash = digest.hexdigest()
        item.size = (image.shape[0], image.shape[1])
    checks: list[Callable[[], object]] = []
    image_file, mask_file, lookup = pair.image, pair.mask, subject.lookup
    if image is not None and ids is not None and image_file is not None and mask_file is not None:
        checks.append(partial(check_same_size, image, ids, image_file, mask_file))
    if ids is not None and mask_file is not None:
        if is_wide(mask_file):
            item.warnings.append(
                f"{mask_file}: 16 bits a pixel where 8 do; `aucseg data prepare` makes them 8"
            )
        if lookup is not None:
            present = np.bincount(ids.ravel(), minlength=256)
            item.histogram = _by_train_id(present, lookup)
            if np.any((present > 0) & (lookup == NOT_A_LABEL)):
                checks.append(partial(to_train_ids, ids, lookup, mask_file))
    for check in checks:
        try:
            check()
        except DataError as error:
            item.problems.append(_problem(split, error))
    return item


def _by_train_id(present: np.ndarray, lookup: np.ndarray) -> np.ndarray:
    """Pixels of each train id (256,) from pixels of each value (256,); labels outside are left out."""
    known = lookup != NOT_A_LABEL
    return np.bincount(lookup[known], present[known], minlength=256).astype(np.int64)
