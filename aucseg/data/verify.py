"""Open every file of a folder data set and report all that is wrong, before a training finds out."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aucseg.data.classes import NOT_A_LABEL, ClassTable, read_classes
from aucseg.data.counts import default_workers, read_pixel_share, sum_histograms
from aucseg.data.errors import DataError
from aucseg.data.layout import IMAGE_SUFFIXES, image_path, list_splits, mask_path, read_split
from aucseg.data.reading import check_same_size, read_ids, read_image, to_train_ids
from aucseg.data.report import Problem, VerifyReport
from aucseg.data.spec import ClassSpec


@dataclass
class _Item:
    """What one image and its mask gave."""

    problems: list[Problem]
    image_hash: str | None = None
    size: tuple[int, int] | None = None
    histogram: np.ndarray | None = None


def verify(
    root: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    *,
    spec: ClassSpec | None = None,
    workers: int | None = None,
) -> VerifyReport:
    """Open every file of a data set in the layout of `FolderDataset`.

    Args:
        root: the folder.
        splits: names of the splits; all that ``splits/`` lists if None.
        spec: the label set that the class table must have, if any.
        workers: threads; the processor count up to 8 if None.

    Returns:
        All problems, not only the first. Nothing is changed on disk.

    Raises:
        DataError: if the folder does not exist or lists no split.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DataError("no such folder", file=folder, remedy="check the path of the data set")
    chosen = list_splits(folder) if splits is None else tuple(splits)
    if not chosen:
        raise DataError(
            "no split files", file=folder / "splits", remedy="write train.txt there with a NAME on each line"
        )
    report = VerifyReport(folder)
    table = _check_table(folder, spec, report)
    seen: dict[str, list[str]] = defaultdict(list)
    sizes: Counter[tuple[int, int]] = Counter()
    with ThreadPoolExecutor(workers or default_workers()) as pool:
        for split in chosen:
            try:
                names = read_split(folder, split)
            except DataError as error:
                report.splits[split] = 0
                report.problems.append(_problem(split, error))
                continue
            report.splits[split] = len(names)
            items = list(pool.map(lambda name, s=split: _check_item(folder, s, name, table), names))
            for name, item in zip(names, items, strict=True):
                report.problems += item.problems
                if item.image_hash is not None:
                    seen[item.image_hash].append(f"{split}/{name}")
                if item.size is not None:
                    sizes[item.size] += 1
            if table is not None:
                histograms = [i.histogram for i in items if i.histogram is not None]
                report.counts[split] = sum_histograms(histograms, len(table.classes))
            report.warnings += _unlisted(folder, split, names)
    report.sizes = dict(sizes.most_common())
    report.duplicates = [tuple(v) for v in seen.values() if len({n.split("/")[0] for n in v}) > 1]
    if "train" in report.counts:
        absent = np.flatnonzero(report.counts["train"].pixels == 0)
        report.warnings += [f"class {report.class_names[k]!r} has no pixel in train" for k in absent]
    return report


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


def _check_item(root: Path, split: str, name: str, table: ClassTable | None) -> _Item:
    """Check image and mask each by itself, so that one defect does not hide another."""
    item = _Item([])
    image_file = mask_file = None
    image = ids = None
    try:
        image_file = image_path(root, split, name)
        image = read_image(image_file)
        item.image_hash = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
        item.size = (image.shape[0], image.shape[1])
    except DataError as error:
        item.problems.append(_problem(split, error))
    try:
        mask_file = mask_path(root, split, name)
        ids = read_ids(mask_file, table)
    except DataError as error:
        item.problems.append(_problem(split, error))
    checks: list[Callable[[], object]] = []
    if image is not None and ids is not None and image_file is not None and mask_file is not None:
        checks.append(lambda: check_same_size(image, ids, image_file, mask_file))
    if ids is not None and mask_file is not None and table is not None:
        lookup = table.lookup()
        checks.append(lambda: to_train_ids(ids, lookup, mask_file))
        train_ids = lookup[ids]
        item.histogram = np.bincount(train_ids[train_ids != NOT_A_LABEL], minlength=256)
    for check in checks:
        try:
            check()
        except DataError as error:
            item.problems.append(_problem(split, error))
    return item


def _unlisted(root: Path, split: str, names: Sequence[str]) -> list[str]:
    listed = set(names)
    found = []
    for kind, suffixes in (("images", IMAGE_SUFFIXES), ("annotations", (".png",))):
        folder = root / kind / split
        there = [p.relative_to(folder) for p in folder.rglob("*") if p.suffix.lower() in suffixes]
        extra = sorted(p.as_posix() for p in there if p.as_posix()[: -len(p.suffix)] not in listed)
        if extra:
            found.append(f"{folder}: {len(extra)} files not listed in {split}.txt, the first is {extra[0]}")
    return found
