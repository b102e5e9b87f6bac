"""One binary mask for each class, such as ``masks/{class}/{name}.png``; or one for the only class.

In a mask of two values of which one is 0, the other one is the class, whatever it is: 0 and 1, 0 and 255. In
a mask of more values, smoothed or compressed, the class is from 128 on. A class that has no mask is not in
the image. Pixels of several classes are of the one with fewer pixels, unless the order of ``classes.csv`` is
asked for, where later rows lie above; pixels of none have the value 0.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from aucseg.data.classes import ClassTable
from aucseg.data.layouts.description import Description, Found, Kind, option
from aucseg.data.layouts.drawing import UNLABELLED, Overlap, Region, paint
from aucseg.data.layouts.patterns import apart, fitting, matches, sides
from aucseg.data.listing import PICTURE_SUFFIXES
from aucseg.data.reading import orientation, read_luminance
from aucseg.errors import DataError, OptionError, did_you_mean, file_errors

_FIELD = "{class}"
_BETWEEN, _MOST_BETWEEN = slice(64, 192), 0.1


def read_binary(path: Path) -> np.ndarray:
    """The pixels of a mask of two values, (H, W) bool.

    Raises:
        DataError: if the file cannot be decoded, or more than a tenth of its pixels lie in between.
    """
    gray = read_luminance(path)
    pixels = np.bincount(gray.ravel(), minlength=256)
    values = np.flatnonzero(pixels)
    if len(values) == 1 or (len(values) == 2 and values[0] == 0):
        return gray > 0
    if values[-1] < 128 or pixels[_BETWEEN].sum() > _MOST_BETWEEN * gray.size:
        told = ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
        raise DataError(
            f"is no mask of one class: it holds {len(values)} values, {told}",
            file=path,
            remedy="save it as 0 and 255; masks that hold several classes are the layout `patterns`",
        )
    return gray >= 128


def find_parts(place: Path, values: Mapping[str, int]) -> dict[str, Path]:
    """The masks that are there of an item, by class.

    Args:
        place: where they lie, with ``{class}`` in the place of the class; a file for the only class.
        values: id of each class by its name.
    """
    text = str(place)
    if _FIELD not in text:
        return {next(name for name, value in values.items() if value != UNLABELLED): place}  # its first row
    found = {}
    for name in values:
        path = Path(text.replace(_FIELD, name))
        if path.suffix == ".*":
            there = path.parent.glob(f"{glob.escape(path.stem)}.*")
            path = next((each for each in there if each.suffix.lower() in PICTURE_SUFFIXES), path)
        if path.is_file():
            found[name] = path
    return found


def read_classes_apart(place: Path, values: Mapping[str, int], *, overlap: Overlap = "smaller") -> np.ndarray:
    """The label map of an item, (H, W) uint8.

    Args:
        place: as for :func:`find_parts`.
        values: id of each class by its name.
        overlap: which of two classes a pixel belongs to, see `paint`.

    Raises:
        DataError: if there is no mask at all, one is no binary mask, or they differ in size.
    """
    parts = find_parts(place, values)
    if not parts:
        if place.parent.is_file():  # the picture itself, on which there is nothing
            return np.full(_upright_size(place.parent), UNLABELLED, np.uint8)
        raise DataError(
            "there is no mask of any class",
            file=place,
            remedy="add one, or write `without_mask: background` into aucseg.yaml if nothing is on it",
        )
    masks = {name: read_binary(path) for name, path in parts.items()}
    sizes = {mask.shape: name for name, mask in masks.items()}
    if len(sizes) > 1:
        told = " and ".join(f"{parts[name].name} {w}x{h}" for (h, w), name in list(sizes.items())[:2])
        raise DataError(f"masks of one image differ in size: {told}", file=place, remedy="export them again")
    regions = [Region.cut(values[name], mask) for name, mask in masks.items()]
    (height, width) = next(iter(sizes))
    return paint((height, width), regions, overlap)


def _upright_size(image: Path) -> tuple[int, int]:
    """Height and width of a picture, by its header."""
    with file_errors(image, "cannot be read"), Image.open(image) as picture:
        width, height = picture.size
    return (width, height) if orientation(image) > 4 else (height, width)


def _sides(root: Path, description: Description, names: Sequence[str]) -> tuple[Found, Found]:
    if _FIELD not in description.masks:
        return sides(root, description, names)
    if "*" in description.masks.removesuffix(".*"):
        raise OptionError(
            f"a pattern with {{class}} may have * as its ending only, got {description.masks!r}"
        )
    masks: Found = {}
    files: dict[tuple[str, str], Path] = {}
    for match, path in fitting(root, description.masks, names):
        word, name, label = match.groupdict().get("split", ""), match["name"], match["class"]
        masks[word, name] = place = root / description.masks.replace("{split}", word).replace("{name}", name)
        if (word, f"{name}\0{label}") in files:
            raise DataError(
                f"{path.name} is there too, another mask of {label!r}",
                file=files[word, f"{name}\0{label}"],
                remedy="keep one of the two",
            )
        files[word, f"{name}\0{label}"] = path
        if place.suffix != ".*" and path.suffix != place.suffix:
            remedy = f"rename it, or write '{description.masks.rpartition('.')[0]}.*'"
            raise DataError(f"does not end in {place.suffix}", file=path, remedy=remedy)
    # The images must not be files that are masks of some class.
    images, _ = apart(root, description, matches(root, description.images), files)
    together = "{split}" in description.images and "{split}" in description.masks
    known = {*files.values(), *images.values()}
    have = {(word if together else "", name) for word, name in images}
    for match, path in fitting(root, description.masks):
        word = match.groupdict().get("split", "") if together else ""
        if path not in known and (word, match["name"]) in have:
            raise DataError(
                f"is a mask of the class {match['class']!r}, which has no row in classes.csv "
                f"({did_you_mean(match['class'], names)})",
                file=path,
                remedy="add its row, with ignore=1 if it shall be void",
            )
    if option(description, PER_CLASS, "without_mask") == "background":
        for word, name in images:
            masks.setdefault((word if together else "", name), images[word, name] / _FIELD)
    return images, masks


def _values(table: ClassTable) -> dict[str, int]:
    return {row.name: row.id for row in table.rows}


def _read(description: Description, table: ClassTable) -> Callable[[Path], np.ndarray]:
    overlap: Overlap = "order" if option(description, PER_CLASS, "overlap") == "order" else "smaller"
    return partial(read_classes_apart, values=_values(table), overlap=overlap)


def _parts(_: Description, table: ClassTable) -> Callable[[Path], dict[str, Path]]:
    return partial(find_parts, values=_values(table))


PER_CLASS = Kind(
    "one binary mask for each class",
    _sides,
    _read,
    _parts,
    options={"overlap": ("smaller", "order"), "without_mask": ("error", "background")},
    may=("class",),
)
