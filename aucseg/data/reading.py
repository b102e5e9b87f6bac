"""Decode one image or one mask, or say in words why not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from aucseg.data.classes import ClassTable
from aucseg.errors import DataError, OptionError

# What Pillow raises for damaged files, over its formats.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
_PNG = b"\x89PNG\r\n\x1a\n"
_IHDR = _PNG + b"\x00\x00\x00\rIHDR"
_EIGHT_BITS_GRAY = b"\x08\x00"


def read_image(path: Path) -> np.ndarray:
    """Decode an image to RGB, (H, W, 3) uint8.

    Raises:
        DataError: if the file cannot be decoded, or has more than 8 bits a channel.
    """
    image = open_picture(path, "image")
    if image.mode.startswith(("I", "F")):
        raise DataError(f"image of mode {image.mode!r}", file=path, remedy="save it with 8 bits a channel")
    return np.array(image.convert("RGB"))


def read_ids(path: Path, table: ClassTable | None) -> np.ndarray:
    """Decode a mask to the values of its file, (H, W) uint8.

    Palette masks are read as the ids that they hold. RGB masks go through the colours of ``table``; an
    alpha channel is left out of account.

    Raises:
        DataError: for a file that cannot be decoded, a colour that no row has, values over 255.
    """
    if (gray := decode_gray_png(path)) is not None:
        return gray
    mask = open_picture(path, "mask")
    if mask.mode in ("RGB", "RGBA"):
        return _ids_from_colors(np.array(mask.convert("RGB")), table, path)
    return _ids_of(mask, path)


def _ids_of(mask: Image.Image, path: Path) -> np.ndarray:
    if mask.mode in ("L", "P"):
        return np.asarray(mask)
    if mask.mode == "1":
        return np.asarray(mask).astype(np.uint8)
    if mask.mode.startswith("I"):
        wide = np.array(mask)
        if wide.max() > 255 or wide.min() < 0:
            value = int(wide.max() if wide.max() > 255 else wide.min())
            raise DataError(
                f"value {value} in a mask of mode {mask.mode!r}",
                file=path,
                remedy="masks hold class ids from 0 to 255: map instance or panoptic ids to classes first",
            )
        return wide.astype(np.uint8)
    raise DataError(f"mask of mode {mask.mode!r}", file=path, remedy="save it as 8-bit gray, palette or RGB")


def read_gray_ids(path: Path) -> np.ndarray:
    """Decode a mask whose values are ids, (H, W) uint8; a colour mask is refused.

    Raises:
        DataError: as :func:`read_ids`, and for a colour mask.
    """
    gray = decode_gray_png(path)
    return _ids_of(open_picture(path, "mask"), path) if gray is None else gray


def read_indexed(path: Path, palette: np.ndarray) -> np.ndarray:
    """Decode a palette mask to its indices, (H, W) uint8, or a colour mask by the same palette.

    Args:
        path: the file.
        palette: colour of each index, (256, 3) uint8, all different.

    Raises:
        DataError: as :func:`read_ids`, and for a colour that is not in the palette.
    """
    mask = open_picture(path, "mask")
    if mask.mode not in ("RGB", "RGBA"):
        return _ids_of(mask, path)
    rgb = np.array(mask.convert("RGB"))
    remedy = "save the mask with its palette, without smoothing"
    return _index_of_color(rgb, _code(palette), path, "the palette", remedy).astype(np.uint8)


def read_luminance(path: Path) -> np.ndarray:
    """Decode a mask to gray values, (H, W) uint8, whatever its mode.

    Raises:
        DataError: if the file cannot be decoded, or has more than 8 bits a channel.
    """
    if (gray := decode_gray_png(path)) is not None:
        return gray
    mask = open_picture(path, "mask")
    if mask.mode.startswith(("I", "F")):
        raise DataError(f"mask of mode {mask.mode!r}", file=path, remedy="save it as 8-bit gray")
    if mask.mode == "1":
        return np.array(mask).astype(np.uint8) * 255
    return np.asarray(mask if mask.mode == "L" else mask.convert("L"))


def read_matrix(path: Path, key: str) -> np.ndarray:
    """A label map of a Matlab file (up to version 7.2), (H, W) uint8.

    Args:
        path: the file.
        key: name of the matrix.

    Raises:
        DataError: if the file cannot be read, lacks the matrix, or holds values outside 0 to 255.
    """
    from scipy.io import loadmat  # for the two data sets that come so

    try:
        content = loadmat(path, variable_names=[key])
    except Exception as error:  # on a damaged file the reader raises whatever it stumbles over
        raise DataError(
            f"unreadable mask ({type(error).__name__}: {error})", file=path, remedy="fetch the file again"
        ) from error
    if key not in content:
        raise DataError(f"no matrix {key!r}", file=path, remedy="fetch the file again")
    matrix = np.asarray(content[key])
    if matrix.ndim != 2 or not matrix.size or not np.issubdtype(matrix.dtype, np.number):
        raise DataError(
            f"matrix {key!r} is {matrix.dtype} of shape {matrix.shape}",
            file=path,
            remedy="a label map holds one number for each pixel",
        )
    if matrix.min() < 0 or matrix.max() > 255 or np.any(matrix != np.rint(matrix)):
        raise DataError(
            f"values from {matrix.min()} to {matrix.max()} in {key!r}",
            file=path,
            remedy="labels are whole numbers from 0 to 255",
        )
    return matrix.astype(np.uint8)


def check_same_size(image: np.ndarray, mask: np.ndarray, image_file: Path, mask_file: Path) -> None:
    """Raise `DataError` unless an image and its mask have the same height and width."""
    if image.shape[:2] != mask.shape:
        (ih, iw), (mh, mw) = image.shape[:2], mask.shape
        raise DataError(
            f"the mask is {mw}x{mh} but its image {image_file.name} is {iw}x{ih} (width x height)",
            file=mask_file,
            remedy="export both at the same size",
        )


def check_size(size: tuple[int, int] | None) -> None:
    """Raise ValueError unless ``size`` is None or two positive integers."""
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise OptionError(f"size is (height, width) in pixels, both positive, got {size!r}")


def open_picture(path: Path, kind: str) -> Image.Image:
    """Decode a file with Pillow.

    Args:
        path: the file.
        kind: ``"image"`` or ``"mask"``, for the message.

    Raises:
        DataError: if it is missing, damaged or cut off, or may not be read.
    """
    with _broken_files(path, kind), Image.open(path) as image:
        image.load()
        return image


def check_bytes(path: Path, kind: str) -> None:
    """Check what decoding does not notice: the checksums inside a PNG file.

    Decoders skip those of the pixel data, so that a flipped bit can pass as another class.

    Args:
        path: the file; one of another format passes, since only PNG has checksums.
        kind: ``"image"`` or ``"mask"``, for the message.

    Raises:
        DataError: if a chunk is damaged or the file ends early.
    """
    with _broken_files(path, kind):
        if _head(path, len(_PNG)) != _PNG:
            return
        with Image.open(path) as image:
            image.verify()


def is_wide(path: Path) -> bool:
    """Whether a PNG file has 16 bits a channel, by its header."""
    head = _head(path, 25)
    return head.startswith(_PNG) and head[24:] == b"\x10"


def decode_gray_png(path: Path) -> np.ndarray | None:
    """Pixels of an 8-bit gray PNG file, (H, W) uint8, the very ones that Pillow gives, a sixth sooner.

    Args:
        path: the file.

    Returns:
        None for any other file, a damaged one, and without OpenCV: Pillow decodes it, or says why not.
    """
    cv2 = opencv()
    if cv2 is None:
        return None
    try:
        content = np.fromfile(path, np.uint8)  # by a path, OpenCV finds no file with an accent on Windows
    except OSError:
        return None
    head = content[:26].tobytes()
    if len(head) < 26 or not head.startswith(_IHDR) or head[24:] != _EIGHT_BITS_GRAY:
        return None
    width, height = struct.unpack(">II", head[16:24])
    if width * height > (Image.MAX_IMAGE_PIXELS or 0):  # what would fill the memory is for Pillow to refuse
        return None
    try:
        pixels: np.ndarray | None = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if pixels is None or pixels.ndim != 2 else pixels


@lru_cache(maxsize=1)
def opencv() -> ModuleType | None:
    """OpenCV, which decodes the commonest kind of mask faster; None where it is not installed."""
    try:
        return import_module("cv2")
    except ImportError:  # an extra, and broken where the machine lacks a library of the system
        return None


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


@contextmanager
def _broken_files(path: Path, kind: str) -> Iterator[None]:
    """Tell what Pillow raises for a damaged file as an error for the user."""
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():  # a link has lost its file
            remedy = "add it or take its name out of the split's list"
            raise DataError(f"missing {kind}", file=path, remedy=remedy) from error
        # Pillow's own message repeats the path, or is empty.
        reason = type(error).__name__ if str(path) in str(error) or not str(error) else str(error)
        size = _size(path)
        raise DataError(
            f"unreadable {kind} ({reason}, {size} bytes)", file=path, remedy="fetch or export the file again"
        ) from error


def _size(path: Path) -> int | str:
    try:
        return path.stat().st_size
    except OSError:
        return "no"


def _ids_from_colors(rgb: np.ndarray, table: ClassTable | None, path: Path) -> np.ndarray:
    if table is None:
        raise DataError(
            "a colour mask needs a table of colours", file=path, remedy="write classes.csv beside the splits"
        )
    rows = [row for row in table.rows if row.colored]
    if not rows:
        raise DataError(
            f"has no colours, and {path} is a colour mask",
            file=table.file,
            remedy="add the columns r,g,b with the colour of each class",
        )
    codes = np.array([_code(np.array(r.color)) for r in rows])
    order = np.argsort(codes, kind="stable")
    twice = np.flatnonzero(np.diff(codes[order]) == 0)
    if twice.size:
        a, b = (rows[order[i]].name for i in (twice[0], twice[0] + 1))
        raise DataError(
            f"{a!r} and {b!r} have the same colour, and {path} is a colour mask",
            file=table.file,
            remedy="give each row its own colour",
        )
    remedy = "add its row, or save the mask as class ids without smoothing"
    row = _index_of_color(rgb, codes, path, "classes.csv", remedy)
    return np.array([r.id for r in rows], np.uint8)[row]


def _index_of_color(rgb: np.ndarray, codes: np.ndarray, path: Path, where: str, remedy: str) -> np.ndarray:
    """The place of each pixel's colour among some colours, (H, W); one that is not there is an error."""
    pixels, order = _code(rgb), np.argsort(codes, kind="stable")
    at = order[np.minimum(np.searchsorted(codes[order], pixels), len(codes) - 1)]
    unknown = np.argwhere(codes[at] != pixels)
    if unknown.size:
        y, x = unknown[0]
        raise DataError(
            f"colour {tuple(int(v) for v in rgb[y, x])} at x={x}, y={y} is not in {where} "
            f"({len(unknown)} such pixels)",
            file=path,
            remedy=remedy,
        )
    return at


def _code(rgb: np.ndarray) -> np.ndarray:
    """One integer for each colour of the last axis."""
    return rgb.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
