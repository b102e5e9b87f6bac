"""What verification reports: each kind of bad file with its name, and none hides another."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import open_dataset, resolve
from aucseg.data.spec import load_spec
from aucseg.errors import DataError
from tests.data.layouts.writers import WRITERS, label, picture, stripes


def test_clean_folder(tiny_camvid: Path) -> None:
    report = resolve(tiny_camvid).verify(workers=2)
    assert report.ok
    assert report.splits == {"train": 4, "val": 2, "test": 2}
    assert report.sizes == {(64, 96): 8}
    assert report.duplicates == []
    assert report.warnings == []
    masks = [np.array(Image.open(p)) for p in (tiny_camvid / "annotations/train").glob("*.png")]
    expected = np.bincount(np.concatenate([m.ravel() for m in masks]), minlength=12)
    np.testing.assert_array_equal(report.pixels["train"], expected[:11])
    assert report.void["train"] == expected[11]
    assert json.loads(json.dumps(report.to_dict()))["labels"]["train"]["pixels"]["Sky"] == expected[0]


def damage(root: Path) -> dict[str, str]:
    """One defect in each of several files; gives a word of what must be reported for each."""
    train, val = root / "annotations/train", root / "annotations/val"
    (root / "images/train/train_000.jpg").unlink()
    (root / "images/train/train_001.jpg").write_bytes(b"junk")
    mask = np.array(Image.open(train / "train_001.png"))
    mask[0] = 99
    Image.fromarray(mask).save(train / "train_001.png")
    Image.fromarray(mask[:10] % 11).save(train / "train_002.png")
    (train / "train_003.png").write_bytes((train / "train_003.png").read_bytes()[:60])
    (val / "val_000.png").unlink()
    Image.fromarray(np.full((64, 96, 3), 7, np.uint8)).save(val / "val_001.png")
    (root / "splits/test.txt").write_text("")
    return {
        "train_000.jpg": "missing image",
        "train_001.jpg": "unreadable image",
        "train_001.png": "label outside the classes: 99 (96 pixels)",
        "train_002.png": "the mask is 96x10 but its image train_002.jpg is 96x64",
        "train_003.png": "unreadable mask",
        "val_000.png": "missing mask",
        "val_001.png": "colour (7, 7, 7)",
        "test.txt": "the split is empty",
    }


def test_every_problem_is_reported(tiny_camvid: Path) -> None:
    expected = damage(tiny_camvid)
    report = resolve(tiny_camvid).verify()
    assert not report.ok
    found = {Path(p.file).name: p for p in report.problems}
    assert sorted(found) == sorted(expected)
    assert len(report.problems) == len(expected)
    for name, text in expected.items():
        assert text in found[name].what
        assert found[name].remedy
    assert found["val_000.png"].split == "val"
    assert report.splits["test"] == 0


def test_a_bad_class_table_does_not_stop_the_rest(tiny_camvid: Path) -> None:
    (tiny_camvid / "classes.csv").unlink()
    (tiny_camvid / "images/val/val_000.jpg").unlink()
    problems = resolve(tiny_camvid).verify().problems
    assert [Path(p.file).name for p in problems] == ["classes.csv", "val_000.jpg"]


def test_groups_stats_and_spec_are_checked(tiny_camvid: Path) -> None:
    path = tiny_camvid / "classes.csv"
    path.write_text(path.read_text().replace("9,Pedestrian", "9,Person"))
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\nSky,much\n")
    problems = [p.what for p in resolve(tiny_camvid, spec=load_spec("camvid")).verify().problems]
    assert problems == ["no train_pct_labelled for class 'Sky'", "unknown class name 'Person' for 'camvid'"]


def test_duplicates_unlisted_files_and_absent_classes(tiny_camvid: Path) -> None:
    Image.open(tiny_camvid / "images/train/train_001.jpg").save(tiny_camvid / "images/test/test_000.png")
    (tiny_camvid / "images/test/test_000.jpg").unlink()
    shutil.copy(tiny_camvid / "images/val/val_000.jpg", tiny_camvid / "images/val/spare.jpg")
    for path in (tiny_camvid / "annotations/train").glob("*.png"):
        mask = np.array(Image.open(path))
        mask[mask == 10] = 11
        Image.fromarray(mask).save(path)
    report = resolve(tiny_camvid).verify()
    assert report.ok
    # the same pixels in another format
    assert report.duplicates == [("train/train_001", "test/test_000")]
    assert len(report.warnings) == 2
    assert "1 files not listed in val.txt, the first is spare.jpg" in report.warnings[0]
    assert "'Bicyclist' has no pixel in train" in report.warnings[1]


def test_missing_folder_and_splits(tmp_path: Path, tiny_camvid: Path) -> None:
    with pytest.raises(DataError, match="gone: no such folder"):
        resolve(str(tmp_path / "gone")).verify()
    with pytest.raises(DataError, match="no split files"):
        resolve(tmp_path).verify()
    assert resolve(tiny_camvid).verify(["val"]).splits == {"val": 2}
    assert "splits found: train, val, test" in resolve(tiny_camvid).verify(["vla"]).problems[0].remedy


def test_shared_pack_is_clean(camvid_pack: Path) -> None:
    report = resolve("camvid", camvid_pack).verify(["val"])
    assert report.ok
    assert report.splits == {"val": 101}
    assert report.sizes == {(360, 480): 101}
    # class_stats.csv of the pack was counted by another program
    assert report.pixels["val"].tolist()[:2] == [1601620, 4531180]


def test_a_bad_name_in_a_list_hides_no_other_item(tiny_camvid: Path) -> None:
    (tiny_camvid / "splits/train.txt").write_text("train_000\n../../secret\ntrain_001\ntrain_000\n/abs\n")
    (tiny_camvid / "annotations/train/train_001.png").write_bytes(b"x")
    report = resolve(tiny_camvid).verify(["train"])
    assert report.splits == {"train": 2}
    assert [p.what.partition(" (")[0] for p in report.problems] == [
        "'../../secret' leads outside the folder",
        "'/abs' leads outside the folder",
        "'train_000' stands there 2 times",
        "unreadable mask",
    ]
    assert sum(report.pixels["train"]) + report.void["train"] == 64 * 96  # one mask was read


def _flip(path: Path) -> None:
    """One bit of the pixel data, which its decoder may well accept."""
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _link_away(path: Path) -> None:
    outside = path.parents[4] / f"outside{path.suffix}"
    shutil.move(path, outside)
    path.symlink_to(outside)


def _sixteen_bits(path: Path) -> None:
    Image.fromarray(np.full((12, 16), 7001, np.uint16)).save(path)


def _blended(path: Path) -> None:
    Image.fromarray(np.full((12, 16, 3), 7, np.uint8)).save(path)


IMAGE, MASK = "images/training/ADE_train_{}.jpg", "annotations/training/ADE_train_{}.png"
DEFECTS: list[tuple[str, Callable[[Path], object], str]] = [
    (MASK, _flip, "unreadable mask"),
    (MASK, _cut, "unreadable mask"),
    (IMAGE, _cut, "unreadable image"),
    (IMAGE, lambda p: p.write_bytes(b""), "unreadable image"),
    (MASK, _blended, "mask of mode 'RGB'"),
    (MASK, _sixteen_bits, "value 7001 in a mask of mode"),
    (MASK, lambda p: label(p, stripes(0, 151)), "label outside the classes: 151 (96 pixels)"),
    (MASK, lambda p: label(p, stripes(1)[:5]), "the mask is 16x5 but its image"),
    (MASK, lambda p: p.unlink(), "image without mask"),
    (IMAGE, lambda p: p.unlink(), "mask without image"),
    (IMAGE, _link_away, "a link leads out of the folder"),
    (MASK, _link_away, "a link leads out of the folder"),
    (IMAGE, lambda p: picture(p.with_suffix(".jpeg"), 1), "is there too"),
]


def ade(root: Path, count: int) -> Path:
    base = root / "set" / "ADEChallengeData2016"
    for i in range(count):
        picture(base / IMAGE.format(i), i)
        label(base / MASK.format(i), stripes(0, 1, 150))
    return base


@pytest.mark.parametrize(("where", "damage", "message"), DEFECTS, ids=[d[2] for d in DEFECTS])
def test_one_defect(tmp_path: Path, where: str, damage: Callable[[Path], object], message: str) -> None:
    base = ade(tmp_path, 3)
    bad = base / where.format(1)
    damage(bad)
    problems = resolve(base).verify(workers=1).problems
    assert len(problems) == 1
    assert message in problems[0].what
    assert Path(problems[0].file).stem == bad.stem
    assert problems[0].remedy


def test_all_defects_at_once(tmp_path: Path) -> None:
    base = ade(tmp_path, len(DEFECTS) + 1)
    for i, (where, damage, _) in enumerate(DEFECTS):
        damage(base / where.format(i))
    report = resolve(base).verify()
    assert report.splits == {"train": len(DEFECTS) + 1}
    found = {Path(p.file).stem: p.what for p in report.problems}
    for i, (_, _, message) in enumerate(DEFECTS):
        if "link" not in message:
            assert message in found[f"ADE_train_{i}"]
    assert sum("link" in what for what in found.values()) == 2
    assert len(report.problems) == len(DEFECTS)
    # the good item is counted
    assert report.pixels["train"][0] > 0


def test_names_that_differ_in_case(tmp_path: Path) -> None:
    base = ade(tmp_path, 2)
    wrong = base / "annotations/training/ade_TRAIN_1.png"
    (base / MASK.format(1)).rename(wrong)
    report = resolve(base).verify()
    assert {Path(p.file).name for p in report.problems} == {"ADE_train_1.jpg", "ade_TRAIN_1.png"}
    assert all("differs in the case of its letters" in p.what for p in report.problems)
    shutil.copy(base / IMAGE.format(0), base / IMAGE.format(0).replace("ADE", "Ade"))
    if len(list((base / "images/training").iterdir())) == 3:  # a file system that tells cases apart
        assert any("in the case of its letters only" in p.what for p in resolve(base).verify().problems)


def test_case_of_a_folders_own_names(tiny_camvid: Path) -> None:
    (tiny_camvid / "images/val/val_000.jpg").rename(tiny_camvid / "images/val/Val_000.JPG")
    (tiny_camvid / "annotations/val/val_001.png").rename(tiny_camvid / "annotations/val/Val_001.PNG")
    problems = resolve(tiny_camvid).verify(["val"]).problems
    assert [Path(p.file).name for p in problems] == ["val_000.jpg", "val_001.png"]
    assert "Val_000.JPG differs in the case of its letters" in problems[0].what
    assert "Val_001.PNG differs in the case of its letters" in problems[1].what


def test_upper_case_endings_are_fine(tmp_path: Path, tiny_camvid: Path) -> None:
    for kind, suffix in (("images", ".jpg"), ("annotations", ".png")):
        path = tiny_camvid / kind / "val" / f"val_000{suffix}"
        path.rename(path.with_suffix(suffix.upper()))
    assert resolve(tiny_camvid).verify().ok
    assert resolve(tiny_camvid).count("val").num_images == 2
    base = ade(tmp_path, 1)
    (base / IMAGE.format(0)).rename((base / IMAGE.format(0)).with_suffix(".JPG"))
    assert resolve(base).verify().ok
    assert len(open_dataset("ade20k", base)) == 1


def test_a_name_twice_in_a_list(tmp_path: Path) -> None:
    root = WRITERS["voc"](tmp_path)
    lists = root / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_text("2007_000032\n2007_000032\n2007_000099\n")
    problems = {p.what: p.file for p in resolve(root).verify(["train"]).problems}
    assert "'2007_000032' stands there 2 times" in problems
    assert "missing image of '2007_000099'" in problems
    assert "missing mask of '2007_000099'" in problems
    assert set(problems.values()) == {str(lists / "train.txt")}


def test_an_empty_or_unreadable_list_does_not_hide_the_others(tmp_path: Path) -> None:
    root = WRITERS["voc"](tmp_path)
    lists = root / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_bytes(b"\xff\xfe\x00ba")
    (lists / "val.txt").write_text("\n")
    report = resolve(root).verify()
    assert {Path(p.file).name for p in report.problems} == {"train.txt", "val.txt"}
    assert report.splits == {"train": 0, "trainval": 3, "val": 0}


def test_sixteen_bits_that_fit_are_a_warning(tiny_camvid: Path) -> None:
    path = tiny_camvid / "annotations/val/val_000.png"
    Image.fromarray(np.array(Image.open(path)).astype(np.uint16)).save(path)
    report = resolve(tiny_camvid).verify(["val"])
    assert report.ok
    assert [w for w in report.warnings if "16 bits" in w and str(path) in w]


def test_duplicates_by_content(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path)
    train = next((root / "leftImg8bit/train/ulm").iterdir())
    val = next((root / "leftImg8bit/val/ulm").iterdir())
    shutil.copy(train, val)
    duplicates = resolve(root).verify().duplicates
    assert len(duplicates) == 1
    assert {d.split("/")[0] for d in duplicates[0]} == {"train", "val"}


def test_links_within_the_folder_and_to_it_are_fine(tmp_path: Path) -> None:
    base = ade(tmp_path, 2)
    (base / IMAGE.format(1)).unlink()
    (base / IMAGE.format(1)).symlink_to(base / IMAGE.format(0))
    (base / "images/training/loop").symlink_to(base / "images", target_is_directory=True)
    entry = tmp_path / "entry"
    entry.symlink_to(base, target_is_directory=True)
    assert resolve(entry).verify().ok
    assert len(open_dataset("ade20k", entry)) == 2


def test_a_dangling_link(tmp_path: Path) -> None:
    base = ade(tmp_path, 2)
    (base / IMAGE.format(1)).unlink()
    (base / IMAGE.format(1)).symlink_to(base / "gone.jpg")
    problems = resolve(base).verify().problems
    assert [(Path(p.file).name, p.what[:16]) for p in problems] == [("ADE_train_1.jpg", "unreadable image")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_permissions(tmp_path: Path) -> None:
    base = ade(tmp_path, 3)
    (base / IMAGE.format(0)).chmod(0)
    (base / MASK.format(1)).chmod(0)
    closed = base / "images/training/closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        found = {Path(p.file).name: p.what for p in resolve(base).verify().problems}
    finally:
        closed.chmod(0o700)
    assert set(found) == {"ADE_train_0.jpg", "ADE_train_1.png", "closed"}
    assert "PermissionError" in found["ADE_train_0.jpg"]
    assert "cannot be read" in found["closed"]


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `test_unreadable_permissions`, for those who run as root: the system call refuses."""
    base = ade(tmp_path, 2)
    (base / "images/training/closed").mkdir()
    real = os.scandir

    def scandir(path: object) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", scandir)
    problems = resolve(base).verify().problems
    assert [(Path(p.file).name, p.what) for p in problems] == [
        ("closed", "cannot be read (Permission denied)")
    ]


def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = ade(tmp_path, 3)
    real = Image.open

    def opened(file: Any, *rest: object) -> object:
        if Path(file.name).name == "ADE_train_1.png":
            raise PermissionError(13, "Permission denied")
        return real(file)

    monkeypatch.setattr(Image, "open", opened)
    monkeypatch.setattr("aucseg.data.reading.decode_gray_png", lambda path: None)  # opens files its own way
    problems = resolve(base).verify(workers=1).problems
    assert [Path(p.file).name for p in problems] == ["ADE_train_1.png"]
    assert "Permission denied" in problems[0].what
