"""Decoding: OpenCV gives the pixels that Pillow gives, and damage inside PNG files is found."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from aucseg.catalog import open_dataset
from aucseg.data import reading
from aucseg.data.reading import check_bytes, decode_gray_png, read_gray_ids, read_ids, read_luminance
from aucseg.data.spec import load_spec
from aucseg.errors import DataError
from tests.data.folders import read_mask, replace_text, write_mask
from tests.data.layouts.writers import label, stripes

needs_opencv = pytest.mark.skipif(reading.opencv() is None, reason="needs OpenCV: pip install aucseg[fast]")
READERS = (lambda path: read_ids(path, None), read_gray_ids, read_luminance)
KEEP = [HealthCheck.function_scoped_fixture]


@pytest.fixture
def without_opencv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "cv2", None)
    reading.opencv.cache_clear()
    yield
    reading.opencv.cache_clear()


def write(path: Path, seed: int = 0, size: tuple[int, int] = (24, 31)) -> np.ndarray:
    """Smooth shapes and some noise, so that Pillow uses all five filters of PNG."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: size[0], : size[1]]
    ids = ((x + 2 * y) // 7 + (x * y) // 40).astype(np.uint8)
    ids[rng.random(size) < 0.05] = 255
    Image.fromarray(ids).save(path)
    return ids


@needs_opencv
@settings(deadline=None, max_examples=25, suppress_health_check=KEEP)
@given(
    ids=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 17)), elements=st.integers(0, 255)),
    level=st.integers(0, 9),
)
def test_pixels_of_pillow(tmp_path: Path, ids: np.ndarray, level: int) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(ids).save(path, compress_level=level)
    decoded = decode_gray_png(path)
    assert decoded is not None
    for found in (decoded, *(read(path) for read in READERS)):
        np.testing.assert_array_equal(found, np.asarray(Image.open(path)), strict=True)


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "LA", "I;16"])
def test_other_files_are_left_to_pillow(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.png"
    Image.new(mode, (5, 4)).save(path)
    assert decode_gray_png(path) is None
    Image.new("L", (5, 4)).save(tmp_path / "mask.bmp")
    assert decode_gray_png(tmp_path / "mask.bmp") is None
    assert decode_gray_png(tmp_path / "missing.png") is None


def test_a_transparent_value_is_a_value(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(ids).save(path, transparency=3)
    for read in READERS:
        np.testing.assert_array_equal(read(path), ids, strict=True)


@pytest.mark.usefixtures("without_opencv")
def test_without_opencv(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    ids = write(path)
    assert decode_gray_png(path) is None
    for read in READERS:
        np.testing.assert_array_equal(read(path), ids, strict=True)


@needs_opencv
@pytest.mark.parametrize("seed", range(60))
def test_damaged_files(tmp_path: Path, seed: int) -> None:
    """Cut off, a bit flipped, some bytes lost: what Pillow refuses is refused, what it reads is the same."""
    path = tmp_path / "mask.png"
    write(path, seed)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    at = int(rng.integers(0, len(content)))
    if seed % 3 == 0:
        del content[at:]
    elif seed % 3 == 1:
        content[at] ^= 1 << int(rng.integers(0, 8))
    else:
        del content[at : at + 5]
    path.write_bytes(content)
    found = [_pixels(path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "opencv", lambda: None)
        found.append(_pixels(path))
    assert found[0] == found[1]


def _pixels(path: Path) -> tuple[str, object]:
    try:
        ids = read_ids(path, None)
    except DataError as error:
        return "error", str(error)
    return "pixels", ids.tolist()


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    """A few bytes must not make the decoder ask for gigabytes."""
    path = tmp_path / "mask.png"
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert decode_gray_png(path) is None
    with pytest.raises(DataError, match="unreadable mask"):
        read_ids(path, None)


@pytest.mark.parametrize("keep", [7, 20, 40, 60, -6, -12])
def test_png_that_ends_early(tmp_path: Path, keep: int) -> None:
    path = label(tmp_path / "x.png", stripes(0, 1))
    check_bytes(path, "mask")
    path.write_bytes(path.read_bytes()[:keep])
    if keep == 7:  # not even a PNG; the decoder's concern
        check_bytes(path, "mask")
        return
    with pytest.raises(DataError, match=r"unreadable mask \("):
        check_bytes(path, "mask")


def test_every_flipped_byte_of_a_png_is_found(tmp_path: Path) -> None:
    path = label(tmp_path / "x.png", stripes(0, 1))
    content = path.read_bytes()
    # The last chunk says that the file ends here: its name matters, its length and checksum guard nothing.
    for at in [*range(8, len(content) - 12), *range(len(content) - 8, len(content) - 4)]:
        path.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        with pytest.raises(DataError):
            check_bytes(path, "mask")


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
def test_image_suffixes_and_modes(tiny_camvid: Path, suffix: str) -> None:
    old = tiny_camvid / "images/train/train_000.jpg"
    Image.open(old).convert("L").save(old.with_suffix(suffix))
    with pytest.raises(DataError, match="is there too; keep one"):
        open_dataset("folder", tiny_camvid, "train")
    old.unlink()
    image, _ = open_dataset("folder", tiny_camvid, "train")[0]
    assert image.shape == (3, 64, 96)
    torch.testing.assert_close(image[0], image[2])


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "I;16"])
def test_other_mask_modes_give_the_same_labels(tiny_camvid: Path, mode: str) -> None:
    expected = open_dataset("folder", tiny_camvid, "train")[0][1]
    ids = read_mask(tiny_camvid)
    palette = np.array([*load_spec("camvid").colors, (0, 0, 0)], np.uint8)
    path = tiny_camvid / "annotations/train/train_000.png"
    if mode == "P":
        picture = Image.fromarray(ids)
        picture.putpalette(palette.ravel().tolist())
        picture.save(path)
    elif mode == "I;16":
        Image.fromarray(ids.astype(np.uint16)).save(path)
    else:
        Image.fromarray(palette[ids]).convert(mode).save(path)
    with Image.open(path) as saved:
        assert saved.mode == mode
    torch.testing.assert_close(open_dataset("folder", tiny_camvid, "train")[0][1], expected)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *((kind, damage) for kind in ("images", "annotations") for damage in ("empty", "text", "cut")),
        ("annotations", "flipped"),  # a JPEG carries no checksum: there a flipped byte is another picture
    ],
)
def test_unreadable_files(tiny_camvid: Path, kind: str, damage: str) -> None:
    path = next((tiny_camvid / kind / "train").glob("train_000.*"))
    data = path.read_bytes()
    middle = len(data) // 2
    changed = {
        "empty": b"",
        "text": b"this is not an image at all",
        "cut": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
    }
    dataset = open_dataset("folder", tiny_camvid, "train")
    path.write_bytes(changed[damage])
    with pytest.raises(DataError, match=rf"{path.name}: unreadable (image|mask) .*; fetch or export"):
        dataset[0]


def test_image_with_16_bits(tiny_camvid: Path) -> None:
    Image.fromarray(np.full((64, 96), 40000, np.uint16)).save(tiny_camvid / "images/train/train_000.png")
    (tiny_camvid / "images/train/train_000.jpg").unlink()
    with pytest.raises(DataError, match=r"train_000\.png: image of mode 'I;16'; save it with 8 bits"):
        open_dataset("folder", tiny_camvid, "train")[0]


def test_mask_of_another_size(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    write_mask(tiny_camvid, read_mask(tiny_camvid)[:50])
    with pytest.raises(DataError, match=r"train_000\.png: the mask is 96x50 but its image .* is 96x64"):
        data[0]


def test_label_outside_the_classes(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    mask = read_mask(tiny_camvid)
    mask[3, :2] = 12
    mask[5, 5] = 40
    write_mask(tiny_camvid, mask)
    with pytest.raises(
        DataError,
        match=r"train_000\.png: .*: 12 \(2 pixels\), 40 \(1 pixels\); allowed are 0 to 11, 255",
    ):
        data[0]


def test_wide_mask_values(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    write_mask(tiny_camvid, np.full((64, 96), 11001, np.uint16))
    with pytest.raises(DataError, match=r"train_000\.png: value 11001 .*instance or panoptic ids"):
        data[0]


def test_unknown_colour_of_a_colour_mask(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    rgb = np.full((64, 96, 3), 128, np.uint8)
    rgb[2, 9] = (1, 2, 3)
    write_mask(tiny_camvid, rgb)
    with pytest.raises(DataError, match=r"train_000\.png: colour \(1, 2, 3\) at x=9, y=2 is not in classes"):
        data[0]
    replace_text(tiny_camvid / "classes.csv", "1,Building,128,0,0", "1,Building,128,128,128")
    with pytest.raises(DataError, match=r"classes\.csv: 'Sky' and 'Building' have the same colour"):
        open_dataset("folder", tiny_camvid, "train", spec=load_spec("camvid"))[0]
