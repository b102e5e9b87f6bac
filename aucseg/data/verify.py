"""Open every file of a data set and report all that is wrong, before a training finds out."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from aucseg.data.class_stats import read_pixel_share
from aucseg.data.classes import VOID, ClassTable, read_classes
from aucseg.data.item_check import CheckedItem, Subject, as_problem, check_item
from aucseg.data.layout import list_splits
from aucseg.data.layouts import Layout, detect
from aucseg.data.listing import Item, list_folder
from aucseg.data.reading import read_ids
from aucseg.data.report import VerifyReport
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import bounded_map
from aucseg.errors import DataError

_NAMED = 5


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
    seen: dict[str, list[tuple[str, Item]]] = defaultdict(list)
    checked: dict[Item, CheckedItem] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    for split in subject.splits if splits is None else tuple(splits):
        try:
            listing = subject.list_split(split)
        except DataError as error:
            report.splits[split] = 0
            report.problems.append(as_problem(split, error))
            continue
        report.splits[split] = len(listing.items)
        report.problems += [as_problem(split, error) for error in listing.problems]
        new = [item for item in listing.items if item not in checked]  # lists may overlap: "trainval"
        for item, result in zip(
            new, bounded_map(partial(check_item, subject, split), new, workers=workers), strict=True
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


def _own(folder: Path, spec: ClassSpec | None, report: VerifyReport) -> Subject:
    splits = list_splits(folder)
    if not splits:
        raise DataError(
            "no split files", file=folder / "splits", remedy="write train.txt there with a NAME on each line"
        )
    table = _check_table(folder, spec, report)
    reader = partial(read_ids, table=table)
    lookup = None if table is None else table.lookup()
    return Subject(folder, "folder", splits, partial(list_folder, folder), reader, lookup)


def _published(folder: Path, layout: Layout, report: VerifyReport) -> Subject:
    place = layout.locate(folder)
    report.class_names = layout.spec.names
    splits, listing = layout.splits(place), partial(layout.listing, place)
    return Subject(folder, layout.name, splits, listing, layout.read_ids, layout.lookup)


def _check_table(root: Path, spec: ClassSpec | None, report: VerifyReport) -> ClassTable | None:
    try:
        table = read_classes(root)
    except DataError as error:
        report.problems.append(as_problem("", error))
        return None
    report.class_names = tuple(r.name for r in table.classes)
    checks: list[Callable[[], object]] = [table.groups, lambda: read_pixel_share(root, table)]
    if spec is not None:
        checks.append(lambda: table.check_names(spec))
    for check in checks:
        try:
            check()
        except DataError as error:
            report.problems.append(as_problem("", error))
    return table
