"""The one reader of pictures and the one reader of masks, for training, prediction, counting and checking.

What becomes of a file, by what is in it and not by its ending:

========================= ================================== ============================================
in the file               as a picture                       as a mask
========================= ================================== ============================================
8-bit gray                three equal channels               values are ids
1 bit                     black and white                    ids 0 and 1
2 or 4 bits gray          spread over 0 to 255               refused: programs read a 1 as 1, 17 or 85
palette                   the palette's colours              indices are ids
RGB                       as it is                           ids by the colours of classes.csv
alpha, transparency       left out of account                left out of account
CMYK, YCbCr               Pillow's conversion, no profile    refused
16 bits gray              refused, or scaled by a range      ids, where all are 0 to 255
32-bit whole numbers      refused, or scaled by a range      ids, where all are 0 to 255
floating point            refused, or scaled by a range      refused
colour of 16 bits         refused, or scaled by a range      refused
several pictures          refused                            refused
JPEG with previews (MPO)  its first picture                  refused
EXIF orientation          turned upright                     turned upright
JPEG, WebP, AVIF, JPEG2K  read                               refused: labels are blurred at borders
more than `pixel_limit`   refused                            refused
cut off or damaged        refused                            refused
========================= ================================== ============================================

Several pictures are the pages of a TIFF file, and animations as GIF, PNG or WebP. The range of values is the
caller's to give: `read_image` scales from it to 0 to 255. Where labels are told apart by a threshold, a mask
is read whatever its format: `read_luminance`.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from aucseg.data.classes import ClassTable
from aucseg.errors import DataError, MissingExtraError, OptionError

#: Endings of pictures, by which they are told from other files in a folder.
PICTURE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".tif",
    ".tiff",
    ".bmp",
    ".webp",
    ".gif",
    ".ppm",
    ".pgm",
    ".jp2",
    ".avif",
)
#: Environment variable with the most pixels of a picture; see `pixel_limit`.
MAX_PIXELS = "AUCSEG_MAX_PIXELS"
LARGEST = 1_000_000_000
"""Pixels of the largest picture that is read unless more are allowed: 3 GB as RGB."""
_PILLOWS = 89_478_485  # what Pillow begins with

# What Pillow raises for damaged files, over its formats.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PNG_HEAD = 25  # bytes up to the number of bits a channel
_IHDR = _PNG + b"\x00\x00\x00\rIHDR"
_EIGHT_BITS_GRAY = b"\x08\x00"
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_HEAD = 4096  # bytes in which the header of most pictures ends
# In a PNG file: an orientation, in one of three places, or more than one picture.
_NOT_PLAIN = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type", b"acTL")
_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")
_COLOR = ("L", "1", "P", "LA", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_NARROW_GRAY = ("L;2", "L;4")
_WIDE_REMEDY = (
    "save it with 8 bits a channel, or give the values that are black and white, for example "
    "`aucseg data prepare FOLDER --range 0 4095`; `aucseg predict` has the same option"
)

Range = tuple[float, float]


def read_image(path: Path, value_range: Range | None = None) -> np.ndarray:
    """Decode an image to RGB, upright, (H, W, 3) uint8; the module's table says how.

    Args:
        path: the file.
        value_range: for an image of more than 8 bits a channel: the value that is black and the one that is
            white. Others are taken as they are.

    Raises:
        DataError: if the file cannot be decoded, or holds what no image can be made of.
    """
    return read_turned_image(path, value_range)[0]


def read_turned_image(path: Path, value_range: Range | None = None) -> tuple[np.ndarray, int]:
    """What `read_image` gives, and the EXIF orientation by which it was turned upright, as `orientation`.

    Args:
        path: the file.
        value_range: as for `read_image`.

    Raises:
        DataError: as `read_image`.
    """
    found = _decode(path, "image")
    if not found.is_wide_color:
        return to_rgb(found.image, value_range, path), found.orientation
    if value_range is None:
        raise DataError("image of 16 bits a channel", file=path, remedy=_WIDE_REMEDY)
    return _scale(_decode_wide_color(path), value_range, path), found.orientation


class Rows(NamedTuple):
    """What `read_rows_of_image` finds.

    Args:
        rows: (ceil(H / step), W, 3) uint8.
        size: height and width of the image.
        orientation: as it lies in the file, see `orientation`.
        checkable: whether the file has checksums, see `check_bytes`.
    """

    rows: np.ndarray
    size: tuple[int, int]
    orientation: int
    checkable: bool


def read_rows_of_image(path: Path, step: int) -> Rows:
    """Decode an image as `read_image` does, and copy some of its rows only.

    To know that an image is sound, and whether it is another one, takes no more; the copy of all pixels would
    take a tenth of the time of decoding.

    Args:
        path: the file.
        step: of so many rows one is copied.

    Raises:
        DataError: as `read_image`.
    """
    found = _decode(path, "image")
    image = found.image
    if found.is_wide_color or image.mode not in _COLOR:
        read_image(path)  # says why not
    rows = image.resize((image.width, -(-image.height // step)), Image.Resampling.NEAREST)
    size = image.height, image.width
    return Rows(to_rgb(rows, None, path), size, found.orientation, found.format == "PNG")


class Header(NamedTuple):
    """What the header of a picture says of it as it lies in the file.

    Args:
        size: height and width.
        mode: what Pillow calls the kind of its pixels.
    """

    size: tuple[int, int]
    mode: str


def read_header(path: Path) -> Header:
    """The header of a picture, which is not decoded.

    The commonest kinds are read here, a JPEG file of one or three channels and a PNG file of 8 bits: Pillow
    takes four times as long for them.

    Args:
        path: the file.

    Raises:
        DataError: if it is missing or no picture.
    """
    with _broken_files(path, "image"), path.open("rb") as file:
        found = _common_header(file.read(_HEAD))
        if found is not None:
            return found
        file.seek(0)
        with Image.open(file) as image:
            return Header((image.height, image.width), image.mode)


def _common_header(head: bytes) -> Header | None:
    """The header of a plain PNG or JPEG file from its first bytes; None for another one."""
    if head.startswith(_IHDR) and len(head) > 25 and head[24] == 8 and head[25] in _PNG_MODES:
        width, height = struct.unpack(">II", head[16:24])
        return Header((height, width), _PNG_MODES[head[25]])
    at = len(_JPEG) - 1
    while head.startswith(_JPEG) and at + 10 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4])
        if marker in (0xC0, 0xC1, 0xC2):  # a frame, sequential or progressive, in Huffman's code
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            mode = {1: "L", 3: "RGB"}.get(head[at + 9])
            return Header((height, width), mode) if mode and head[at + 4] == 8 and height else None
        if not (0xE0 <= marker <= 0xEF or marker in (0xC4, 0xDB, 0xDD, 0xFE)):  # what may come before one
            return None
        at += 2 + length
    return None


def to_rgb(picture: Image.Image, value_range: Range | None = None, file: Path | None = None) -> np.ndarray:
    """RGB of a decoded picture of any mode, (H, W, 3) uint8, as `read_image` makes it.

    It is not turned: whoever has decoded it has read its orientation too.

    Args:
        picture: what Pillow made of a file.
        value_range: as for `read_image`.
        file: its file, for the message.

    Raises:
        DataError: for a mode that no image can be made of.
    """
    mode = picture.mode
    if mode.startswith(("I", "F")):
        if value_range is None:
            raise DataError(f"image of mode {mode!r}", file=file, remedy=_WIDE_REMEDY)
        gray = _scale(np.asarray(picture), value_range, file)
        return np.repeat(gray[..., None], 3, axis=2)
    if mode not in _COLOR:
        raise DataError(f"image of mode {mode!r}", file=file, remedy="save it as RGB of 8 bits a channel")
    if mode != "RGB":
        if "transparency" in picture.info:  # of a palette it would be reported as a loss
            picture = picture.copy()
            del picture.info["transparency"]
        picture = picture.convert("RGB")
    return np.array(picture)


def check_range(value_range: Range | None) -> None:
    """Raise `OptionError` unless ``value_range`` is None or two numbers, the lower one first."""
    if value_range is not None and not (
        len(value_range) == 2 and -np.inf < value_range[0] < value_range[1] < np.inf
    ):
        raise OptionError(f"a range is (low, high), the values that are black and white, got {value_range!r}")


def orientation(path: Path) -> int:
    """EXIF orientation of a picture as it lies in its file, 1 to 8; 1 is upright, or not said.

    Args:
        path: the file; one that cannot be read has none.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            return _orientation_of(image)
    except (*_BROKEN, Image.DecompressionBombError):
        return 1


def _orientation_of(image: Image.Image) -> int:
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return int(found) if found in range(1, 9) else 1


def read_ids(path: Path, table: ClassTable | None) -> np.ndarray:
    """Decode a mask to the values of its file, (H, W) uint8; the module's table says how.

    Args:
        path: the file.
        table: the classes by their colours, for a mask of colours.

    Raises:
        DataError: for a file that cannot be decoded, a colour that no row has, values over 255, and for what
            the module's table refuses.
    """
    if (gray := decode_gray_png(path)) is not None:
        return gray
    mask = decode_mask(path)
    if mask.mode in ("RGB", "RGBA"):
        return _ids_from_colors(np.array(mask.convert("RGB")), table, path)
    return _ids_of(mask, path)


def _ids_of(mask: Image.Image, path: Path) -> np.ndarray:
    if mask.mode in ("LA", "PA"):
        mask = mask.getchannel(0)
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
    return _ids_of(decode_mask(path), path) if gray is None else gray


def read_red_ids(path: Path) -> np.ndarray:
    """Decode a mask whose ids are in its red channel, (H, W) uint8, as CARLA's cameras write them; gray too.

    Raises:
        DataError: as :func:`read_ids`, and for a mask of colours.
    """
    if (gray := decode_gray_png(path)) is not None:
        return gray
    mask = decode_mask(path)
    if mask.mode not in ("RGB", "RGBA"):
        return _ids_of(mask, path)
    rgb = np.asarray(mask.convert("RGB"))
    if rgb[..., 1:].any():
        row, column = (int(place[0]) for place in np.nonzero(rgb[..., 1:].any(axis=-1)))
        raise DataError(
            f"colour {tuple(map(int, rgb[row, column]))} at row {row}, column {column}",
            file=path,
            remedy="ids are in the red channel alone: save the raw image and not the one in colours",
        )
    return rgb[..., 0]


def read_first_channel(path: Path) -> np.ndarray:
    """Decode a mask of 16 bits a channel whose ids are in the first, (H, W) uint8, as SYNTHIA writes them.

    What the other channels hold, numbers of objects, does not matter.

    Raises:
        DataError: if the file cannot be decoded, is no colour image of 16 bits, or has ids over 255.
        MissingExtraError: without OpenCV, which decodes them.
    """
    if not is_wide(path):
        raise DataError("mask of 8 bits a channel", file=path, remedy="take the file as it was published")
    ids = _decode_wide_color(path)[..., 0]
    if ids.max(initial=0) > 255:
        raise DataError(
            f"value {int(ids.max())} in the first channel",
            file=path,
            remedy="ids are 0 to 255: take the file as it was published",
        )
    return ids.astype(np.uint8)


def read_indexed(path: Path, palette: np.ndarray) -> np.ndarray:
    """Decode a palette mask to its indices, (H, W) uint8, or a colour mask by the same palette.

    Args:
        path: the file.
        palette: colour of each index, (256, 3) uint8, all different.

    Raises:
        DataError: as :func:`read_ids`, and for a colour that is not in the palette.
    """
    mask = decode_mask(path)
    if mask.mode not in ("RGB", "RGBA"):
        return _ids_of(mask, path)
    rgb = np.array(mask.convert("RGB"))
    remedy = "save the mask with its palette, without smoothing"
    return _index_of_color(rgb, _code(palette), path, "the palette", remedy).astype(np.uint8)


def read_luminance(path: Path) -> np.ndarray:
    """Decode a mask to gray values, (H, W) uint8, whatever its mode; for labels told apart by a threshold.

    A JPEG is read too: what it blurs at a border stays on one side of the threshold or the other.

    Raises:
        DataError: if the file cannot be decoded, or has more than 8 bits a channel.
    """
    if (gray := decode_gray_png(path)) is not None:
        return gray
    mask = decode_mask(path, by_threshold=True)
    if mask.mode not in _COLOR:
        raise DataError(f"mask of mode {mask.mode!r}", file=path, remedy="save it as 8-bit gray")
    if mask.mode == "1":
        return np.array(mask).astype(np.uint8) * 255
    return np.asarray(mask if mask.mode == "L" else Image.fromarray(to_rgb(mask)).convert("L"))


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


def check_same_size(image: tuple[int, ...], mask: tuple[int, ...], image_file: Path, mask_file: Path) -> None:
    """Raise `DataError` unless an image and its mask, of which these are the shapes, have the same size.

    Where the image was turned upright by its EXIF orientation, the message says so: its mask was drawn on
    the picture as it lies in the file.
    """
    (ih, iw), (mh, mw) = image[:2], mask[:2]
    if (ih, iw) == (mh, mw):
        return
    what = f"the mask is {mw}x{mh} but its image {image_file.name} is {iw}x{ih} (width x height)"
    remedy = "export both at the same size"
    if (turned := orientation(image_file)) != 1:
        what += f" once it is turned upright by its EXIF orientation {turned}"
        remedy = "draw the mask on the upright image, or take the orientation out of the image's file"
    raise DataError(what, file=mask_file, remedy=remedy)


def check_size(size: tuple[int, int] | None) -> None:
    """Raise ValueError unless ``size`` is None or two positive integers."""
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise OptionError(f"size is (height, width) in pixels, both positive, got {size!r}")


class _Decoded(NamedTuple):
    """A picture, upright, and what of its file decides on it.

    Args:
        image: the picture.
        raw: Pillow's name for how the pixels lie in the file; empty where it has none.
        lossy: name of the format if it may have changed pixels; empty if not.
        orientation: EXIF orientation in the file, 1 to 8.
        format: name of the format.
    """

    image: Image.Image
    raw: str
    lossy: str
    orientation: int
    format: str

    @property
    def is_wide_color(self) -> bool:
        """Whether the file has more than 8 bits a channel and colours: Pillow keeps the upper 8 silently."""
        return ";16" in self.raw and not self.raw.startswith("BGR") and not self.image.mode.startswith("I")


def _decode(path: Path, kind: str) -> _Decoded:
    """Decode a file with Pillow.

    Args:
        path: the file.
        kind: ``"image"`` or ``"mask"``, for the message.

    Raises:
        DataError: if it is missing, damaged or cut off, or may not be read; if it has more pixels than
            `pixel_limit`, or holds more than one picture.
    """
    limit = pixel_limit()
    # As an open file and not by its name, because Pillow 13 mixes up the pixels of an uncompressed TIFF file
    # that lies on its side when it maps it into the memory.
    with _broken_files(path, kind), path.open("rb") as file, Image.open(file) as image:
        _check_pixels(image.width * image.height, limit, path, kind)
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise DataError(
                f"{kind} file with {getattr(image, 'n_frames', 'several')} pictures",
                file=path,
                remedy="save the one that is meant in a file of its own",
            )
        layout = image.tile[0].args if getattr(image, "tile", None) else ""
        raw = layout[0] if isinstance(layout, tuple) and layout else layout
        is_lossy = image.format in _LOSSY or image.info.get("compression") in _LOSSY_TIFF
        lossy = f"{image.format}" if is_lossy else ""
        stored = image.format  # which a picture that is turned forgets
        image.load()
        turned = _orientation_of(image)
        if turned != 1:
            ImageOps.exif_transpose(image, in_place=True)
        return _Decoded(image, raw if isinstance(raw, str) else "", lossy, turned, str(stored))


def decode_mask(path: Path, *, by_threshold: bool = False) -> Image.Image:
    """Decode a mask with Pillow.

    Args:
        path: the file.
        by_threshold: labels lie on the two sides of a gray value.

    Raises:
        DataError: as `_decode`, and for a format that blurs labels or gives them with other numbers.
    """
    mask = _decode(path, "mask")
    if mask.lossy and not by_threshold:
        raise DataError(
            f"{mask.lossy} mask: the format blurs labels into others at their borders",
            file=path,
            remedy="export the masks again, as PNG",
        )
    if mask.is_wide_color:
        raise DataError("mask of 16 bits a channel", file=path, remedy="save it with 8 bits a channel")
    if mask.raw.startswith(_NARROW_GRAY) and not by_threshold:
        raise DataError(
            f"mask of {mask.raw[2]} bits a pixel, in which programs read one label as different numbers",
            file=path,
            remedy="save it with 8 bits a pixel",
        )
    return mask.image


def _decode_wide_color(path: Path) -> np.ndarray:
    """Decode colours of 16 bits a channel, which Pillow cannot, (H, W, 3) uint16."""
    cv2 = opencv()
    if cv2 is None:
        raise MissingExtraError(
            f"{path} has 16 bits a channel, for which OpenCV is needed",
            remedy='run: pip install "aucseg[fast]"',
        )
    if orientation(path) != 1:
        raise DataError(
            "image of 16 bits a channel with an EXIF orientation", file=path, remedy="save it upright"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.ndim != 3 or pixels.dtype != np.uint16 or pixels.shape[2] not in (3, 4):
        raise DataError("image of 16 bits a channel", file=path, remedy="save it with 8 bits a channel")
    return np.asarray(pixels[..., 2::-1])


def _scale(values: np.ndarray, value_range: Range, file: Path | None) -> np.ndarray:
    """Values to bytes, linearly from the range to 0 to 255 and rounded; what lies outside goes to its end."""
    check_range(value_range)
    if not np.isfinite(values).all():
        raise DataError(
            "image with values that are no numbers", file=file, remedy="give those pixels a value"
        )
    low, high = value_range
    part = (values.astype(np.float64) - low) / (high - low)
    return np.rint(255 * part.clip(0, 1)).astype(np.uint8)


def pixel_limit() -> int:
    """The most pixels that a picture may have; a file of a few bytes can promise to fill the memory.

    That is the environment variable ``AUCSEG_MAX_PIXELS`` (see `allow_pixels`), or else `LARGEST`; twice
    ``PIL.Image.MAX_IMAGE_PIXELS`` where somebody has set that. Pillow's own limit of 179 megapixels is below
    what satellites and microscopes give, and is one for the whole process: it is switched off here.

    Raises:
        OptionError: if the variable is no positive number.
    """
    told, pillow = os.environ.get(MAX_PIXELS), Image.MAX_IMAGE_PIXELS
    if not told and pillow not in (None, _PILLOWS):
        return 2 * pillow
    if told and (not told.isdecimal() or int(told) < 1):
        raise OptionError(f"{MAX_PIXELS} is a number of pixels, got {told!r}")
    Image.MAX_IMAGE_PIXELS = None
    return int(told) if told else LARGEST


@contextmanager
def allow_pixels(most: int | None) -> Iterator[None]:
    """Set `pixel_limit` inside the block, for the threads of this process and the processes they start.

    Args:
        most: pixels; None leaves the limit as it is.

    Raises:
        OptionError: if it is below 1.
    """
    before, pillow = os.environ.get(MAX_PIXELS), Image.MAX_IMAGE_PIXELS
    if most is not None:
        os.environ[MAX_PIXELS] = str(most)
    try:
        pixel_limit()
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = pillow
        os.environ.pop(MAX_PIXELS, None)
        if before is not None:
            os.environ[MAX_PIXELS] = before


def _check_pixels(pixels: int, limit: int | None, path: Path, kind: str) -> None:
    if limit is not None and pixels > limit:
        raise DataError(
            f"{kind} of {pixels / 1e6:.1f} megapixels, more than the {limit / 1e6:.1f} that are read",
            file=path,
            remedy=f"if it is no trick, allow them with --max-pixels {pixels} or {MAX_PIXELS}={pixels}",
        )


def check_bytes(path: Path, kind: str) -> bool:
    """Check what decoding does not notice: the checksums inside a PNG file.

    Decoders skip those of the pixel data, so that a flipped bit can pass as another class.

    Args:
        path: the file; one of another format passes, since only PNG has checksums.
        kind: ``"image"`` or ``"mask"``, for the message.

    Returns:
        Whether it is a PNG file of 16 bits a channel, see `is_wide`.

    Raises:
        DataError: if a chunk is damaged or the file ends early.
    """
    with _broken_files(path, kind), path.open("rb") as file:
        head = file.read(_PNG_HEAD)
        if not head.startswith(_PNG):
            return False
        file.seek(len(_PNG))
        if not _checksums_hold(memoryview(file.read())):
            file.seek(0)
            with Image.open(file) as image:  # it says what is wrong, and knows what may be
                image.verify()
        return _is_wide(head)


def _checksums_hold(chunks: memoryview) -> bool:
    """Whether every chunk of a PNG file has its checksum, up to the last one.

    Args:
        chunks: what comes after the signature.
    """
    at = 0
    while at + 12 <= len(chunks):
        end = at + 8 + int.from_bytes(chunks[at : at + 4])
        if zlib.crc32(chunks[at + 4 : end]) != int.from_bytes(chunks[end : end + 4]):
            return False
        if chunks[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def stored_format(path: Path) -> str:
    """``"PNG"`` or ``"JPEG"`` by the first bytes of a file, whatever its name ends in; empty for others."""
    head = _head(path, len(_PNG))
    return "PNG" if head == _PNG else "JPEG" if head.startswith(_JPEG) else ""


def is_wide(path: Path) -> bool:
    """Whether a PNG file has 16 bits a channel, by its header."""
    return _is_wide(_head(path, _PNG_HEAD))


def _is_wide(head: bytes) -> bool:
    return head.startswith(_PNG) and head[_PNG_HEAD - 1 :] == b"\x10"


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
        content = path.read_bytes()  # by a path, OpenCV finds no file with an accent on Windows
    except OSError:
        return None
    head = content[:26]
    if len(head) < 26 or not head.startswith(_IHDR) or head[24:] != _EIGHT_BITS_GRAY:
        return None
    width, height = struct.unpack(">II", head[16:24])
    if width * height > (pixel_limit() or np.inf) or any(mark in content for mark in _NOT_PLAIN):
        return None  # Pillow is to turn it, or to say why not
    try:
        pixels: np.ndarray | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
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
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        _check_pixels(int(found[1]) if found else 2**31, pixel_limit() or 0, path, kind)
        raise
    except MemoryError as error:
        raise DataError(
            f"{kind} that does not fit into the memory", file=path, remedy="make it smaller, or cut it"
        ) from error
    except _BROKEN as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():  # a link has lost its file
            raise DataError(f"missing {kind}", file=path, remedy="add it, or correct its name") from error
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
