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
from tests.data.layouts.writers import HEIGHT, WIDTH, WRITERS, label, picture, stripes


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
    report = resolve("camvid", tiny_camvid).verify()
    assert report.ok
    # the same pixels in another format
    assert report.duplicates == [("train/train_001", "test/test_000")]
    assert len(report.warnings) == 2
    assert "1 files not listed in val.txt, the first is spare.jpg" in report.warnings[0]
    assert report.warnings[1] == "class 'Bicyclist' has no pixel in 'train'"
    # of a label set of one's own it is a problem
    report = resolve(tiny_camvid).verify()
    assert [p.what for p in report.problems] == ["class 'Bicyclist' has no pixel in 'train'"]
    assert report.problems[0].file == str(tiny_camvid / "classes.csv")


def test_missing_folder_and_splits(tmp_path: Path, tiny_camvid: Path) -> None:
    with pytest.raises(DataError, match="gone: no such folder"):
        resolve(str(tmp_path / "gone")).verify()
    with pytest.raises(DataError, match=r"no classes\.csv and no list of a split; `aucseg data init"):
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
        assert message in found[f"ADE_train_{i}"]
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


def test_images_that_differ_between_the_rows_looked_at_first_are_no_duplicates(tmp_path: Path) -> None:
    """Every sixteenth row is compared first; of images that are equal there, all pixels are."""
    root = tmp_path / "mine"
    pixels = np.zeros((40, 24, 3), np.uint8)
    changed = pixels.copy()
    changed[5] = 255
    for split, (first, second) in {"train": (pixels, changed), "val": (changed, changed + 1)}.items():
        for i, image in enumerate((first, second)):
            for kind in ("images", "annotations"):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / f"images/{split}/{split}{i}.png")
            Image.fromarray(np.arange(40 * 24, dtype=np.uint8).reshape(40, 24) % 2).save(
                root / f"annotations/{split}/{split}{i}.png"
            )
        (root / "splits").mkdir(exist_ok=True)
        (root / f"splits/{split}.txt").write_text(f"{split}0\n{split}1\n")
    (root / "classes.csv").write_text("id,name\n0,a\n1,b\n")
    assert resolve(root).verify().duplicates == [("train/train1", "val/val0")]


def test_duplicates_by_content(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path)
    train = next((root / "leftImg8bit/train/ulm").iterdir())
    val = next((root / "leftImg8bit/val/ulm").iterdir())
    shutil.copy(train, val)
    duplicates = resolve(root).verify().duplicates
    assert len(duplicates) == 1
    assert {d.split("/")[0] for d in duplicates[0]} == {"train", "val"}


def test_links_out_of_the_folder_are_followed_and_said_once(tmp_path: Path) -> None:
    """As where the pictures lie on another disk."""
    base = ade(tmp_path, 4)
    _link_away(base / IMAGE.format(1))
    shutil.move(base / "annotations/training", tmp_path / "disk")
    (base / "annotations/training").symlink_to(tmp_path / "disk", target_is_directory=True)
    report = resolve(base).verify()
    assert report.ok
    assert [w for w in report.warnings if "5 files lie outside" in w and "behind links" in w] == [
        report.warnings[0]
    ]
    assert len(open_dataset("ade20k", base)) == 4


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


def binary(root: Path, foreground: int, rows: str, *, share: float = 0.25) -> Path:
    """Four images whose masks hold 0 and another value on a share of the pixels."""
    for i, split in enumerate(("train", "val")):
        for j, name in enumerate("ab"):
            picture(root / f"images/{split}/{name}.png", 2 * i + j)
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[:, : round(WIDTH * share)] = foreground
            label(root / f"annotations/{split}/{name}.png", mask)
        (root / "splits").mkdir(exist_ok=True)
        (root / f"splits/{split}.txt").write_text("a\nb\n")
    (root / "classes.csv").write_text(f"id,name,ignore\n0,background,0\n{rows}")
    return root


def test_a_foreground_of_255_is_void_and_said(tmp_path: Path) -> None:
    """As masks of editors are: without a row for 255 a training would learn background alone."""
    report = resolve(binary(tmp_path, 255, "1,lesion,0\n")).verify()
    assert [p.what for p in report.problems] == [
        "class 'lesion' has no pixel in 'train', and 255, which has no row in classes.csv and is void "
        "therefore, covers 25.0% of the pixels there"
    ]
    assert report.problems[0].remedy.startswith("give 255 a row in classes.csv")
    for row in ("255,lesion,0\n", "1,lesion,0\n255,void,1\n"):
        (tmp_path / "classes.csv").write_text(f"id,name,ignore\n0,background,0\n{row}")
        problems = resolve(tmp_path).verify().problems
        assert [p.what for p in problems] == (
            ["class 'lesion' has no pixel in 'train'"] if "void" in row else []
        )


def test_void_on_most_of_the_images(tmp_path: Path) -> None:
    """A problem unless a row of classes.csv asks for it; in every split."""
    root = binary(tmp_path, 255, "1,lesion,0\n", share=0.75)
    for split in ("train", "val"):
        path = root / f"annotations/{split}/a.png"
        mask = np.array(Image.open(path))
        mask[0, -1] = 1
        label(path, mask)
    report = resolve(root).verify()
    because = "255, which has no row in classes.csv and is void therefore, covers 75.0% of the pixels"
    assert [p.what for p in report.problems] == [f"{because} in 'train'", f"{because} in 'val'"]
    (root / "classes.csv").write_text("id,name,ignore\n0,background,0\n1,lesion,0\n255,unlabelled,1\n")
    report = resolve(root).verify()
    assert report.ok
    assert report.warnings == [
        f"75.0% of the pixels in '{split}' are void (values 255: 75.0%, 0: 24.7%, 1: 0.3%)"
        for split in ("train", "val")
    ]


def test_labels_that_a_published_layout_calls_void(tmp_path: Path) -> None:
    """0 is void in ADE20K: for a folder that only looks like it, background may be most of the pixels."""
    base = ade(tmp_path, 2)
    for i in range(2):
        label(base / MASK.format(i), stripes(0, 0, 0, 1))
    problems = resolve(base).verify().problems
    assert [p.what for p in problems] == [
        "75.0% of the pixels in 'train' are void (values 0: 75.0%, 1: 25.0%)"
    ]
    assert "--as" in problems[0].remedy


def test_nothing_but_void(tmp_path: Path) -> None:
    root = binary(tmp_path, 255, "1,lesion,0\n", share=1)
    report = resolve(root).verify()
    assert {p.what for p in report.problems} == {
        f"no pixel in '{split}' has a class: all are void (values 255: 100.0%)" for split in ("train", "val")
    }
    for ask in (
        lambda: resolve(root).count("val"),
        lambda: resolve(root).spec,
        lambda: resolve(root).known(),
    ):
        with pytest.raises(DataError, match=r"no pixel of '\w+' has a class: all 384 in 2 masks are void"):
            ask()


def test_a_set_prepared_from_a_published_one_may_lack_classes(tmp_path: Path) -> None:
    """Its table is not the user's; nor is its void nobody's."""
    root = WRITERS["ade20k"](tmp_path / "raw")
    assert resolve(root).prepare(tmp_path / "out").ok
    report = resolve(tmp_path / "out").verify()
    assert report.ok
    assert any("of 150 classes have no pixel in 'train'" in w for w in report.warnings)
    assert (tmp_path / "out/classes.csv").read_text().splitlines()[-1] == "255,void,0,0,0,1,"
    assert resolve(binary(tmp_path / "own", 255, "1,lesion,0\n")).prepare(tmp_path / "prepared").ok
    assert not resolve(tmp_path / "prepared").verify().ok


def test_equal_problems_are_folded(tiny_camvid: Path) -> None:
    """Whatever differs from file to file; labels by their value, so that none hides another."""
    mask = np.full((64, 96), 3, np.uint8)
    for i, path in enumerate(sorted((tiny_camvid / "annotations/train").iterdir())):
        mask[0, : i + 1], mask[1, : 2 * i] = 13, 14
        Image.fromarray(mask).save(path)
    noise = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96)
    for name, cut in (("val_000", 60), ("val_001", 63)):
        Image.fromarray(noise[:cut]).save(tiny_camvid / f"annotations/val/{name}.png")
    for name in ("test_000", "test_001"):
        (tiny_camvid / f"images/test/{name}.jpg").unlink()
    report = resolve("camvid", tiny_camvid).verify()
    folded = {problem.what: times for problem, times in report.folded()}
    assert folded == {
        "label outside the classes: 13 (1 pixels)": 4,
        "label outside the classes: 14 (2 pixels)": 3,
        "the mask is 96x60 but its image val_000.jpg is 96x64 (width x height)": 2,
        "label outside the classes: 243 values such as 12 (23 pixels), 13 (23 pixels), 14 (23 pixels), "
        "15 (23 pixels), 16 (23 pixels); is it a mask of ids?": 2,
        "missing image (nor .jpeg, .png)": 2,
    }
    assert sum(folded.values()) == len(report.problems)
    found = report.to_dict()
    assert len(found["problems"]) == len(report.problems)
    assert [each["times"] for each in found["folded"]] == list(folded.values())


def test_different_problems_are_not_folded(tmp_path: Path) -> None:
    root = WRITERS["voc"](tmp_path)
    lists = root / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_text("2007_000098\n2007_000099\n2007_000099\n../x\n")
    folded = resolve(root).verify(["train"]).folded()
    assert [(problem.kind, times) for problem, times in folded] == [
        ("... leads outside the folder", 1),
        ("... stands there ...", 1),
        ("missing image of ...", 2),
        ("missing mask of ...", 2),
    ]
