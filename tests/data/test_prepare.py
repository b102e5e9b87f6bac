"""`prepare`: the same items in 8-bit files of train ids; whole or not at all; in its folder only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucseg.catalog import open_dataset, resolve
from aucseg.data.reading import read_image
from aucseg.errors import DataError
from aucseg.longtail import count, share_partition
from tests.data.layouts.test_layouts import PATTERNS, folder
from tests.data.layouts.writers import EXPECTED, LAYOUTS, WRITERS, label, stripes


@pytest.mark.parametrize("name", EXPECTED)
def test_prepared_items_are_the_same(name: str, tmp_path: Path) -> None:
    root = WRITERS[name](tmp_path / "raw")
    out = tmp_path / "out"
    report = resolve(name, root).prepare(out, workers=1)
    assert report.ok
    split, count, _ = EXPECTED[name]
    assert report.written[split] == count
    before, after = open_dataset(name, root, split), open_dataset(name, out, split)
    assert after.names == before.names
    assert after.spec.names == before.spec.names
    assert after.spec.colors == before.spec.colors
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    for image, mask in after.files:
        with Image.open(mask) as picture:
            assert picture.mode == "P"
        assert image.suffix == before.files[0][0].suffix
    checked = resolve(out).verify()
    assert checked.ok
    assert checked.layout == "folder"
    assert not list(out.rglob("*.part"))


@pytest.mark.parametrize("name", ["voc", "cityscapes", "ecssd"])
def test_groups_are_published_or_counted(name: str, tmp_path: Path) -> None:
    root = WRITERS[name](tmp_path / "raw")
    resolve(name, root).prepare(tmp_path / "out")
    spec = open_dataset(name, tmp_path / "out", EXPECTED[name][0]).spec
    if name != "voc":
        assert spec == LAYOUTS[name].spec
        return
    counts = count(open_dataset(name, root, EXPECTED[name][0]))
    assert spec.groups == share_partition(counts.pixel_share, spec.names).groups
    assert spec == replace(open_dataset(name, root, EXPECTED[name][0]).spec, image_share=())


def test_size(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path / "raw")
    resolve("cityscapes", root).prepare(tmp_path / "out", size=(6, 8))
    small, reference = (
        open_dataset("cityscapes", tmp_path / "out"),
        open_dataset("cityscapes", root, size=(6, 8)),
    )
    for one, other in zip(small, reference, strict=True):
        assert torch.equal(one[0], other[0])  # PNG stays PNG: nothing is lost twice
        assert torch.equal(one[1], other[1])
    root = WRITERS["ade20k"](tmp_path / "jpeg")
    resolve("ade20k", root).prepare(tmp_path / "jpeg_out", size=(24, 32))
    image, mask = open_dataset("ade20k", tmp_path / "jpeg_out")[0]
    assert image.shape == (3, 24, 32)
    assert torch.equal(mask, open_dataset("ade20k", root, size=(24, 32))[0][1])
    with pytest.raises(ValueError, match="size is"):
        resolve("ade20k", root).prepare(tmp_path / "x", size=(0, 4))


def test_an_interrupted_call_goes_on(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path / "raw")
    found, out = resolve("cityscapes", root), tmp_path / "out"

    class Stop(Exception):
        pass

    def stop(split: str, done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        found.prepare(out, workers=1, progress=stop)
    assert not (out / "splits").exists()  # nobody trains on half of it
    first = next((out / "annotations").rglob("*.png"))
    before = first.stat().st_mtime_ns
    last = sorted((out / "annotations").rglob("*.png"))[-1]
    (last.parent / (last.name + ".part")).write_bytes(b"left by a crash")
    report = found.prepare(out)
    assert report.ok
    assert sum(report.kept.values()) >= 1
    assert sum(report.written.values()) + sum(report.kept.values()) == 3
    assert first.stat().st_mtime_ns == before
    assert len(open_dataset("cityscapes", out)) == 2
    again = found.prepare(out)
    assert again.written == {"train": 0, "val": 0}
    assert again.kept == {"train": 2, "val": 1}


def test_other_arguments_do_not_mix(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path / "raw")
    resolve("cityscapes", root).prepare(tmp_path / "out")
    with pytest.raises(DataError, match="prepared from another data set or at another size"):
        resolve("cityscapes", root).prepare(tmp_path / "out", size=(6, 8))
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match="busy: is in the way"):
        resolve("cityscapes", root).prepare(tmp_path / "busy")
    assert [p.name for p in (tmp_path / "busy").iterdir()] == ["thesis.tex"]
    for target in (root / "inside", root, tmp_path):
        with pytest.raises(DataError, match=r"inside each other|in the way"):
            resolve("cityscapes", root).prepare(target)


def test_bad_items_are_reported_and_keep_their_split_unlisted(tmp_path: Path) -> None:
    root = WRITERS["ade20k"](tmp_path / "raw")
    masks = root / "ADEChallengeData2016/annotations"
    label(masks / "training/ADE_train_00000000.png", stripes(200))
    (masks / "validation/ADE_val_00000002.png").unlink()
    (masks / "training/ADE_train_00000009.png").write_bytes(b"no partner")
    out = tmp_path / "out"
    report = resolve("ade20k", root).prepare(out)
    assert {Path(p.file or "").name for p in report.problems} == {
        "ADE_train_00000000.png",
        "ADE_train_00000009.png",
        "ADE_val_00000002.jpg",
    }
    assert report.to_dict()["ok"] is False
    assert report.written == {"train": 1, "val": 0}
    assert not (out / "splits").exists()
    report = resolve("ade20k", root).prepare(out, skip_bad=True)
    assert not report.ok
    assert open_dataset("ade20k", out).names == ("ADE_train_00000001",)
    assert not (out / "splits" / "val.txt").exists()


@pytest.mark.parametrize("part", ["images", "images/train", "annotations/train"])
def test_pictures_behind_a_link_are_pictures_of_the_folder(part: str, tmp_path: Path) -> None:
    """Data on another disk: every command reads through the link, as mmsegmentation's users expect."""
    root = WRITERS["ade20k"](tmp_path / "raw")
    resolve("ade20k", root).prepare(tmp_path / "set")
    whole = open_dataset(tmp_path / "set", split="train")
    names, masks, pixels = whole.names, [mask for _, mask in whole], count(whole).pixels.tolist()
    disk = tmp_path / "disk"
    shutil.move(tmp_path / "set" / part, disk)
    (tmp_path / "set" / part).symlink_to(disk, target_is_directory=True)
    found = resolve(tmp_path / "set")
    checked = found.verify()
    assert checked.ok
    assert checked.problems == []
    assert found.prepare(tmp_path / "out").ok
    for place in ("set", "out"):
        linked = open_dataset(tmp_path / place, split="train")
        assert linked.names == names
        assert all(torch.equal(item[1], mask) for item, mask in zip(linked, masks, strict=True))
        assert count(linked).pixels.tolist() == pixels


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path / "raw")
    found, out, outside = resolve("cityscapes", root), tmp_path / "out", tmp_path / "outside"
    found.prepare(out, splits=["val"])
    outside.mkdir()
    (out / "images" / "train").symlink_to(outside, target_is_directory=True)
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    city = out / "annotations" / "train" / "ulm"
    city.mkdir(parents=True)
    report = found.prepare(out)
    assert {p.what for p in report.problems} == {"leads out of the folder"}
    assert list(outside.iterdir()) == []
    (out / "images" / "train").unlink()
    (city / "ulm_000000_000019.png.part").symlink_to(victim)
    assert found.prepare(out).ok
    assert victim.read_text() == "mine"
    assert not (city / "ulm_000000_000019.png").is_symlink()


def test_folders_of_ones_own(tmp_path: Path, tiny_camvid: Path) -> None:
    root = folder(tmp_path / "mine")
    resolve("folder", root, **PATTERNS).prepare(tmp_path / "out")
    data = open_dataset("folder", tmp_path / "out", "all")
    np.testing.assert_array_equal(data.mask(0), stripes(0, 0, 0, 1, 255, 0, 0, 0))
    assert data.spec.groups == ("head", "middle")
    resolve(tiny_camvid).prepare(tmp_path / "small", size=(32, 48))
    small = open_dataset("folder", tmp_path / "small", "val")
    assert small[0][1].shape == (32, 48)
    assert torch.equal(small[0][1], open_dataset("folder", tiny_camvid, "val", size=(32, 48))[0][1])


def pictures(root: Path, name: str, picture: Image.Image, mask: np.ndarray, **options: object) -> Path:
    """A data set of one item, in a layout of two patterns."""
    (root / "i").mkdir(parents=True)
    (root / "m").mkdir()
    picture.save(root / "i" / name, **options)
    Image.fromarray(mask).save(root / "m" / "a.png")
    (root / "classes.csv").write_text("id,name,r,g,b,ignore\n0,bg,0,0,0,0\n1,car,1,0,0,0\n")
    return root


RGB = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)
LABELS = (np.arange(192) % 2).astype(np.uint8).reshape(16, 12)


@pytest.mark.parametrize("size", [None, (16, 12)])
@pytest.mark.parametrize(
    ("name", "kind", "ending"),
    [
        ("a.tif", "TIFF", ".png"),
        ("a.bmp", "BMP", ".png"),
        ("a.webp", "WEBP", ".png"),
        ("a.png", "PNG", ".png"),
        ("a.jpg", "PNG", ".png"),  # whatever it is called
        ("a.jpeg", "JPEG", ".jpg"),
        ("a.png", "JPEG", ".jpg"),
    ],
)
def test_files_are_what_their_names_say(
    tmp_path: Path, name: str, kind: str, ending: str, size: tuple[int, int] | None
) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    root = pictures(tmp_path / "in", name, Image.fromarray(RGB), LABELS, format=kind, **options)
    found = resolve("folder", root, images=f"i/{{name}}{Path(name).suffix}", masks="m/{name}.png")
    assert found.prepare(tmp_path / "out", size=size).ok
    (image,) = (tmp_path / "out" / "images" / "all").iterdir()
    assert image.name == f"a{ending}"
    with Image.open(image) as picture:
        assert picture.format == ("PNG" if ending == ".png" else "JPEG")
    error = np.abs(read_image(image).astype(int) - read_image(root / "i" / name)).max()
    assert error == 0 if ending == ".png" or size is None else error < 80
    assert found.prepare(tmp_path / "out", size=size).kept == {"all": 1}


def test_what_was_turned_stays_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.fromarray(RGB).transpose(Image.Transpose.ROTATE_90)
    for size in (None, (16, 12)):
        root = pictures(tmp_path / f"in{size}", "a.png", lying, LABELS, exif=exif)
        out = tmp_path / f"out{size}"
        resolve("folder", root, images="i/{name}.png", masks="m/{name}.png").prepare(out, size=size)
        image, mask = open_dataset("folder", out, "all")[0]
        np.testing.assert_array_equal(image.permute(1, 2, 0), RGB)
        np.testing.assert_array_equal(mask, LABELS)
        report = resolve(out).verify()
        assert report.ok
        told = [line for line in report.warnings if "EXIF orientation" in line]
        assert len(told) == (size is None), report.warnings


def test_wide_images_are_scaled_once_and_for_all(tmp_path: Path) -> None:
    wide = RGB[..., 0].astype(np.uint16) * 16
    root = pictures(tmp_path / "in", "a.png", Image.fromarray(wide), LABELS)
    found = resolve("folder", root, images="i/{name}.png", masks="m/{name}.png")
    report = found.prepare(tmp_path / "no")
    assert ["image of mode 'I;16'" in p.what for p in report.problems] == [True]
    assert "`aucseg data prepare FOLDER --range 0 4095`" in (report.problems[0].remedy or "")
    assert found.prepare(tmp_path / "out", value_range=(0, 255 * 16)).ok
    image, _ = open_dataset("folder", tmp_path / "out", "all")[0]
    np.testing.assert_array_equal(image[1], RGB[..., 0])
    with pytest.raises(DataError, match="prepared from another data set or at another size"):
        found.prepare(tmp_path / "out", value_range=(0, 4095))
    with pytest.raises(ValueError, match="a range is"):
        found.prepare(tmp_path / "other", value_range=(5, 1))
    assert not (tmp_path / "other").exists()


def test_a_full_disk_ends_the_call_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = WRITERS["cityscapes"](tmp_path / "raw"), tmp_path / "out"
    real = shutil.copyfile
    copied = []

    def copy(source: Path, target: Path) -> None:
        copied.append(source)
        if len(copied) == 2:
            Path(target).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("aucseg.data.prepare.shutil.copyfile", copy)
    with pytest.raises(
        DataError,
        match=r"out/images/.*\.png: cannot be written \(No space left on device\); make room, .* on",
    ):
        resolve("cityscapes", root).prepare(out, workers=1)
    assert len(copied) == 2  # no other item will do better
    assert not list(out.rglob("*.part"))
    assert not (out / "splits").exists()
    for image in (out / "images").rglob("*.png"):
        with Image.open(image) as picture:
            picture.load()
    monkeypatch.undo()
    report = resolve("cityscapes", root).prepare(out)
    assert report.ok
    assert sum(report.kept.values()) == 1
