"""Every published layout gives train ids; tiny files here, genuine ones in test_genuine."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.datasets import Cityscapes, VOCSegmentation

from aucseg.catalog import detect, find_dataset, list_datasets, open_dataset, resolve
from aucseg.data.layouts.described import pattern_layout
from aucseg.data.spec import load_spec
from aucseg.errors import DataError
from aucseg.longtail import count, share_partition
from tests.data.layouts.writers import (
    EXPECTED,
    HEIGHT,
    LAYOUTS,
    WIDTH,
    WRITERS,
    classes,
    label,
    picture,
    stripes,
)


@pytest.mark.parametrize("name", EXPECTED)
def test_items_are_uint8_train_ids(name: str, tmp_path: Path) -> None:
    root = WRITERS[name](tmp_path / "data")
    split, number, columns = EXPECTED[name]
    data = open_dataset(name, root, split)
    assert len(data) == len(data.names) == len(data.files) == number
    image, mask = data[number - 1]
    assert isinstance(image, tv_tensors.Image)
    assert isinstance(mask, tv_tensors.Mask)
    assert (image.dtype, mask.dtype) == (torch.uint8, torch.uint8)
    assert image.shape == (3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask.numpy(), stripes(*columns))
    np.testing.assert_array_equal(image.permute(1, 2, 0), np.array(Image.open(data.files[-1][0])))
    assert torch.equal(data.mask(number - 1), mask)
    counts = count(data)
    known = load_spec(LAYOUTS[name].spec.name)
    if name == "voc":  # nobody has published groups
        known = replace(known, groups=share_partition(counts.pixel_share).groups)
        known = replace(known, pixel_share=tuple(counts.pixel_share), image_share=tuple(counts.image_share))
    assert data.spec == known
    expected = np.bincount(stripes(*columns).ravel(), minlength=256) * number
    np.testing.assert_array_equal(counts.pixels, expected[: data.spec.num_classes])
    assert counts.void == expected[255]
    # loader workers get the data set by pickling where they are not forked
    again = pickle.loads(pickle.dumps(data))
    assert again.fingerprint() == data.fingerprint()
    images, masks = next(iter(DataLoader(again, batch_size=1)))
    assert images.shape == (1, 3, HEIGHT, WIDTH)
    assert masks.dtype == torch.uint8


@pytest.mark.parametrize("name", EXPECTED)
def test_a_folder_tells_its_layout_and_verifies(name: str, tmp_path: Path) -> None:
    root = WRITERS[name](tmp_path / name)
    found = detect(root)
    assert found is not None
    assert found.name == name
    report = resolve(root).verify(workers=1)
    assert report.ok, report.problems
    assert report.layout == name
    assert report.duplicates == []
    assert json.loads(json.dumps(report.to_dict()))["layout"] == name
    split, count, columns = EXPECTED[name]
    assert report.splits[split] == count
    assert report.void[split] == count * int((stripes(*columns) == 255).sum())


def test_resized_items_and_the_cache_agree(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path)
    plain, cached = (open_dataset("cityscapes", root, size=(6, 8), cache=c) for c in (False, True))
    for one, other in zip(plain, cached, strict=True):
        assert one[0].shape == (3, 6, 8)
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    assert torch.equal(plain.mask(0), cached.mask(0))
    cached.mask(0).fill_(9)
    assert torch.equal(plain.mask(0), cached[0][1])
    with pytest.raises(IndexError, match="index 2 out of range for 2 items of 'train'"):
        plain.mask(2)
    assert plain.fingerprint() == open_dataset("cityscapes", root).fingerprint()
    assert plain.fingerprint() != open_dataset("cityscapes", root, "val").fingerprint()


def test_cityscapes_has_the_items_of_torchvision(tmp_path: Path) -> None:
    root = WRITERS["cityscapes"](tmp_path)
    theirs = Cityscapes(str(root), split="train", mode="fine", target_type="semantic")
    ours = open_dataset("cityscapes", root, "train")
    files = {str(i): str(m) for i, m in ours.files}
    assert files == {i: t[0] for i, t in zip(theirs.images, theirs.targets, strict=True)}
    assert list(files) == sorted(files)
    ids = {c.name: (c.id, c.train_id) for c in Cityscapes.classes}
    lookup = LAYOUTS["cityscapes"].lookup
    for name in load_spec("cityscapes").names:
        assert lookup[ids[name][0]] == ids[name][1] == load_spec("cityscapes").index(name)
    for c in Cityscapes.classes:
        assert c.id < 0 or lookup[c.id] == (255 if c.train_id < 0 else c.train_id)
    assert sorted(set(lookup.tolist())) == [-1, *range(19), 255]
    assert lookup[255] == lookup[34] == -1


def test_voc_has_the_items_of_torchvision(tmp_path: Path) -> None:
    root = WRITERS["voc"](tmp_path)
    for split in ("train", "val", "trainval"):
        theirs = VOCSegmentation(str(root), "2012", split)
        ours = open_dataset("voc", root, split)
        assert [str(i) for i, _ in ours.files] == theirs.images
        for (image, mask), (their_image, their_mask) in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(image.permute(1, 2, 0), np.array(their_image))
            np.testing.assert_array_equal(mask, np.array(their_mask))
    # an image of both train and trainval is no leak; one of train and val is
    assert resolve(root).verify().duplicates == []
    lists = root / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    (lists / "val.txt").write_text("2007_000032\n")
    assert len(resolve(root).verify().duplicates) == 1


def test_voc_colour_masks_are_read_by_its_palette(tmp_path: Path) -> None:
    root = WRITERS["voc"](tmp_path)
    path = root / "VOCdevkit/VOC2012/SegmentationClass/2007_000032.png"
    # colours of background, aeroplane, tvmonitor and void, as the development kit prints them
    colors = np.array([(0, 0, 0), (128, 0, 0), (0, 64, 128), (224, 224, 192)], np.uint8)
    Image.fromarray(colors[stripes(0, 1, 2, 3)]).save(path)
    np.testing.assert_array_equal(open_dataset("voc", root).mask(0), stripes(0, 1, 20, 255))
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"colour \(7, 7, 7\) at x=0, y=0 is not in the palette \(192 such"):
        open_dataset("voc", root).mask(0)


def test_coco_skips_exactly_the_eleven_unused_ids() -> None:
    for name, shift, void in (("coco_stuff", 1, 255), ("coco_stuff_10k", 0, 0)):
        lookup = LAYOUTS[name].lookup
        valid = [v + shift for v in range(256) if lookup[v] not in (-1, 255)]
        gaps = set(range(1, 183)) - set(valid)
        assert gaps == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
        assert [int(lookup[v - shift]) for v in valid] == list(range(171))
        assert lookup[void] == 255


def test_ccp_leaves_out_the_four_unused_names() -> None:
    lookup = LAYOUTS["ccp"].lookup
    assert [v for v in range(59) if lookup[v] == 255] == [12, 23, 30, 50]
    assert [int(v) for v in lookup[:59] if v != 255] == list(range(55))


def test_shifted_ade_masks_are_not_taken_for_published_ones(tmp_path: Path) -> None:
    root = WRITERS["ade20k"](tmp_path)
    path = root / "ADEChallengeData2016/annotations/training/ADE_train_00000000.png"
    label(path, stripes(255, 0, 1, 149))
    with pytest.raises(DataError, match="label outside the classes: 255"):
        open_dataset("ade20k", root)[0]


def test_coco_10k_masks_of_the_164k_set_are_refused(tmp_path: Path) -> None:
    root = WRITERS["coco_stuff_10k"](tmp_path)
    path = root / "annotations/COCO_train2014_000000000000.mat"
    path.unlink()
    label(path.with_suffix(".png"), stripes(1, 2, 0))
    assert sorted(set(open_dataset("coco_stuff_10k", root).mask(0).unique().tolist())) == [0, 1, 255]
    label(path.with_suffix(".png"), stripes(1, 255))
    with pytest.raises(DataError, match="open it as 'coco_stuff'"):
        open_dataset("coco_stuff_10k", root).mask(0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"junk", "unreadable mask"),
        ({"T": np.zeros((2, 2))}, "no matrix 'S'"),
        ({"S": np.zeros((2, 2, 2))}, "label map holds one number"),
        ({"S": np.full((2, 2), 300)}, "values from 300 to 300"),
        ({"S": np.full((2, 2), 0.5)}, "values from 0.5 to 0.5"),
    ],
)
def test_bad_matlab_files(tmp_path: Path, content: object, message: str) -> None:
    root = WRITERS["coco_stuff_10k"](tmp_path)
    path = root / "annotations/COCO_train2014_000000000000.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    problems = resolve(root).verify().problems
    assert [p.file for p in problems] == [str(path)]
    assert message in f"{problems[0].what} {problems[0].remedy}"


def test_salient_splits_and_gray_values(tmp_path: Path) -> None:
    root = WRITERS["ecssd"](tmp_path)
    (root / "splits").mkdir()
    (root / "splits" / "mine.txt").write_text("0002\n0000\n")
    assert open_dataset("ecssd", root, "mine").names == ("0002", "0000")
    assert len(open_dataset("ecssd", root, "all")) == 3
    assert resolve(root).verify().duplicates == []  # "mine" is a part of "all"
    rgb = np.repeat(stripes(0, 255)[..., None], 3, 2)
    Image.fromarray(rgb).save(root / "ground_truth_mask/0000.png")
    Image.fromarray(stripes(0, 1).astype(bool)).save(root / "ground_truth_mask/0002.png")
    for index in (0, 1):
        np.testing.assert_array_equal(open_dataset("ecssd", root, "mine").mask(index), stripes(0, 1))


def folder(root: Path) -> Path:
    """A folder with names of its own, palette masks, and no groups."""
    for i in range(4):
        picture(root / "imgs" / f"a{i}_img.jpg", i)
        mask = Image.fromarray(stripes(10, 10, 10, 20, 30, 10, 10, 10), "L")
        mask.putpalette([1, 2, 3] * 256)
        (root / "gts").mkdir(exist_ok=True)
        mask.save(root / "gts" / f"a{i}_gt.png")
    classes(root, [(10, "sky", (1, 2, 3), 0), (20, "car", (4, 5, 6), 0), (30, "other", (7, 8, 9), 1)])
    return root


PATTERNS = {"images": "imgs/{name}_img.jpg", "masks": "gts/{name}_gt.png"}


def test_any_folder_by_patterns(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    data = open_dataset("folder", root, "all", **PATTERNS)
    assert data.names == ("a0", "a1", "a2", "a3")
    np.testing.assert_array_equal(data.mask(0), stripes(0, 0, 0, 1, 255, 0, 0, 0))
    assert data.spec.names == ("sky", "car")
    assert data.spec.pixel_share == pytest.approx((6 / 7, 1 / 7))
    assert data.spec.groups == ("head", "middle")  # of two classes, head is from 20 % on
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("a3\na1\n")
    assert open_dataset("folder", root, "train", **PATTERNS).names == ("a3", "a1")
    layout = pattern_layout(root, **PATTERNS)
    assert layout.splits(root) == ("train",)
    assert resolve(root, **PATTERNS).verify().ok


def test_patterns_with_splits_and_subfolders(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("x/1", "y/1"):
            picture(tmp_path / split / "rgb" / f"{name}.png", 0)
            label(tmp_path / split / "ids" / f"{name}.png", stripes(0, 1))
    classes(tmp_path, [(0, "a", (0, 0, 0), 0), (1, "b", (1, 1, 1), 0)])
    options = {"images": "{split}/rgb/{name}.png", "masks": "{split}/ids/{name}.png"}
    data = open_dataset("folder", tmp_path, "val", **options)
    assert data.names == ("x/1", "y/1")
    assert all("val" in str(path) for pair in data.files for path in pair)
    with pytest.raises(DataError, match="no split 'vla' here; did you mean 'val'"):
        open_dataset("folder", tmp_path, "vla", **options)


@pytest.mark.parametrize(
    "pattern",
    [
        "imgs/x.png",
        "../{name}.png",
        "..\\{name}.png",
        "/{name}.png",
        "C:\\{name}",
        "{name}/{name}",
        "{nam}{name}",
    ],
)
def test_bad_patterns(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="a pattern is a relative path"):
        pattern_layout(folder(tmp_path), pattern, "gts/{name}_gt.png")
    with pytest.raises(ValueError, match="the same pattern"):
        pattern_layout(tmp_path, "./gts/{name}.png", "gts//{name}.png")


@pytest.mark.parametrize("before", ["./", ".//", ".\\", ""])
@pytest.mark.parametrize("between", ["/", "//", "\\"])
def test_patterns_as_shells_and_windows_write_them(tmp_path: Path, before: str, between: str) -> None:
    root = folder(tmp_path)
    patterns = {kind: before + pattern.replace("/", between) for kind, pattern in PATTERNS.items()}
    assert open_dataset("folder", root, "all", **patterns).names == ("a0", "a1", "a2", "a3")


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ("img/{name}_img.jpg", "gts/{name}_gt.png", "'img/.*there is no folder 'img'; did you mean 'imgs'"),
        ("imgs/{name}_img.jpg", "gt/{name}_gt.png", "'gt/.*there is no folder 'gt'; did you mean 'gts'"),
        ("imgs/{name}.png", "gts/{name}_gt.png", "'imgs/{name}.png': there is 'imgs/a0_img.jpg'"),
        ("imgs/{name}_img.jpg", "gts/{name}_mask.png", "'gts/{name}_mask.png': there is 'gts/a0_gt.png'"),
        ("empty/{name}.jpg", "gts/{name}_gt.png", "'empty/{name}.jpg': the folder is empty"),
    ],
)
def test_a_typo_in_one_pattern(tmp_path: Path, images: str, masks: str, message: str) -> None:
    root = folder(tmp_path)
    (root / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        open_dataset("folder", root, "all", images=images, masks=masks)


def test_image_and_mask_side_by_side(tmp_path: Path) -> None:
    """As Kaggle's brain scans are: what the mask pattern takes is no image; nor the other way round."""
    classes(tmp_path, [(0, "a", (0, 0, 0), 0), (1, "b", (1, 1, 1), 0)])
    for i in range(3):
        picture(tmp_path / "d" / f"p{i}.png", i)
        label(tmp_path / "d" / f"p{i}_mask.png", stripes(0, 1))
        picture(tmp_path / "e" / f"p{i}_rgb.png", i)
        label(tmp_path / "e" / f"p{i}.png", stripes(0, 1))
    for images, masks in (("d/{name}.png", "d/{name}_mask.png"), ("e/{name}_rgb.png", "e/{name}.png")):
        data = open_dataset("folder", tmp_path, "all", images=images, masks=masks)
        assert data.names == ("p0", "p1", "p2")
        assert data.mask(0).tolist() == stripes(0, 1).tolist()


def test_one_pattern_for_several_endings(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "imgs/a0_img.jpg").rename(root / "imgs/a0_img.JPG")
    picture(root / "imgs/a1_img.png", 1)
    (root / "imgs/a1_img.jpg").unlink()
    assert len(open_dataset("folder", root, "all", images="imgs/{name}_img.*", masks=PATTERNS["masks"])) == 4
    with pytest.raises(DataError, match=r"mask without image; a1_img\.png is there; .* write 'imgs/.*\.\*'"):
        open_dataset("folder", root, "all", **PATTERNS)
    (root / "splits").mkdir()
    (root / "splits/train.txt").write_text("a1\n")
    with pytest.raises(
        DataError, match=r"train\.txt: missing image of 'a1'; a1_img\.png is there; for images"
    ):
        open_dataset("folder", root, "train", **PATTERNS)
    (root / "splits/train.txt").unlink()
    picture(root / "imgs/a2_img.png", 1)
    with pytest.raises(DataError, match=r"a2_img\.\w+: a2_img\.\w+ is there too, and 'imgs/"):
        open_dataset("folder", root, "all", images="imgs/{name}_img.*", masks=PATTERNS["masks"])


def test_own_layout_by_name(tiny_camvid: Path) -> None:
    assert len(open_dataset("folder", tiny_camvid, "val")) == 2
    assert open_dataset("camvid", tiny_camvid, "val").spec == load_spec("camvid")


def test_wrong_names(tmp_path: Path) -> None:
    assert set(list_datasets()) == {"streets", "camvid", "folder", *WRITERS}
    for message, words in (
        ("did you mean 'cityscapes'", {"target": "cityscape"}),
        ("needs root", {"target": "folder"}),
        ("patterns for 'folder'", {"target": "folder", "root": tmp_path, "images": "{name}.png"}),
        ("patterns for 'folder'", {"target": "voc", "root": tmp_path, **PATTERNS}),
    ):
        with pytest.raises(ValueError, match=message):
            open_dataset(**words)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="did you mean 'ecssd'"):
        find_dataset("ecsd")
    with pytest.raises(ValueError, match="did you mean 'coco_stuff'"):
        load_spec("cocostuff")


def test_wrong_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no such folder"):
        open_dataset("voc", tmp_path / "gone")
    with pytest.raises(DataError, match="not in the layout of 'voc'; wanted: JPEGImages"):
        open_dataset("voc", tmp_path)
    root = WRITERS["ade20k"](tmp_path / "ade20k")
    with pytest.raises(DataError, match="'ade20k' has no split 'test' here; known: train, val"):
        open_dataset("ade20k", root, "test")
    monkeypatch.setenv("AUCSEG_ADE20K", str(root))
    assert len(open_dataset("ade20k")) == 2
    monkeypatch.delenv("AUCSEG_ADE20K")
    monkeypatch.setenv("AUCSEG_SHARED", str(tmp_path / "pack"))
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "home"))
    with pytest.raises(DataError, match="'ade20k' not found; looked at"):
        open_dataset("ade20k")
    shutil.copytree(root, tmp_path / "pack" / "data" / "ade20k")
    assert len(open_dataset("ade20k")) == 2


def test_an_incomplete_split_does_not_open(tmp_path: Path) -> None:
    root = WRITERS["ade20k"](tmp_path)
    for path in (root / "ADEChallengeData2016/annotations/training").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"image without mask \(and 1 more problems"):
        open_dataset("ade20k", root)


def test_ccp_pack_form(tmp_path: Path) -> None:
    """Split lists and PNG masks of the published values, with the class table of that form."""
    for split, name in (("train", "0001"), ("test", "0002")):
        picture(tmp_path / "images" / split / f"{name}.jpg", 0)
        label(tmp_path / "annotations" / split / f"{name}.png", stripes(0, 58, 255))
        (tmp_path / "splits").mkdir(exist_ok=True)
        (tmp_path / "splits" / f"{split}.txt").write_text(f"{name}\n")
    with (tmp_path / "classes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "name", "train_id", "present"], [0, "null", 0, 1]])
    found = detect(tmp_path)
    assert found is not None
    assert found.name == "ccp"
    np.testing.assert_array_equal(open_dataset("ccp", tmp_path, "test").mask(0), stripes(0, 54, 255))


def test_carla_in_colours_is_refused(tmp_path: Path) -> None:
    """Its palette's red is no tag: road would be class 128."""
    root = WRITERS["carla"](tmp_path / "carla")
    colours = np.full((HEIGHT, WIDTH, 3), (128, 64, 128), np.uint8)
    label(root / "CameraMask" / "F61-0.png", colours)
    with pytest.raises(DataError, match=r"F61-0\.png: colour \(128, 64, 128\) at row 0, column 0; .*red"):
        open_dataset("carla", root, "all")[0]


def test_carla_with_splits_and_gray_tags(tmp_path: Path) -> None:
    root = tmp_path / "frames"
    picture(root / "images" / "train" / "a.jpg", 0)
    label(root / "annotations" / "train" / "a.png", stripes(20, 1, 21))
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("a\n")
    assert detect(root) is None
    (root / "class_stats.csv").write_text("carla_tag,name\n1,Building\n")
    assert detect(root) is find_dataset("carla")
    np.testing.assert_array_equal(open_dataset(root)[0][1].numpy(), stripes(255, 0, 17))
