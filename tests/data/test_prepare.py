"""`prepare`: the same items in 8-bit files of train ids; whole or not at all; in its folder only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucseg.catalog import open_dataset, resolve
from aucseg.data.spec import groups_by_pixel_share
from aucseg.errors import DataError
from aucseg.longtail import count
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
    if name == "cityscapes":
        assert spec == LAYOUTS[name].spec
        return
    counts = count(open_dataset(name, root, EXPECTED[name][0]))
    assert spec.groups == groups_by_pixel_share([float(s) for s in counts.pixel_share])
    assert spec.name == LAYOUTS[name].spec.name


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
    assert data.spec.groups == ("head", "head")
    resolve(tiny_camvid).prepare(tmp_path / "small", size=(32, 48))
    small = open_dataset("folder", tmp_path / "small", "val")
    assert small[0][1].shape == (32, 48)
    assert torch.equal(small[0][1], open_dataset("folder", tiny_camvid, "val", size=(32, 48))[0][1])
