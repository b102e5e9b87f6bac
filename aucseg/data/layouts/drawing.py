"""Label maps that are drawn: from the outlines of an annotation file, or one mask for each class."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aucseg.errors import DataError, did_you_mean, file_errors

UNLABELLED = 0
"""The value of pixels that no region covers; ``classes.csv`` says whether it is a class or void."""

Overlap = Literal["smaller", "order"]


@dataclass(frozen=True)
class Region:
    """The pixels of one object, or of one class, in a label map.

    Args:
        value: what they get.
        top, left: place of the first row and column of ``pixels``.
        pixels: which of them belong to it, (h, w) bool.
    """

    value: int
    top: int
    left: int
    pixels: np.ndarray

    @classmethod
    def cut(cls, value: int, mask: np.ndarray) -> Region | None:
        """The region of a mask of the whole image, (H, W) bool; None if it is empty."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not rows.size:
            return None
        top, left = int(rows[0]), int(columns[0])
        return cls(value, top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def paint(
    size: tuple[int, int], regions: Iterable[Region | None], overlap: Overlap, *, below: Iterable[Region] = ()
) -> np.ndarray:
    """A label map of some regions, (H, W) uint8, `UNLABELLED` where there is none.

    Args:
        size: its height and width.
        regions: the regions, in the order of their file; None for one that is empty.
        overlap: which one a pixel of several gets: of ``"smaller"``, the one of fewer pixels, and of as many
            the later one; of ``"order"``, the later one.
        below: regions that lie under all of them.
    """
    drawn = [region for region in regions if region is not None]
    if overlap == "smaller":
        drawn.sort(key=lambda region: -int(np.count_nonzero(region.pixels)))
    ids = np.full(size, UNLABELLED, np.uint8)
    for region in (*below, *drawn):
        height, width = region.pixels.shape
        place = ids[region.top : region.top + height, region.left : region.left + width]
        place[region.pixels] = region.value
    return ids


def value_of(name: str, values: Mapping[str, int], path: Path) -> int:
    """The value that stands for a class in drawn label maps, which is its id in ``classes.csv``.

    Args:
        name: the class, as the annotation calls it.
        values: id of each row of ``classes.csv`` by its name; ignored rows too.
        path: the annotation, for the message.

    Raises:
        DataError: for a class that has no row.
    """
    if name not in values:
        raise DataError(
            f"the class {name!r} has no row in classes.csv ({did_you_mean(name, values)})",
            file=path,
            remedy="add its row, with ignore=1 if it shall be void",
        )
    return values[name]


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: the file.
        what: what it should be, for the message.

    Raises:
        DataError: if it is missing, no JSON, or holds something else than an object.
    """
    with file_errors(path, "cannot be read", remedy="check the path and its permissions"):
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise DataError(f"missing {what}", file=path, remedy="export it again") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"no JSON ({error})", file=path, remedy="export it again") from None
    if not isinstance(content, dict):
        raise DataError(f"is no {what}: it holds a {type(content).__name__}", file=path)
    return content


def check_points(points: np.ndarray, size: tuple[int, int], path: Path, what: str) -> None:
    """Raise `DataError` unless the points of an outline are numbers near the image.

    Annotation tools leave points some pixels outside. One that is further away than the image is large was
    made for another size, and would take memory without end to draw.

    Args:
        points: x and y of each, (N, 2).
        size: height and width of the image.
        path: the annotation, for the message.
        what: the outline, for the message.
    """
    height, width = size
    low, high = np.array([-width, -height]) - 1, np.array([2 * width, 2 * height]) + 1
    bad = ~((points >= low) & (points <= high)).all(1)  # NaN is neither
    if bad.any():
        x, y = points[np.argmax(bad)]
        raise DataError(
            f"{what} has a point x={x:g}, y={y:g}, far outside an image of {width}x{height} (width x height)",
            file=path,
            remedy="correct it; outlines are in pixels of the image as it lies there",
        )
