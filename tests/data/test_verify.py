"""Verification reports every defect, each once, with file and remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.data.camvid import CamVid
from aucseg.data.spec import load_spec
from aucseg.data.verify import verify
from aucseg.errors import DataError


def test_clean_folder(tiny_camvid: Path) -> None:
    report = verify(tiny_camvid, workers=2)
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
    report = verify(tiny_camvid)
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
    assert [Path(p.file).name for p in verify(tiny_camvid).problems] == ["classes.csv", "val_000.jpg"]


def test_groups_stats_and_spec_are_checked(tiny_camvid: Path) -> None:
    path = tiny_camvid / "classes.csv"
    path.write_text(path.read_text().replace("9,Pedestrian", "9,Person"))
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\nSky,much\n")
    problems = [p.what for p in verify(tiny_camvid, spec=load_spec("camvid")).problems]
    assert problems == ["no train_pct_labelled for class 'Sky'", "unknown class name 'Person' for 'camvid'"]


def test_duplicates_unlisted_files_and_absent_classes(tiny_camvid: Path) -> None:
    Image.open(tiny_camvid / "images/train/train_001.jpg").save(tiny_camvid / "images/test/test_000.png")
    (tiny_camvid / "images/test/test_000.jpg").unlink()
    shutil.copy(tiny_camvid / "images/val/val_000.jpg", tiny_camvid / "images/val/spare.jpg")
    for path in (tiny_camvid / "annotations/train").glob("*.png"):
        mask = np.array(Image.open(path))
        mask[mask == 10] = 11
        Image.fromarray(mask).save(path)
    report = verify(tiny_camvid)
    assert report.ok
    # the same pixels in another format
    assert report.duplicates == [("train/train_001", "test/test_000")]
    assert len(report.warnings) == 2
    assert "1 files not listed in val.txt, the first is spare.jpg" in report.warnings[0]
    assert "'Bicyclist' has no pixel in train" in report.warnings[1]


def test_missing_folder_and_splits(tmp_path: Path, tiny_camvid: Path) -> None:
    with pytest.raises(DataError, match="gone: no such folder"):
        verify(tmp_path / "gone")
    with pytest.raises(DataError, match="no split files"):
        verify(tmp_path)
    assert verify(tiny_camvid, ["val"]).splits == {"val": 2}
    assert "splits found: train, val, test" in verify(tiny_camvid, ["vla"]).problems[0].remedy


def test_shared_pack_is_clean(camvid_pack: Path) -> None:
    report = verify(camvid_pack, ["val"], spec=CamVid(camvid_pack).spec)
    assert report.ok
    assert report.splits == {"val": 101}
    assert report.sizes == {(360, 480): 101}
    # class_stats.csv of the pack was counted by another program
    assert report.pixels["val"].tolist()[:2] == [1601620, 4531180]


def test_a_bad_name_in_a_list_hides_no_other_item(tiny_camvid: Path) -> None:
    (tiny_camvid / "splits/train.txt").write_text("train_000\n../../secret\ntrain_001\ntrain_000\n/abs\n")
    (tiny_camvid / "annotations/train/train_001.png").write_bytes(b"x")
    report = verify(tiny_camvid, ["train"])
    assert report.splits == {"train": 2}
    assert [p.what.partition(" (")[0] for p in report.problems] == [
        "'train_000' stands there 2 times",
        "'../../secret' leads outside the folder",
        "'/abs' leads outside the folder",
        "unreadable mask",
    ]
    assert sum(report.pixels["train"]) + report.void["train"] == 64 * 96  # one mask was read
