"""LabelMe: one JSON file for each image, with the outlines of what is on it.

An outline is filled as LabelMe's own export does it: with Pillow, border included, and where it crosses
itself by the even-odd rule, so that an outline that runs back along itself cuts a hole. The later shape lies
above the earlier one, again as in LabelMe, unless the smaller one is asked for. Circles, rectangles and pixel
masks are read too; points and lines have no area, and are an error unless they are to be passed over.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from aucseg.data.classes import ClassTable
from aucseg.data.layouts.description import Description, Kind, option
from aucseg.data.layouts.drawing import Overlap, Region, check_points, paint, read_json, value_of
from aucseg.data.layouts.patterns import sides
from aucseg.errors import DataError

_OUTLINES = ("polygon", "rectangle", "oriented_rectangle", "circle", "mask")
_WITHOUT_AREA = ("point", "points", "line", "linestrip")


def read_labelme(
    path: Path, values: Mapping[str, int], *, overlap: Overlap = "order", skip_without_area: bool = False
) -> np.ndarray:
    """The label map of a LabelMe file, (H, W) uint8.

    Args:
        path: the JSON file.
        values: id of each class by its name.
        overlap: which of two shapes a pixel belongs to, see `paint`.
        skip_without_area: pass over points and lines.

    Raises:
        DataError: if the file is missing or no such file, has a label without a class, or a shape that
            cannot be filled.
    """
    content = read_json(path, "LabelMe file")
    size = image_size(content, path)
    regions = []
    for label, shape in shapes(content, path):
        kind = shape.get("shape_type") or "polygon"
        if kind in _WITHOUT_AREA and skip_without_area:
            continue
        value = value_of(label, values, path)
        regions.append(Region.cut(value, _fill(shape, kind, label, size, path)))
    return paint(size, regions, overlap)


def shapes(content: Mapping[str, Any], path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The shapes of a LabelMe file, each with its label.

    Args:
        content: what is in the file.
        path: the file, for the messages.

    Raises:
        DataError: if it has none, or one without a label.
    """
    found = content.get("shapes")
    if not isinstance(found, list):
        raise DataError("has no shapes: it is no LabelMe file", file=path, remedy="export it again")
    named = []
    for number, shape in enumerate(found, 1):
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise DataError(f"shape {number} has no label", file=path, remedy="name its class in LabelMe")
        named.append((label.strip(), shape))
    return named


def without_area(shape: Mapping[str, Any]) -> bool:
    """Whether a shape is a point or a line."""
    return shape.get("shape_type") in _WITHOUT_AREA


def image_size(content: Mapping[str, Any], path: Path) -> tuple[int, int]:
    """Height and width of the image of a LabelMe file.

    Raises:
        DataError: if the file does not say.
    """
    size = content.get("imageHeight"), content.get("imageWidth")
    if not all(isinstance(n, int) and n > 0 for n in size):
        raise DataError(
            f"imageHeight and imageWidth are {size[0]!r} and {size[1]!r}",
            file=path,
            remedy="open and save it in LabelMe, which writes them",
        )
    return size  # type: ignore[return-value]


def _fill(shape: Mapping[str, Any], kind: str, label: str, size: tuple[int, int], path: Path) -> np.ndarray:
    """The pixels of a shape, (H, W) bool."""
    if kind not in _OUTLINES:
        known = "a shape without area" if kind in _WITHOUT_AREA else "of an unknown kind"
        raise DataError(
            f"{label!r} is a {kind}, {known}",
            file=path,
            remedy="draw an outline, or write `without_area: skip` into aucseg.yaml"
            if kind in _WITHOUT_AREA
            else f"draw one of {', '.join(_OUTLINES)}",
        )
    try:
        points = np.array(shape.get("points"), float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise DataError(f"{label!r} has points that are no pairs of numbers", file=path) from None
    check_points(points, size, path, repr(label))
    least = 3 if kind in ("polygon", "oriented_rectangle") else 2
    if len(points) < least:
        raise DataError(
            f"{label!r} is a {kind} of {len(points)} points", file=path, remedy="delete it or draw it again"
        )
    if kind == "mask":
        return _pasted(shape, points, label, size, path)
    canvas = Image.new("L", size[::-1])
    draw = ImageDraw.Draw(canvas)
    corners = [(float(x), float(y)) for x, y in points]
    if kind == "circle":  # its centre, and a point on it
        (x, y), (edge_x, edge_y) = corners[:2]
        radius = math.hypot(edge_x - x, edge_y - y)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1, outline=1)
    elif kind == "rectangle":
        draw.rectangle([*points.min(0).tolist(), *points.max(0).tolist()], fill=1, outline=1)
    else:
        draw.polygon(corners, fill=1, outline=1)
    return np.asarray(canvas).astype(bool)


def _pasted(
    shape: Mapping[str, Any], points: np.ndarray, label: str, size: tuple[int, int], path: Path
) -> np.ndarray:
    """The pixels of a mask that lies in the file as a picture of its box, (H, W) bool."""
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(shape.get("mask") or "", validate=True)))
        small = np.array(picture.convert("L")) > 0
    except (OSError, TypeError, ValueError, binascii.Error) as error:
        raise DataError(
            f"the mask of {label!r} is no picture ({error})", file=path, remedy="draw it again"
        ) from None
    left, top = (int(n) for n in np.rint(points.min(0)))
    mask = np.zeros(size, bool)
    height, width = size
    inside = small[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    top, left = max(top, 0), max(left, 0)
    mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return mask


def _read(description: Description, table: ClassTable) -> Callable[[Path], np.ndarray]:
    return partial(
        read_labelme,
        values={row.name: row.id for row in table.rows},
        overlap="smaller" if option(description, LABELME, "overlap") == "smaller" else "order",
        skip_without_area=option(description, LABELME, "without_area") == "skip",
    )


LABELME = Kind(
    "LabelMe outlines, a JSON file for each image",
    sides,
    _read,
    options={"overlap": ("order", "smaller"), "without_area": ("error", "skip")},
)
