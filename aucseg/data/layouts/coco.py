"""COCO's annotation format: one JSON file for many images, with polygons or run lengths.

An annotation is the union of its polygons, rasterised as the official tools do it (``pycocotools``, which
comes with the extra ``coco``); holes are in its run lengths, or cut by the even-odd rule where one polygon
runs back along itself. Where objects overlap, the smaller one lies above unless the order of the file is
asked for. Crowds, which are groups that nobody told apart, are void unless they are asked for as their class;
they lie under everything else.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from aucseg.data.classes import ClassTable
from aucseg.data.labels import VOID
from aucseg.data.layouts.description import Description, Found, Kind, option
from aucseg.data.layouts.drawing import Overlap, Region, check_points, paint, read_json, value_of
from aucseg.data.layouts.patterns import fitting, matches, no_file, of_split
from aucseg.errors import DataError, extra

Crowd = Literal["void", "class", "skip"]

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Annotation:
    """One object of an image.

    Args:
        id: its id in the file, for messages.
        category: name of its class.
        segmentation: polygons or run lengths as they stand in the file.
        crowd: whether it is a group that nobody told apart.
    """

    id: Any
    category: str
    segmentation: Any
    crowd: bool


@dataclass
class AnnotatedImage:
    """What a file says of one image.

    Args:
        file_name: the image, as the file calls it.
        size: height and width.
        annotations: its objects, in the order of the file.
    """

    file_name: str
    size: tuple[int, int]
    annotations: list[Annotation] = field(default_factory=list)


@dataclass(frozen=True)
class CocoFile:
    """What is in an annotation file.

    Args:
        categories: id of each category by its name, in the order of the ids.
        images: what is said of each image, by its file name without the ending.
    """

    categories: dict[str, int]
    images: dict[str, AnnotatedImage]


def load_coco(path: Path) -> CocoFile:
    """What is in an annotation file; parsed once in a process, as long as the file is the same.

    Args:
        path: the JSON file.

    Raises:
        DataError: if it is missing or no such file, or its parts do not fit together.
    """
    try:
        found = path.stat()
    except OSError:
        found = None
    state = (0, 0) if found is None else (found.st_size, found.st_mtime_ns)
    with _ONE_AT_A_TIME:  # of many threads that ask at once, one parses
        return _load(path, state)


@lru_cache(maxsize=8)
def _load(path: Path, state: tuple[int, int]) -> CocoFile:
    content = read_json(path, "COCO annotation file")
    parts: dict[str, list[dict[str, Any]]] = {}
    for key in ("images", "annotations", "categories"):
        rows = content.get(key)
        if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
            raise DataError(f"has no list {key!r}: it is no COCO annotation file", file=path)
        parts[key] = rows
    names = _by_id(parts["categories"], "name", path)
    categories: dict[str, int] = {}
    for number, name in sorted(names.items(), key=lambda each: str(each[0]).zfill(12)):
        if name in categories:
            raise DataError(f"two categories are called {name!r}", file=path, remedy="rename one")
        categories[name] = number
    by_id: dict[Any, AnnotatedImage] = {}
    images: dict[str, AnnotatedImage] = {}
    for number, file_name in _by_id(parts["images"], "file_name", path).items():
        stem = str(PurePosixPath(file_name.replace("\\", "/")).with_suffix(""))
        if stem in images:
            raise DataError(
                f"{file_name} and {images[stem].file_name} are images of one name",
                file=path,
                remedy="rename one",
            )
        by_id[number] = images[stem] = AnnotatedImage(file_name, (0, 0))
    for each in parts["images"]:
        height, width = each.get("height"), each.get("width")
        if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
            told = f"image {each['file_name']} has the height {height} and the width {width}"
            raise DataError(told, file=path, remedy="export it again")
        by_id[each["id"]].size = height, width
    for each in parts["annotations"]:
        image, category = by_id.get(each.get("image_id")), names.get(each.get("category_id"))
        if image is None or category is None:
            key = "image_id" if image is None else "category_id"
            raise DataError(
                f"annotation {each.get('id')} has the {key} {each.get(key)}, which is none", file=path
            )
        crowd = bool(each.get("iscrowd"))
        image.annotations.append(Annotation(each.get("id"), category, each.get("segmentation"), crowd))
    return CocoFile(categories, images)


def _by_id(rows: Sequence[Mapping[str, Any]], key: str, path: Path) -> dict[Any, str]:
    """A text of each row by the row's id."""
    found: dict[Any, str] = {}
    for row in rows:
        if (
            not isinstance(row.get("id"), int | str)
            or not isinstance(row.get(key), str)
            or not row[key].strip()
        ):
            raise DataError(f"an entry has no id or no {key}: {str(row)[:80]}", file=path)
        if row["id"] in found:
            raise DataError(f"{found[row['id']]} and {row[key]} have the id {row['id']}", file=path)
        found[row["id"]] = row[key].strip()
    return found


def split_place(path: Path) -> tuple[Path, str]:
    """The annotation file and the name of the image in a place ``FILE.json/NAME``, which is no file itself.

    Args:
        path: the place.
    """
    file = next(parent for parent in path.parents if parent.suffix.lower() == ".json")
    return file, path.relative_to(file).as_posix()


def read_coco(
    path: Path,
    values: Mapping[str, int],
    *,
    overlap: Overlap = "smaller",
    crowd: Crowd = "void",
    skip_without_area: bool = False,
) -> np.ndarray:
    """The label map of one image of an annotation file, (H, W) uint8.

    Args:
        path: the place ``FILE.json/NAME`` of the image in the file.
        values: id of each class by its name.
        overlap: which of two objects a pixel belongs to, see `paint`.
        crowd: what crowds become: ``"void"``, their ``"class"``, or nothing (``"skip"``).
        skip_without_area: pass over annotations that are a box only, or outlines of fewer than three points.

    Raises:
        DataError: if the file is missing or no such file, or an annotation cannot be drawn.
        MissingExtraError: without ``pycocotools``.
    """
    file, name = split_place(path)
    images = load_coco(file).images
    if name not in images:
        raise DataError(f"no image {name!r}", file=file, remedy="take it out of the split's list")
    image = images[name]
    regions: list[Region | None] = []
    below: list[Region] = []
    for each in image.annotations:
        if (each.crowd and crowd == "skip") or (skip_without_area and without_area(each.segmentation)):
            continue
        void = each.crowd and crowd == "void"
        value = VOID if void else value_of(each.category, values, file)
        region = Region.cut(value, _fill(each, image, file))
        if not each.crowd:
            regions.append(region)
        elif region is not None:
            below.append(region)
    return paint(image.size, regions, overlap, below=below)


def without_area(segmentation: Any) -> bool:
    """Whether an annotation has no outline at all, or only such of fewer than three points."""
    if isinstance(segmentation, list):
        return all(isinstance(each, list) and len(each) < 6 for each in segmentation)
    return segmentation is None


def _fill(annotation: Annotation, image: AnnotatedImage, path: Path) -> np.ndarray:
    """The pixels of an annotation, (H, W) bool."""
    height, width = image.size
    what = f"annotation {annotation.id} ({annotation.category!r}) of {image.file_name}"
    segmentation = annotation.segmentation
    if without_area(segmentation):
        raise DataError(
            f"{what} is a box without an outline" if not segmentation else f"{what} has under three points",
            file=path,
            remedy="outline it, or write `without_area: skip` into aucseg.yaml",
        )
    if isinstance(segmentation, list):
        with extra("coco"):
            from pycocotools import mask as rasteriser
        polygons = []
        for each in segmentation:
            try:
                points = np.array(each, float).reshape(-1, 2)
            except (TypeError, ValueError):
                raise DataError(f"{what} has points that are no pairs of numbers", file=path) from None
            check_points(points, image.size, path, what)
            if len(points) > 2:  # the others are no areas
                polygons.append(points.ravel().tolist())
        parts = rasteriser.frPyObjects(polygons, height, width)
        filled = np.zeros(image.size, bool)
        for part in parts:
            filled |= _expand(part["counts"], image.size, what, path)
        return filled
    if isinstance(segmentation, Mapping):
        if list(segmentation.get("size") or ()) != [height, width]:
            raise DataError(
                f"{what} has run lengths for the size {segmentation.get('size')}, the image has "
                f"{[height, width]} (height, width)",
                file=path,
            )
        return _expand(segmentation.get("counts"), image.size, what, path)
    raise DataError(f"{what} has a segmentation of type {type(segmentation).__name__}", file=path)


def _expand(counts: Any, size: tuple[int, int], what: str, path: Path) -> np.ndarray:
    """The pixels of run lengths, (H, W) bool: columns one after the other, outside and inside in turn.

    The official decoder leaves what the runs do not fill as it finds it in memory, so they are expanded here.
    """
    if isinstance(counts, str | bytes):
        counts = run_lengths(counts.encode() if isinstance(counts, str) else counts)
    try:
        runs = np.array(counts, np.int64)
    except (TypeError, ValueError, OverflowError):
        runs = np.array([-1])
    height, width = size
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(
            f"{what} has run lengths of {runs.sum()} pixels, the image has {height * width}", file=path
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def run_lengths(text: bytes) -> np.ndarray:
    """The run lengths in COCO's compressed form, int64.

    Each is written in digits of five bits, the lowest first, as characters from ``0`` on; a digit has 32
    added if another follows, and the last one the sign. From the fourth on, a run is given by its difference
    to the one before the last.

    Args:
        text: the compressed form.

    Returns:
        The runs, or ``[-1]`` for what is no such form.
    """
    digits = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not digits.size or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return np.array([-1])
    last = np.flatnonzero((digits & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    number = np.repeat(np.arange(len(last)), last - first + 1)
    place = np.arange(len(digits)) - first[number]
    if place.max() > 11:
        return np.array([-1])
    runs = np.zeros(len(last), np.int64)
    np.add.at(runs, number, (digits & 31) << (5 * place))
    negative = (digits[last] & 16) > 0
    runs[negative] -= np.int64(1) << (5 * (place[last][negative] + 1))
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _sides(root: Path, description: Description, _: Sequence[str]) -> tuple[Found, Found]:
    """The images that the annotation files name, and the place of each in its file.

    An image is found by the whole name that the file gives it, or by its last part where that is enough.
    """
    on_disk = matches(root, description.images)
    if not on_disk:
        raise no_file(root, description.images)
    images: Found = {}
    masks: Found = {}
    files = annotation_files(root, description.masks)
    if not files:
        raise no_file(root, description.masks)
    for word, file in files.items():
        here = of_split(on_disk, word) if word else {name: path for (_, name), path in on_disk.items()}
        by_last: dict[str, list[str]] = defaultdict(list)
        for name in here:
            by_last[name.rpartition("/")[2]].append(name)
        for stem in load_coco(file).images:
            last = by_last.get(stem.rpartition("/")[2], [])
            name = stem if stem in here or len(last) != 1 else last[0]
            masks[word, name] = file / stem
            if name in here:
                images[word, name] = here[name]
    return images, masks


def annotation_files(root: Path, pattern: str) -> dict[str, Path]:
    """The annotation files that fit a pattern, by split word (empty without the field).

    Args:
        root: the folder.
        pattern: the pattern.

    Raises:
        DataError: for two of one split.
    """
    files: dict[str, Path] = {}
    for match, path in fitting(root, pattern):
        word = match.groupdict().get("split", "")
        if word in files:
            raise DataError(f"{path.name} fits {pattern!r} too", file=files[word], remedy="name one of them")
        files[word] = path
    return files


def _read(description: Description, table: ClassTable) -> Callable[[Path], np.ndarray]:
    crowd = option(description, COCO, "crowd")
    return partial(
        read_coco,
        values={row.name: row.id for row in table.rows},
        overlap="order" if option(description, COCO, "overlap") == "order" else "smaller",
        crowd="class" if crowd == "class" else "skip" if crowd == "skip" else "void",
        skip_without_area=option(description, COCO, "without_area") == "skip",
    )


def _parts(_: Description, __: ClassTable) -> Callable[[Path], dict[str, Path]]:
    return _file_of


def _file_of(place: Path) -> dict[str, Path]:
    return {split_place(place)[1]: split_place(place)[0]}


COCO = Kind(
    "COCO annotations, a JSON file for many images",
    _sides,
    _read,
    _parts,
    options={
        "overlap": ("smaller", "order"),
        "crowd": ("void", "class", "skip"),
        "without_area": ("error", "skip"),
    },
    fields=(),
)
