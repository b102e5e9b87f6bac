"""Decoding: each kind of file by one rule; OpenCV gives the pixels that Pillow gives; damage is found."""

from __future__ import annotations

import os
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
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from aucseg.catalog import open_dataset
from aucseg.data import reading
from aucseg.data.layouts.voc import interleaved_palette
from aucseg.data.reading import (
    MAX_PIXELS,
    allow_pixels,
    check_bytes,
    decode_gray_png,
    orientation,
    read_gray_ids,
    read_header,
    read_ids,
    read_image,
    read_indexed,
    read_luminance,
    read_rows_of_image,
)
from aucseg.data.spec import load_spec
from aucseg.errors import DataError, MissingExtraError, OptionError
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
    with pytest.raises(DataError, match=r"mask of 3600\.0 megapixels, .* --max-pixels 3600000000 or AUCSEG"):
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


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
GRAY = np.arange(24, dtype=np.uint8).reshape(4, 6)


def oriented(path: Path, pixels: np.ndarray, tag: int, **options: object) -> Path:
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("tag", TURNED)
@pytest.mark.parametrize(
    ("name", "options"),
    [("x.png", {}), ("x.webp", {"lossless": True}), ("x.tif", {}), ("x.tif", {"compression": "tiff_lzw"})],
)
def test_pictures_are_turned_upright(tmp_path: Path, name: str, options: dict[str, object], tag: int) -> None:
    for pixels in (GRAY, np.random.default_rng(tag).integers(0, 256, (5, 3, 3), np.uint8)):
        path = oriented(tmp_path / name, pixels, tag, **options)
        assert orientation(path) == tag
        upright = TURNED[tag](pixels)
        expected = np.repeat(upright[..., None], 3, 2) if upright.ndim == 2 else upright
        np.testing.assert_array_equal(read_image(path), expected, strict=True)
        if pixels is GRAY and name != "x.webp":
            for read in READERS:
                np.testing.assert_array_equal(read(path), upright, strict=True)


@pytest.mark.parametrize("tag", [2, 3, 6, 8])
def test_an_image_and_its_mask_agree_whichever_way_the_camera_was_held(tiny_camvid: Path, tag: int) -> None:
    ids = (read_mask(tiny_camvid) == 1).astype(np.uint8)
    write_mask(tiny_camvid, ids)
    back = {6: 8, 8: 6}.get(tag, tag)
    lying = np.ascontiguousarray(TURNED[back](np.repeat(255 * ids[..., None], 3, 2)))
    oriented(tiny_camvid / "images/train/train_000.jpg", lying, tag, quality=98)
    image, mask = open_dataset("folder", tiny_camvid, "train")[0]
    assert ((image[0] > 127) == (mask == 1)).double().mean() > 0.97


def test_a_mask_drawn_on_the_picture_as_it_lies_in_its_file(tiny_camvid: Path) -> None:
    lying = np.zeros((*read_mask(tiny_camvid).shape, 3), np.uint8)
    oriented(tiny_camvid / "images/train/train_000.jpg", lying, 6)
    with pytest.raises(
        DataError, match=r"96x64 but its image train_000\.jpg is 64x96 .* EXIF orientation 6; draw the mask"
    ):
        open_dataset("folder", tiny_camvid, "train")[0]


def test_the_orientation_of_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("no picture")
    assert orientation(tmp_path / "x.jpg") == orientation(tmp_path / "none.jpg") == 1
    assert orientation(oriented(tmp_path / "y.jpg", GRAY, 77)) == 1  # no such orientation


def test_pictures_of_each_mode(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (4, 6, 3), np.uint8)
    alpha = rng.integers(0, 256, (4, 6), np.uint8)
    gray3 = np.repeat(GRAY[..., None], 3, 2)
    palette = rng.integers(0, 256, (256, 3), np.uint8)
    indexed = Image.fromarray(GRAY)
    indexed.putpalette(palette.tobytes())
    bits = Image.fromarray(GRAY % 2 == 0)
    cmyk = Image.merge("CMYK", [Image.fromarray(rgb[..., i % 3]) for i in range(4)])
    cases: list[tuple[Image.Image, str, dict[str, object], np.ndarray]] = [
        (Image.fromarray(GRAY), "png", {}, gray3),
        (Image.fromarray(GRAY), "png", {"transparency": 3}, gray3),
        (Image.fromarray(rgb), "png", {}, rgb),
        (Image.fromarray(rgb), "png", {"transparency": (1, 2, 3)}, rgb),
        (Image.fromarray(np.dstack([rgb, alpha])), "png", {}, rgb),
        (Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(alpha)]), "png", {}, gray3),
        (indexed, "png", {}, palette[GRAY]),
        (indexed, "png", {"transparency": bytes(range(256))}, palette[GRAY]),
        (indexed, "bmp", {}, palette[GRAY]),
        (bits, "png", {}, np.where(gray3 % 2 == 0, 255, 0).astype(np.uint8)),
        (cmyk, "tif", {}, np.array(cmyk.convert("RGB"))),
    ]
    for number, (picture, ending, options, expected) in enumerate(cases):
        picture.save(tmp_path / f"{number}.{ending}", **options)
        np.testing.assert_array_equal(read_image(tmp_path / f"{number}.{ending}"), expected, strict=True)
    lab = Image.new("LAB", (5, 4))
    lab.save(tmp_path / "lab.tif")
    with pytest.raises(DataError, match=r"lab\.tif: image of mode 'LAB'; save it as RGB"):
        read_image(tmp_path / "lab.tif")


WIDE = {
    "u16.png": GRAY.astype(np.uint16) * 150,
    "u16.tif": GRAY.astype(np.uint16) * 150,
    "i32.tif": GRAY.astype(np.int32) * 150,
    "f32.tif": GRAY.astype(np.float32) * 150,
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_pictures_are_refused_or_scaled_as_told(tmp_path: Path, name: str) -> None:
    Image.fromarray(WIDE[name]).save(tmp_path / name)
    with pytest.raises(DataError, match=r"image of mode '.*'; save it with 8 bits a channel, or .* --range"):
        read_image(tmp_path / name)
    expected = [[round(255 * min(max((150 * int(v) - 300) / 2100, 0), 1)) for v in row] for row in GRAY]
    found = read_image(tmp_path / name, (300, 2400))
    assert found.shape == (4, 6, 3)
    assert [found[..., i].tolist() for i in range(3)] == [expected] * 3
    for bad in ((5, 5), (0, float("inf")), (float("nan"), 1)):
        with pytest.raises(OptionError, match="range is"):
            read_image(tmp_path / name, bad)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="no numbers"):
        read_image(tmp_path / "x.tif", (0, 1))


@needs_opencv
@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_colours_of_16_bits(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = pytest.importorskip("cv2")
    rgb = np.random.default_rng(0).integers(0, 4096, (4, 6, 3), np.uint16)
    cv2.imwrite(str(tmp_path / name), rgb[..., ::-1])
    path = tmp_path / name
    with pytest.raises(DataError, match="image of 16 bits a channel; save it with 8 bits"):
        read_image(path)
    with pytest.raises(DataError, match="mask of 16 bits a channel"):
        read_ids(path, None)
    found = read_image(path, (0, 4095))
    np.testing.assert_array_equal(found, np.rint(rgb / 4095 * 255).astype(np.uint8), strict=True)
    monkeypatch.setattr(reading, "opencv", lambda: None)
    with pytest.raises(MissingExtraError, match="fast"):
        read_image(path, (0, 4095))


def png(path: Path, depth: int, width: int, rows: list[bytes]) -> Path:
    """A gray PNG of few bits, as other programs write it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, len(rows), depth, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_gray_of_few_bits(tmp_path: Path) -> None:
    """A stored 1 would be read as 17, which may be a class too."""
    four = png(tmp_path / "four.png", 4, 4, [b"\x12\x3f"])
    two = png(tmp_path / "two.png", 2, 4, [b"\x1b"])
    for path, bits, values in ((four, 4, [17, 34, 51, 255]), (two, 2, [0, 85, 170, 255])):
        for read in READERS[:2]:
            with pytest.raises(DataError, match=rf"{path.name}: mask of {bits} bits a pixel, .* 8 bits"):
                read(path)
        assert read_image(path)[0, :, 0].tolist() == read_luminance(path)[0].tolist() == values
    one = png(tmp_path / "one.png", 1, 4, [b"\x50"])
    assert read_ids(one, None).tolist() == [[0, 1, 0, 1]]
    few = Image.fromarray(GRAY % 4)
    few.putpalette([0] * 12)
    few.save(tmp_path / "palette.png", bits=2)
    np.testing.assert_array_equal(read_ids(tmp_path / "palette.png", None), GRAY % 4, strict=True)


@pytest.mark.parametrize("ending", ["gif", "png", "tif", "webp"])
def test_files_of_several_pictures_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    pages = [Image.fromarray(GRAY + i) for i in (1, 90)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    for kind, read in (("image", read_image), ("mask", lambda p: read_ids(p, None))):
        with pytest.raises(DataError, match=rf"x\.{ending}: {kind} file with 2 pictures; save the one"):
            read(path)
    pages[0].save(path)
    assert read_image(path).shape == (4, 6, 3)


def test_a_cameras_picture_with_a_preview_is_the_picture(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((16, 16, 3), v, np.uint8)) for v in (200, 10)]
    pages[0].save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=pages[1:], quality=98)
    with Image.open(tmp_path / "x.jpg") as picture:
        assert picture.format == "MPO"
    assert abs(int(read_image(tmp_path / "x.jpg").mean()) - 200) < 3


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("WEBP", {}), ("TIFF", {"compression": "jpeg"})])
def test_masks_of_blurred_labels_are_refused(tmp_path: Path, kind: str, options: dict[str, str]) -> None:
    path = tmp_path / "mask.png"  # the ending does not tell
    ids = np.kron(np.random.default_rng(0).choice([2, 11, 23], (12, 12)), np.ones((9, 9))).astype(np.uint8)
    Image.fromarray(ids).save(path, format=kind, **options)
    for read in (*READERS[:2], lambda p: read_indexed(p, interleaved_palette())):
        with pytest.raises(DataError, match=rf"{kind} mask: .* borders; export the masks again, as PNG"):
            read(path)
    Image.fromarray(ids).save(path, format="PNG")
    np.testing.assert_array_equal(read_ids(path, None), ids, strict=True)


def test_two_labels_told_apart_by_a_threshold_may_be_blurred(tmp_path: Path) -> None:
    white = np.kron(np.random.default_rng(0).integers(0, 2, (8, 8)), np.ones((8, 8))).astype(bool)
    Image.fromarray(np.where(white, 255, 0).astype(np.uint8)).save(tmp_path / "x.jpg", quality=75)
    np.testing.assert_array_equal(read_luminance(tmp_path / "x.jpg") >= 128, white)


def test_alpha_of_a_mask_is_left_out_of_account(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.random.default_rng(0).integers(0, 256, GRAY.shape, np.uint8))
    Image.merge("LA", [Image.fromarray(GRAY), alpha]).save(tmp_path / "la.png")
    for read in READERS:
        np.testing.assert_array_equal(read(tmp_path / "la.png"), GRAY, strict=True)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "F", "LAB"])
def test_modes_that_are_no_mask(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / "x.tif")
    for read in READERS[:2]:
        with pytest.raises(DataError, match=rf"mask of mode '{mode}'; save it as"):
            read(tmp_path / "x.tif")


def test_a_limit_to_the_size_and_a_way_round_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.delenv(MAX_PIXELS, raising=False)
    path = tmp_path / "x.png"
    Image.fromarray(GRAY).save(path)
    for kind, read in (("image", read_image), ("mask", lambda p: read_ids(p, None))):
        with pytest.raises(DataError, match=rf"x\.png: {kind} of 0\.0 megapixels, .* --max-pixels 24 or AUC"):
            read(path)
        with allow_pixels(24):
            assert read(path).shape[:2] == (4, 6)
            assert os.environ[MAX_PIXELS] == "24"  # which the processes of a loader inherit
        with allow_pixels(23), pytest.raises(DataError, match="megapixels"):
            read(path)
    assert Image.MAX_IMAGE_PIXELS == 10
    assert MAX_PIXELS not in os.environ
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert reading.pixel_limit() == reading.LARGEST
    assert decode_gray_png(path) is not None or reading.opencv() is None
    monkeypatch.setenv(MAX_PIXELS, "many")
    with pytest.raises(OptionError, match="AUCSEG_MAX_PIXELS is a number of pixels, got 'many'"):
        read_image(path)


def test_a_picture_that_does_not_fit_into_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GRAY).save(tmp_path / "x.png")

    def load(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(DataError, match=r"x\.png: image that does not fit into the memory; make it smaller"):
        read_image(tmp_path / "x.png")


@needs_opencv
def test_the_fast_way_gives_the_same_labels_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gray PNG files with all that may stand in one."""
    picture = Image.fromarray(GRAY)
    info = PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100000))
    info.add(b"pHYs", struct.pack(">IIB", 1, 1, 1))
    info.add_text("Comment", "eX" + "If")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = {
        "plain": {},
        "gamma": {"pnginfo": info},
        "profile": {"icc_profile": icc},
        "transparent": {"transparency": 3},
        "fast": {"compress_level": 1},
    }
    for name, options in files.items():
        picture.save(tmp_path / f"{name}.png", **options)
        found = decode_gray_png(tmp_path / f"{name}.png")
        assert (found is None) == (name == "gamma"), name  # whose comment looks like an orientation
        with monkeypatch.context() as patch:
            patch.setattr(reading, "opencv", lambda: None)
            slow = read_ids(tmp_path / f"{name}.png", None)
        np.testing.assert_array_equal(read_ids(tmp_path / f"{name}.png", None), slow, strict=True)
        np.testing.assert_array_equal(slow, GRAY, strict=True)


def pictures(folder: Path) -> Iterator[Path]:
    """A picture of 37 x 21 in many modes and formats, some with much before the header ends."""
    rng = np.random.default_rng(0)
    whole = Image.fromarray(rng.integers(0, 256, (21, 37, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 6000
    for mode in ("L", "RGB", "CMYK"):
        for name, options in {
            "a": {},
            "progressive": {"progressive": True},
            "turned": {"exif": exif},
        }.items():
            whole.convert(mode).save(folder / f"{mode}_{name}.jpg", **options)
            yield folder / f"{mode}_{name}.jpg"
    for mode in ("L", "RGB", "P", "1", "LA", "RGBA", "I;16"):
        wide = Image.fromarray(rng.integers(0, 9999, (21, 37), dtype=np.uint16))
        (wide if mode == "I;16" else whole.convert(mode)).save(folder / f"{mode[0:4]}.png".replace(";", "_"))
        yield folder / f"{mode[0:4]}.png".replace(";", "_")
    for ending in ("bmp", "tif", "gif", "webp"):
        whole.save(folder / f"x.{ending}")
        yield folder / f"x.{ending}"


def test_a_header_says_what_pillow_says_of_it(tmp_path: Path) -> None:
    own = 0
    for path in pictures(tmp_path):
        with Image.open(path) as image:
            assert read_header(path) == ((image.height, image.width), image.mode), path.name
        own += reading._common_header(path.read_bytes()[:4096]) is not None
    assert own == 9  # six JPEG files, less two with much before the header; five PNG files
    (tmp_path / "no.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    for name in ("no.jpg", "absent.jpg"):
        with pytest.raises(DataError, match=r"unreadable image|missing image"):
            read_header(tmp_path / name)


def test_some_rows_of_an_image_are_rows_of_the_image(tmp_path: Path) -> None:
    for path in pictures(tmp_path):
        if path.name == "I_16.png":
            with pytest.raises(DataError, match="image of mode 'I;16'"):
                read_rows_of_image(path, 4)
            continue
        whole = read_image(path)
        rows, size, turned, checkable = read_rows_of_image(path, 4)
        assert checkable == (path.suffix == ".png")
        assert size == whole.shape[:2], path.name
        assert rows.shape == (-(-size[0] // 4), *whole.shape[1:]), path.name
        assert turned == orientation(path), path.name
        at = [int(np.flatnonzero((whole == row).all((1, 2)))[0]) for row in rows]
        assert at == sorted(at), path.name
