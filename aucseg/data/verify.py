"""Open every file of a data set and report all that is wrong, before a training finds out."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from aucseg.data.classes import ClassTable, read_classes, read_pixel_share
from aucseg.data.labels import VOID, allowed_labels, by_train_id, value_histogram, without_meaning
from aucseg.data.layouts.base import Layout, one_file
from aucseg.data.layouts.own import list_folder, list_splits
from aucseg.data.listing import Item, Listing, walk_once
from aucseg.data.prepare import prepared_from
from aucseg.data.reading import (
    check_bytes,
    check_same_size,
    read_ids,
    read_image,
    read_rows_of_image,
)
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import bounded_map
from aucseg.errors import DataError, file_errors, how_many

MUCH_VOID = 0.5
"""Share of the pixels of a split from which on it is a problem that they are void, if nobody said so."""

_NAMED = 5
_MANY = 8
_MARKED = 16  # one row of an image in so many tells it from nearly all others
_TOGETHER = 8  # items that a thread checks before it asks for more


@dataclass(frozen=True)
class Problem:
    """One defect: in which split and file, what it is, what to do about it.

    Args:
        split: name of the split; empty for one of the whole data set.
        file: the file or folder.
        what: the defect.
        remedy: what to do.
        kind: what other files may have as well, by which `VerifyReport.folded` puts them together; made from
            ``what`` if it is not given.
    """

    split: str
    file: str
    what: str
    remedy: str
    kind: str = ""

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", _OF_ONE_FILE.sub("...", self.what))

    def to_dict(self) -> dict[str, str]:
        """The defect in plain types, for JSON."""
        return {"split": self.split, "file": self.file, "what": self.what, "remedy": self.remedy}


# What a message says of one file alone: its sizes, places in it, and the names of files and items.
_OF_ONE_FILE = re.compile(
    r"\d+ (?:such )?(?:pixels|bytes|times)|[\d.]+ megapixels|\d+x\d+|x=\d+, y=\d+"
    r"|(?<=no mask )'.*|(?<=no image )'.*|(?<=image of )'.*?'|(?<=mask of )'.*?'|^'.*?'(?= (?:stands|leads))"
    r"|\S+(?= (?:is there|differs))|\S+\.(?:png|jpe?g|bmp|tiff?|webp|gif|mat|npy)\b",
    re.IGNORECASE,
)


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

    def folded(self) -> list[tuple[Problem, int]]:
        """The problems with equal ones put together: the first of each kind, and how many there are.

        Equal are those that differ in the file alone, and in what is said of it: a label that no class has,
        in four hundred masks, is one.
        """
        first: dict[str, Problem] = {}
        number: Counter[str] = Counter()
        for problem in self.problems:
            first.setdefault(problem.kind, problem)
            number[problem.kind] += 1
        return [(problem, number[kind]) for kind, problem in first.items()]

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types, for JSON: every problem, and the equal ones folded."""
        return {
            "root": str(self.root),
            "layout": self.layout,
            "ok": self.ok,
            "splits": self.splits,
            "problems": [p.to_dict() for p in self.problems],
            "folded": [{**p.to_dict(), "times": times} for p, times in self.folded()],
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
    train_split: str | None = None,
    workers: int | None = None,
) -> VerifyReport:
    """Open every file of a data set, in the package's own layout or a published one.

    Each file is decoded once, in threads, and nothing but a few numbers of it is kept, so that the memory
    does not grow with the pictures. ``benchmarks/mask_statistics.py`` measures what it takes beside decoding.

    Args:
        root: the folder.
        splits: names of the splits; all that are there if None.
        spec: the label set that the class table must have, if any.
        layout: the published layout of the folder; the package's own if None.
        train_split: the split that trains; ``"train"``, or the only one there is, if None.
        workers: threads; the processor count up to 8 if None.

    Returns:
        All problems, not only the first. Nothing is changed on disk.

    Raises:
        DataError: if the folder does not exist, is not in the layout, or lists no split.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DataError("no such folder", file=folder, remedy="check the path of the data set")
    with walk_once():
        return _verify(folder, splits, spec, layout, train_split, workers)


def _verify(
    folder: Path,
    splits: Sequence[str] | None,
    spec: ClassSpec | None,
    layout: Layout | None,
    train_split: str | None,
    workers: int | None,
) -> VerifyReport:
    report = VerifyReport(folder)
    subject = _own(folder, spec, report) if layout is None else _published(folder, layout, report)
    report.layout = subject.layout
    seen: dict[str, list[tuple[str, Item]]] = defaultdict(list)
    checked: dict[Item, _CheckedItem] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    values: dict[str, np.ndarray] = {}
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
            new,
            bounded_map(partial(_check_item, subject, split), new, workers=workers, together=_TOGETHER),
            strict=True,
        ):
            checked[item] = result
            report.problems += result.problems
            if result.size is not None:
                sizes[result.size] += 1
        results = [checked[item] for item in listing.items]
        for item, result in zip(listing.items, results, strict=True):
            if result.mark is not None:
                seen[result.mark].append((split, item))
        if subject.lookup is not None and report.class_names:
            values[split] = _total(results)
            pixels = by_train_id(values[split], subject.lookup)
            report.pixels[split] = pixels[: len(report.class_names)]
            report.void[split] = int(pixels[VOID])
        report.warnings += listing.warnings
    report.warnings += _of_files(checked.values(), folder)
    report.sizes = dict(sizes.most_common())
    report.duplicates = [
        tuple(f"{split}/{item.name}" for split, item in group)
        for alike in seen.values()
        if _leaks(alike)
        for group in _same_pixels(alike)
        if _leaks(group)
    ]
    known = subject.splits
    training = train_split or ("train" if "train" in known else known[0] if len(known) == 1 else None)
    for split, found in values.items():
        labels = Labels(report.class_names, report.pixels[split], report.void[split], found)
        problems, warnings = check_labels(
            labels, split, table=subject.table, own=subject.own, trains=split == training
        )
        report.problems += [_as_problem(split, error) for error in problems]
        report.warnings += warnings
    return report


@dataclass(frozen=True, eq=False)
class Labels:
    """What the masks of a split hold.

    Args:
        names: class names, in train id order.
        pixels: pixels of each class, (K,).
        void: void pixels.
        values: pixels of each value of the files, (256,); None if only the classes are known.
    """

    names: Sequence[str]
    pixels: np.ndarray
    void: int
    values: np.ndarray | None = None


def check_labels(
    labels: Labels, split: str, *, table: ClassTable | None, own: bool, trains: bool
) -> tuple[list[DataError], list[str]]:
    """Whether the labels of a split can mean what they are taken for.

    Masks of 0 and 255 for two classes train and evaluate without an error, on background alone: 255 is void
    unless a row of ``classes.csv`` names it. So a class of one's own without a single pixel in the split that
    trains is a problem, and so is void that nobody asked for on more than half of the pixels.

    Args:
        labels: what the masks hold.
        split: name of the split.
        table: the class table of the folder; None for a published label set without one.
        own: whether the label set is the user's; the images at hand may lack classes of a published one.
        trains: whether it is the split that trains.

    Returns:
        The problems, and what is worth knowing.
    """
    file = None if table is None else table.file
    whole = int(labels.pixels.sum()) + labels.void
    if not whole:
        return [], []
    where = f"in {split!r}"
    if labels.void == whole:
        told = _told(labels.values, whole)
        return [
            DataError(
                f"no pixel {where} has a class: all are void{told}",
                file=file,
                remedy="give the values their classes in classes.csv, or export the masks again",
            )
        ], []
    problems, warnings = [], []
    unnamed = _unnamed_void(labels, table)
    share = f"{unnamed / whole:.1%} of the pixels"
    because = f"255, which has no row in classes.csv and is void therefore, covers {share}"
    row = "give 255 a row in classes.csv: of the class that it stands for, or with ignore=1"
    absent = [name for name, pixels in zip(labels.names, labels.pixels, strict=True) if not pixels]
    if absent and trains:
        if len(absent) == 1:
            what = f"class {absent[0]!r} has no pixel {where}"
        else:
            more = ", ..." if len(absent) > _NAMED else ""
            named = ", ".join(map(repr, absent[:_NAMED])) + more
            what = f"{len(absent)} of {len(labels.names)} classes have no pixel {where}: {named}"
        if own or len(labels.names) == 2:
            remedy = row if unnamed else "correct the masks, or set ignore=1 in its row of classes.csv"
            what += f", and {because} there" if unnamed else ""
            problems.append(DataError(what, file=file, remedy=remedy))
        else:
            warnings.append(what)
    if unnamed / whole > MUCH_VOID and not problems:
        problems.append(DataError(f"{because} {where}", file=file, remedy=row))
    elif labels.void / whole > MUCH_VOID and not problems:
        what = f"{labels.void / whole:.1%} of the pixels {where} are void{_told(labels.values, whole)}"
        if table is None:
            remedy = "if the labels have another meaning, say with --as or in a classes.csv which"
            problems.append(DataError(what, remedy=remedy))
        else:  # rows with ignore=1 say so
            warnings.append(what)
    return problems, warnings


def _unnamed_void(labels: Labels, table: ClassTable | None) -> int:
    """Void pixels of which no row of the class table speaks, as far as that can be told."""
    if table is None or any(row.id == VOID for row in table.rows):
        return 0
    if labels.values is not None:
        return int(labels.values[VOID])
    return 0 if any(row.ignore for row in table.rows) else labels.void


def _told(values: np.ndarray | None, whole: int) -> str:
    """The commonest values of the masks, in brackets."""
    if values is None:
        return ""
    most = [v for v in np.argsort(-values, kind="stable")[:_NAMED] if values[v]]
    return f" (values {', '.join(f'{v}: {values[v] / whole:.1%}' for v in most)})"


def _total(results: Sequence[_CheckedItem]) -> np.ndarray:
    """Pixels of each value in all masks, (256,) int64."""
    whole = np.zeros(256, np.int64)
    for each in results:
        if each.values is not None:
            whole[each.values[0]] += each.values[1]
    return whole


def _of_files(results: Iterable[_CheckedItem], root: Path) -> list[str]:
    """What is worth knowing of many files, in one line each."""
    wide = [result.wide for result in results if result.wide is not None]
    turned = [result.turned for result in results if result.turned is not None]
    away = [path for result in results for path in result.away]
    told = []
    if turned:
        images = how_many(len(turned), "image is", "images are")
        told.append(
            f"{images} turned upright by EXIF orientation, the first is {turned[0]}: masks belong on the "
            "upright images"
        )
    if wide:
        masks = how_many(len(wide), "mask has", "masks have")
        told.append(
            f"{masks} 16 bits a pixel where 8 do, the first is {wide[0]}; `aucseg data prepare` makes them 8"
        )
    if away:
        told.append(
            f"{how_many(len(away), 'file lies', 'files lie')} outside of {root} behind links, the first is "
            f"{away[0]}; a copy of the folder may lack them"
        )
    return told


def _leaks(group: Sequence[tuple[str, Item]]) -> bool:
    """Whether the places of one image are in several splits, by more than a list that overlaps by design."""
    apart = len({item.image for _, item in group}) > 1
    splits = {split for split, _ in group}
    return (apart and len(splits) > 1) or len(splits & {"train", "val", "test"}) > 1


def _own(folder: Path, spec: ClassSpec | None, report: VerifyReport) -> _Subject:
    splits = list_splits(folder)
    if not splits:
        raise DataError(
            "no split files",
            file=folder / "splits",
            remedy="write train.txt there with a NAME on each line, say where the files lie with --images "
            "and --masks, or which data set it is with --as",
        )
    table = _check_table(folder, spec, report)
    reader = partial(read_ids, table=table)
    lookup = None if table is None else table.lookup()
    own = spec is None and prepared_from(folder) in (None, "folder")
    return _Subject(folder, "folder", splits, partial(list_folder, folder), reader, lookup, table, own)


def _published(folder: Path, layout: Layout, report: VerifyReport) -> _Subject:
    place = layout.locate(folder)
    report.class_names = layout.spec.names
    splits, listing = layout.splits(place), partial(layout.listing, place)
    own = layout.table is not None
    return _Subject(
        folder,
        layout.name,
        splits,
        listing,
        layout.read_ids,
        layout.lookup,
        layout.table,
        own,
        layout.parts,
    )


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
        table: the class table of the folder, if it has one.
        own: whether the label set is the user's own, and not a published one.
        parts: the files that a mask is made of.
    """

    root: Path
    layout: str
    splits: tuple[str, ...]
    list_split: Callable[[str], Listing]
    read_ids: Callable[[Path], np.ndarray]
    lookup: np.ndarray | None
    table: ClassTable | None
    own: bool
    parts: Callable[[Path], Mapping[str, Path]] = one_file

    def lies_away(self, path: Path) -> bool:
        """Whether a file is behind a link that leads out of the folder, which may itself be one."""
        if os.path.islink(path):  # noqa: PTH114 - sooner
            return not _is_below(_real(path), _real(self.root))
        folder, _, _ = str(path).rpartition(os.sep)
        if folder not in self._away:
            real = _real(self.root)
            self._away[folder] = not _is_below(_real(folder) + os.sep, real)
        return self._away[folder]

    @cached_property
    def _away(self) -> dict[str, bool]:
        """Of each folder, whether its files lie elsewhere."""
        return {}


def _real(path: str | Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


@dataclass
class _CheckedItem:
    """What one image and its mask gave.

    Args:
        problems: what is wrong with them.
        mark: sha256 of some rows of the image, None if it cannot be read.
        size: its height and width.
        turned: the image, if its EXIF orientation turns it.
        values: values of the mask's file that occur, and the pixels of each; None if it cannot be read.
        wide: the mask, if it has 16 bits a pixel.
        away: the files that lie outside of the data set's folder.
    """

    problems: list[Problem] = field(default_factory=list)
    mark: str | None = None
    size: tuple[int, int] | None = None
    turned: Path | None = None
    values: tuple[np.ndarray, np.ndarray] | None = None
    wide: Path | None = None
    away: list[Path] = field(default_factory=list)


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
    checked = _CheckedItem()
    ids = None
    if item.image is not None:
        try:
            with file_errors(item.image, "cannot be read"):
                checked.away += filter(subject.lies_away, [item.image])
                seen = read_rows_of_image(item.image, _MARKED)
                checked.mark, checked.size = _digest(seen.rows, seen.size), seen.size
                checked.turned = None if seen.orientation == 1 else item.image
                if seen.checkable:
                    check_bytes(item.image, "image")
        except DataError as error:
            checked.problems.append(_as_problem(split, error))
    if item.mask is not None:
        try:
            with file_errors(item.mask, "cannot be read"):
                files = list(subject.parts(item.mask).values())
                checked.away += filter(subject.lies_away, files)
                ids = subject.read_ids(item.mask)
                wide = [file for file in files if check_bytes(file, "mask")]
                checked.wide = next(iter(wide), None)
        except DataError as error:
            checked.problems.append(_as_problem(split, error))
    if checked.size is not None and ids is not None and item.image is not None and item.mask is not None:
        try:
            check_same_size(checked.size, ids.shape, item.image, item.mask)
        except DataError as error:
            checked.problems.append(_as_problem(split, error))
    if ids is not None and item.mask is not None:
        pixels = value_histogram(ids)
        held = np.flatnonzero(pixels)
        checked.values = held.astype(np.uint8), pixels[held]
        if subject.lookup is not None:
            checked.problems += _wrong_labels(pixels, subject.lookup, split, item.mask)
    return checked


def _digest(pixels: np.ndarray, size: tuple[int, ...]) -> str:
    """sha256 of some pixels of an image, and of its size: the same bytes are another image in another one."""
    digest = hashlib.sha256(repr(size).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _same_pixels(alike: Sequence[tuple[str, Item]]) -> list[list[tuple[str, Item]]]:
    """The items of equal marks by all the pixels of their images, which are decoded again for that."""
    digests: dict[Path, str] = {}
    groups: dict[str, list[tuple[str, Item]]] = defaultdict(list)
    for split, item in alike:
        if item.image is None:
            continue
        if item.image not in digests:
            image = read_image(item.image)
            digests[item.image] = _digest(image, image.shape)
        groups[digests[item.image]].append((split, item))
    return list(groups.values())


def _wrong_labels(pixels: np.ndarray, lookup: np.ndarray, split: str, mask: Path) -> list[Problem]:
    """A problem for each value that is no label; a single one where there are many."""
    bad = without_meaning(pixels, lookup)
    if len(bad) <= _MANY:
        told = [(f"{v} ({pixels[v]} pixels)", f"label {v}") for v in bad]
    else:
        named = ", ".join(f"{v} ({pixels[v]} pixels)" for v in bad[:_NAMED])
        told = [(f"{len(bad)} values such as {named}; is it a mask of ids?", "many labels")]
    if not told:
        return []
    remedy = allowed_labels(lookup)
    return [
        Problem(split, str(mask), f"label outside the classes: {what}", remedy, kind) for what, kind in told
    ]
