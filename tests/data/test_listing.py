"""What a listing passes over, which links it follows, and what the lines of a list mean."""

from __future__ import annotations

import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import open_dataset, resolve
from aucseg.data import listing
from aucseg.data.listing import find_files, is_clutter, list_stems, listed_items, match_keys, read_names
from aucseg.errors import DataError
from tests.data.layouts.writers import WRITERS

LEFT_BEHIND = (
    ".ipynb_checkpoints/a-checkpoint.png",
    "@eaDir/a.png/SYNOPHOTO_THUMB_M.png",
    "__MACOSX/._a.png",
    ".thumbnails/a.png",
    "._a.png",
    "Thumbs.db",
    ".DS_Store",
    "desktop.ini",
)


def touch(root: Path, *names: str) -> dict[str, Path]:
    """Empty files, by name without ending."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return {name.rpartition(".")[0]: root / name for name in names}


def test_what_programs_leave_behind_is_in_no_listing(tmp_path: Path) -> None:
    touch(tmp_path, *LEFT_BEHIND, "a.png", "sub/b.PNG")
    assert list(find_files(tmp_path, ("",))[0]) == ["a.png", "sub/b.PNG"]
    assert all(is_clutter(name.partition("/")[0]) for name in LEFT_BEHIND)
    touch(tmp_path / "splits", "train.txt", "._train.txt")
    assert list_stems(tmp_path / "splits") == ("train",)
    hidden = tmp_path / ".set"  # what a user names may be called anything
    touch(hidden, "a.png")
    assert list(find_files(hidden, (".png",))[0]) == ["a.png"]


@pytest.mark.parametrize("name", ["ade20k", "voc", "ecssd", "cityscapes", "coco_stuff"])
def test_nor_in_a_published_layout(name: str, tmp_path: Path) -> None:
    root = WRITERS[name](tmp_path / name)
    before = resolve(root).verify(workers=1)
    for folder in [p for p in root.rglob("*") if p.is_dir()]:
        if found := next((p for p in folder.iterdir() if p.is_file()), None):
            for place in (folder / ".ipynb_checkpoints", folder / "@eaDir"):
                place.mkdir()
                (place / found.name).write_bytes(found.read_bytes())
            (folder / f"._{found.name}").write_bytes(b"Mac OS X")
    after = resolve(root).verify(workers=1)
    assert after.problems == []
    assert after.splits == before.splits


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "disk/x/a.png", "set/val/b.png", "set/train/c.png")
    train = tmp_path / "set/train"
    (train / "linked").symlink_to(tmp_path / "disk", target_is_directory=True)
    (train / "again").symlink_to(tmp_path / "disk/x", target_is_directory=True)
    (train / "up").symlink_to(tmp_path / "set", target_is_directory=True)
    (train / "self").symlink_to(train, target_is_directory=True)
    (tmp_path / "disk/x/home").symlink_to(train, target_is_directory=True)
    found, problems = find_files(train, (".png",))
    assert list(found) == ["again/a.png", "c.png", "linked/x/a.png"]
    assert problems == []


NFC, NFD = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
LINES = {
    "the name": ("a", "a"),
    "with the ending of the image": ("a.jpg", "a"),
    "of the mask": ("a.png", "a"),
    "the path": ("images/train/a.jpg", "a"),
    "with a dot": ("./images/train/a.jpg", "a"),
    "from the folder above": ("{root}/images/train/a.jpg", "a"),
    "of another machine": ("/disk1/set/images/train/a.jpg", "a"),
    "on Windows": ("D:\\set\\images\\train\\a.jpg", "a"),
    "as if the folder were the disk": ("/images/train/a.jpg", "a"),
    "without its ending": ("images/train/a", "a"),
    "in a folder": ("s/b", "s/b"),
    "in a folder of Windows": ("s\\b", "s/b"),
    "its path": ("images/train/s/b.jpg", "s/b"),
    "a pair": ("images/train/a.jpg annotations/train/a.png", "a"),
    "a pair with a tab": ("images/train/a.jpg\tannotations/train/a.png", "a"),
    "a pair with a comma": ("a.jpg, a.png", "a"),
    "a pair with blanks": ("images/train/c 1.jpg annotations/train/c 1.png", "c 1"),
    "a name with a blank": ("c 1", "c 1"),
    "a name with dots": ("d.0001", "d.0001"),
    "composed": (NFC, NFD),
    "decomposed": (NFD, NFD),
    "composed, in a pair": (f"images/train/{NFC}.jpg annotations/train/{NFC}.png", NFD),
}


@pytest.fixture
def listed(tmp_path: Path) -> tuple[Path, dict[str, Path], dict[str, Path]]:
    """A folder with images and masks of five items; one has its accent decomposed in the image only."""
    names = ("a", "s/b", "c 1", "d.0001")
    images = touch(tmp_path / "images/train", *(f"{n}.jpg" for n in (*names, NFD)))
    masks = touch(tmp_path / "annotations/train", *(f"{n}.png" for n in (*names, NFC)))
    return tmp_path, images, masks


@pytest.mark.parametrize("how", LINES)
def test_what_a_line_means(how: str, listed: tuple[Path, dict[str, Path], dict[str, Path]]) -> None:
    root, images, masks = listed
    line, name = LINES[how]
    items, problems = listed_items([line.format(root=root.name)], images, masks, root / "train.txt", root)
    assert problems == []
    assert [item.name for item in items] == [name]
    assert items[0].image == images[name]
    assert items[0].mask == masks[NFC if name == NFD else name]


@pytest.mark.parametrize("line", ["b", "b.jpg", "other/a.jpg", "x/train/a.jpg", "A", "a b", "e"])
def test_what_means_no_file(line: str, listed: tuple[Path, dict[str, Path], dict[str, Path]]) -> None:
    """A file that is elsewhere than the list says is not taken for it."""
    root, images, masks = listed
    items, _ = listed_items([line], images, masks, root / "train.txt", root)
    assert [(item.name, item.image, item.mask) for item in items] == [(line, None, None)]


def test_a_pair_is_taken_as_it_is_listed(listed: tuple[Path, dict[str, Path], dict[str, Path]]) -> None:
    root, images, masks = listed
    lines = ["a.jpg s/b.png", "a", "images/train/a.jpg"]
    items, problems = listed_items(lines, images, masks, root / "train.txt", root)
    assert [(i.name, i.image, i.mask) for i in items] == [("a", images["a"], masks["s/b"])]
    assert [p.what for p in problems] == ["'a' stands there 3 times"]


def test_accents_do_not_part_image_and_mask(tmp_path: Path) -> None:
    images, masks = touch(tmp_path, f"{NFD}.jpg", "b.jpg"), touch(tmp_path, f"{NFC}.png", "c.png")
    listing = match_keys(images, masks)
    assert listing.items[0].mask == masks[NFC]
    assert [p.what for p in listing.problems] == ["image without mask", "mask without image"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_as_other_machines_write_them(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(f"Straße 1{end}{end} b {end}".encode(encoding))
    assert read_names(path) == ("Straße 1", "b")
    path.write_bytes("a\nStraße\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"train\.txt: line 2 is not UTF-8 text .*; save it as UTF-8"):
        read_names(path)


def test_a_list_of_pairs_is_trained_on(tiny_camvid: Path) -> None:
    """From the list to the items and the counts of the masks, with the order of the list."""
    names = ("train_002", "train_000")
    lines = [f"/d/images/train/{n}.jpg /d/annotations/train/{n}.png" for n in names]
    plain = {n: np.array(Image.open(tiny_camvid / f"annotations/train/{n}.png")) for n in names}
    (tiny_camvid / "splits/train.txt").write_text("\r\n".join(lines))
    data = open_dataset("camvid", tiny_camvid)
    assert data.names == names
    for name, (_, mask) in zip(names, data, strict=True):
        np.testing.assert_array_equal(mask.numpy(), np.where(plain[name] == 11, 255, plain[name]))
    counted = resolve("camvid", tiny_camvid).count("train")
    assert counted.image_names == names
    assert resolve("camvid", tiny_camvid).verify(["train"]).ok


def test_voc_lists_of_pairs(tmp_path: Path) -> None:
    """As DeepLab's are; a pair with masks of another folder is not read from this one."""
    root = WRITERS["voc"](tmp_path)
    path = root / "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"
    names = path.read_text().split()
    path.write_text("".join(f"/JPEGImages/{n}.jpg /SegmentationClass/{n}.png\n" for n in names))
    assert open_dataset("voc", root).names == tuple(names)
    path.write_text(f"/JPEGImages/{names[0]}.jpg /SegmentationClassAug/{names[0]}.png\n")
    with pytest.raises(DataError, match=r"train\.txt: there is no mask '/SegmentationClassAug/.*'/JPEGI"):
        open_dataset("voc", root)


@pytest.mark.parametrize(
    ("image", "mask", "there"),
    [
        (".tif", ".png", "images end in .jpg, .jpeg, .png here: convert it, or .*--images"),
        (".webp", ".png", "images end in"),
        (".jpg", ".bmp", "masks end in .png here"),
        (".jpg", ".npy", "masks end in"),
    ],
)
def test_other_endings_are_named(tiny_camvid: Path, image: str, mask: str, there: str) -> None:
    for kind, old, new in (("images", ".jpg", image), ("annotations", ".png", mask)):
        path = tiny_camvid / kind / "val" / f"val_000{old}"
        path.rename(path.with_suffix(new))
    wrong = image if image != ".jpg" else mask
    with pytest.raises(DataError, match=rf"missing (image|mask).*; val_000\{wrong} is there; {there}"):
        open_dataset("camvid", tiny_camvid, "val")


def test_a_folder_is_walked_through_once_in_a_block(tmp_path, monkeypatch):
    for name in ("a/1.png", "a/b/2.PNG", "a/3.txt", "c/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walked = []
    walk = listing._walk
    monkeypatch.setattr(listing, "_walk", lambda place, *rest: walked.append(place) or walk(place, *rest))
    with listing.walk_once():
        for _ in range(3):
            found, problems = find_files(tmp_path, (".png",))
            assert list(found) == ["a/1.png", "a/b/2.PNG", "c/4.png"]
            assert found["a/b/2.PNG"] == tmp_path / "a/b/2.PNG"
            assert not problems
        with listing.walk_once():
            assert list(find_files(tmp_path, (".txt",))[0]) == ["a/3.txt"]
        assert walked.count(str(tmp_path)) == 1
    (tmp_path / "a/5.png").touch()
    assert "a/5.png" in find_files(tmp_path, (".png",))[0]


def test_a_line_that_no_name_is_has_bounded_memory(tmp_path: Path) -> None:
    """A small archive unpacks to a list of one line of 600 MB: told after its first 64 KiB."""
    file = tmp_path / "train.txt"
    with file.open("wb") as sparse:
        sparse.write(b"a\nb\n")
        sparse.truncate(600_000_000)  # zeros that take no place on the disk
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"train\.txt: line 3 is longer than 65,536 bytes"):
            read_names(file)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    long = "a" * 4000
    file.write_text(f"{long}\r\nb\n", encoding="utf-16")
    assert read_names(file) == (long, "b")
    file.write_bytes(b"\r".join([b"name"] * 30_000))  # as old Macs end lines
    assert len(read_names(file)) == 30_000
