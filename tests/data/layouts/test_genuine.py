"""Genuine files of the published sets, where the shared pack is there."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import DATASETS, detect, open_dataset, resolve
from aucseg.data.spec import load_spec
from aucseg.longtail import auto_partition, count
from tests.data.layouts.test_layouts import PATTERNS
from tests.data.layouts.writers import LAYOUTS, classes


@pytest.fixture
def fixtures(shared_pack: Path) -> Path:
    place = shared_pack / "data" / "format_fixtures"
    if not place.is_dir():
        pytest.skip(f"the shared pack has no format fixtures at {place}")
    return place


def pack(shared_pack: Path, name: str) -> Path:
    place = shared_pack / "data" / name
    if not place.is_dir():
        pytest.skip(f"the shared pack has no {name} at {place}")
    return place


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cityscapes(fixtures: Path) -> None:
    root = fixtures / "cityscapes"
    data = open_dataset("cityscapes", root, "val")
    assert data.names == ("frankfurt/frankfurt_000000_000294",)
    image, mask = data[0]
    assert image.shape == (3, 128, 256)
    converted = np.array(Image.open(str(data.files[0][1]).replace("labelIds", "labelTrainIds")))
    # The two files of the frame were scaled down each by itself: about 80 pixels at borders differ.
    assert (np.asarray(mask) != converted).sum() < 100
    lookup = LAYOUTS["cityscapes"].lookup
    for row in rows(root / "labels.csv"):
        if int(row["id"]) >= 0:
            assert lookup[int(row["id"])] == int(row["trainId"])
            if int(row["trainId"]) < 255:
                train_id = int(row["trainId"])
                assert load_spec("cityscapes").names[train_id] == row["name"]
                assert load_spec("cityscapes").colors[train_id] == tuple(int(row[c]) for c in "rgb")
    assert resolve(root).verify().ok


def test_coco_stuff(fixtures: Path) -> None:
    root = fixtures / "cocostuff"
    lookup, spec = LAYOUTS["coco_stuff"].lookup, load_spec("coco_stuff")
    for row in rows(root / "labels.csv"):
        value, train_id = int(row["png_value"]), row["train_id"]
        if train_id in ("", "255", "-1"):
            assert lookup[value] == -1
        else:
            assert lookup[value] == int(train_id)
            assert spec.names[int(train_id)] == row["train_name"]
    for split, number in (("train", 9), ("val", 7)):
        data = open_dataset("coco_stuff", root, split)
        assert len(data) == number
        for index, (_, path) in enumerate(data.files):
            converted = np.array(Image.open(path.with_name(f"{path.stem}_labelTrainIds.png")))
            np.testing.assert_array_equal(data.mask(index), converted)
    assert resolve(root).verify().ok


def test_ade20k(fixtures: Path) -> None:
    root = fixtures / "ade20k"
    data = open_dataset("ade20k", root, "val")
    assert len(data) == 33
    for index in range(0, 33, 8):
        raw = np.array(Image.open(data.files[index][1])).astype(int)
        np.testing.assert_array_equal(data.mask(index), np.where(raw == 0, 255, raw - 1))
    counts = count(data)
    assert (counts.pixels > 0).sum() == 87
    report = resolve(root).verify()
    assert report.ok
    assert report.pixels["val"].tolist() == counts.pixels.tolist()
    names = [r["Name"].split(";")[0].strip() for r in rows(root / "ADEChallengeData2016/objectInfo150.csv")]
    ours = load_spec("ade20k").names
    assert len(names) == len(ours) == 150
    # The list of names has synonyms, of which later programs chose others for some classes.
    assert sum(a == b for a, b in zip(names, ours, strict=True)) > 130


def test_generic_folder(fixtures: Path, tmp_path: Path) -> None:
    root = tmp_path / "generic"
    source = fixtures / "generic_folder"
    for path in source.rglob("*.*"):
        if path.suffix in (".png", ".jpg", ".txt"):
            target = root / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    classes(root, [(i, f"class {i}", (i, i, i), 0) for i in range(7)])
    data = open_dataset("folder", root, "train", **PATTERNS)
    assert len(data) == 4
    # palette files: the indices are the labels, whatever their colours
    with Image.open(data.files[0][1]) as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(data.mask(0), np.array(picture))
    assert len(open_dataset("folder", root, "val", **PATTERNS)) == 1


def test_clothing(shared_pack: Path) -> None:
    root = pack(shared_pack, "ccp")
    assert [len(open_dataset("ccp", root, s)) for s in ("train", "val", "test")] == [704, 100, 200]
    table = rows(root / "classes.csv")
    lookup, spec = LAYOUTS["ccp"].lookup, load_spec("ccp")
    assert [int(r["train_id"]) for r in table] == lookup[:59].tolist()
    assert spec.names == tuple(r["name"] for r in table if r["present"] == "1")
    kept = [r for r in rows(root / "class_stats.csv") if lookup[int(r["id"])] != 255]
    pixels = np.array([int(r["orig_pixels"]) for r in kept])
    assert spec.pixel_share == pytest.approx(pixels / pixels.sum(), abs=1e-9)
    assert spec.image_share == pytest.approx([int(r["orig_images"]) / 1004 for r in kept], abs=1e-6)
    # counted there by another program
    val = count(open_dataset("ccp", root, "val"))
    assert val.pixels.tolist() == [int(r["val_pixels"]) for r in kept]
    assert val.images.tolist() == [int(r["val_images"]) for r in kept]


def test_salient(shared_pack: Path) -> None:
    root = pack(shared_pack, "ecssd")
    assert detect(root) is DATASETS["ecssd"]
    data = open_dataset("ecssd", root, "test200_seed0")
    known = {r["name"]: float(r["salient_fraction"]) for r in rows(root / "image_stats.csv")}
    for index in range(0, 200, 20):
        assert float((data.mask(index) == 1).float().mean()) == pytest.approx(
            known[data.names[index]], abs=1e-5
        )
    assert len(open_dataset("ecssd", root, "all")) == 1000


def test_carla(shared_pack: Path) -> None:
    """Every class in its place: pixels and images of each tag as the pack counted them."""
    root = pack(shared_pack, "carla")
    assert detect(root) is DATASETS["carla"]
    located = resolve(root)
    assert located.splits == ("train", "val", "test")
    names = located.spec.names
    tallies = {split: count(located.masks(split)) for split in ("val", "test")}
    for row in rows(root / "class_stats.csv"):
        for split, tally in tallies.items():
            if row["name"] in names:
                k = names.index(row["name"])
                assert tally.pixels[k] == int(row[f"{split}_pixels"])
                assert tally.images[k] == int(row[f"{split}_images"])
    kept = [row for row in rows(root / "class_stats.csv") if row["name"] in names]
    pixels = np.array([int(row["train_pixels"]) for row in kept])
    assert located.spec.pixel_share == pytest.approx(pixels / pixels.sum(), abs=1e-9)
    assert located.spec.image_share == pytest.approx([int(r["train_images"]) / 595 for r in kept], abs=1e-6)
    assert located.spec.groups == auto_partition(located.spec.pixel_share).groups
    void = {"Unlabeled", "Other", "Static", "Dynamic"}
    assert {row["name"] for row in rows(root / "class_stats.csv")} == {*names, *void}
