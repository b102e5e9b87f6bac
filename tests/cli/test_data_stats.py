"""``aucseg data stats``: regions, all splits at once, files, errors, a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import entry, open_dataset, resolve
from aucseg.longtail import Tally, count
from tests.command import Result, aucseg
from tests.data.layouts.writers import EXPECTED, HEIGHT, WIDTH, WRITERS


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*words: object) -> Result:
    return aucseg("data", "stats", *words)


def test_regions_and_factors(tiny_camvid: Path) -> None:
    counts = count(resolve(tiny_camvid).masks("train"), regions=True)
    found = json.loads(run(tiny_camvid, "--regions", "--json").stdout)
    assert [c["regions"] for c in found["classes"]] == counts.regions.tolist()
    assert [c["images"] for c in found["classes"]] == counts.images.tolist()
    assert [f["unit"] for f in found["imbalance_factors"]] == ["pixels", "images", "connected regions"]
    assert found["imbalance"] == pytest.approx(counts.pixels.max() / counts.pixels.min())
    shown = run(tiny_camvid, "--regions").stdout
    assert "region " in shown
    assert "Gini index" in shown
    assert "…" not in shown
    assert "regions" not in json.loads(run(tiny_camvid, "--json").stdout)["classes"][0]


def test_all_splits_at_once(tiny_camvid: Path) -> None:
    parts = [count(resolve(tiny_camvid).masks(split)) for split in ("train", "val", "test")]
    found = json.loads(run(tiny_camvid, "--split", "all", "--json").stdout)
    assert found["images"] == 8
    assert [c["pixels"] for c in found["classes"]] == sum(p.pixels for p in parts).tolist()
    # the groups are still those of the training masks
    assert tuple(c["group"] for c in found["classes"]) == resolve(tiny_camvid).spec.groups


def test_groups_are_those_of_a_training(tiny_camvid: Path) -> None:
    expected = resolve(tiny_camvid).spec.groups
    for split in ("train", "val"):
        found = json.loads(run(tiny_camvid, "--split", split, "--json").stdout)
        assert tuple(c["group"] for c in found["classes"]) == expected


def test_class_without_a_pixel(tiny_camvid: Path) -> None:
    for path in (tiny_camvid / "annotations/train").glob("*.png"):
        mask = np.array(Image.open(path))
        mask[mask == 10] = 3
        Image.fromarray(mask).save(path)
    found = json.loads(run(tiny_camvid, "--json").stdout)
    assert found["imbalance"] is None
    assert found["classes"][10]["pixels_where_present"] is None
    assert "Bicyclist has none, so the ratio" in run(tiny_camvid).stdout


def test_written_counts_come_back(tiny_camvid: Path) -> None:
    result = run(tiny_camvid, "--write")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("wrote") == 4
    expected = count(resolve(tiny_camvid).masks("val"))
    assert Tally.load(tiny_camvid / "mask_counts_val.npz", expected.spec).same(expected)


def test_partial_results_of_many_masks(tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUCSEG_HOME", str(tiny_camvid))
    monkeypatch.setattr(entry, "MANY_MASKS", 4)
    (tiny_camvid / "annotations/train/train_001.png").write_bytes(b"x")
    assert run(tiny_camvid).exit_code == 1
    assert (tiny_camvid / "runs/scans").is_dir()
    elsewhere = tiny_camvid / "elsewhere"
    assert run(tiny_camvid, "--partial", elsewhere).exit_code == 1
    assert len(list(elsewhere.iterdir())) == 1


def test_all_bad_masks_are_named(tiny_camvid: Path) -> None:
    for name in ("train_001", "train_003"):
        (tiny_camvid / f"annotations/train/{name}.png").write_bytes(b"x")
    (tiny_camvid / "annotations/train/train_002.png").unlink()
    result = run(tiny_camvid)
    assert result.exit_code == 1
    assert "train_002.png: missing mask; add it or take 'train_002' out of splits/train.txt" in result.stderr
    assert "3 of 4 masks could not be counted" in result.stderr
    assert "train_001.png: unreadable mask" in result.stderr
    assert "train_003.png: unreadable mask" in result.stderr


def test_a_split_that_is_not_there(tiny_camvid: Path) -> None:
    for words in (["--write"], []):
        result = run(tiny_camvid, "--split", "tests", *words)
        assert result.exit_code == 1
        assert "no such split file; splits found: train, val, test" in result.stderr
    assert not list(tiny_camvid.glob("mask_counts_*"))


def test_no_scheduler_there(tiny_camvid: Path) -> None:
    result = run(tiny_camvid, "--scheduler", "nowhere")
    assert result.exit_code == 1
    assert "error: no Dask scheduler at 'nowhere'" in result.stderr


@pytest.mark.parametrize("name", WRITERS)
def test_published_layouts(tmp_path: Path, name: str) -> None:
    root = WRITERS[name](tmp_path / name)
    split, images, columns = EXPECTED[name]
    dataset = open_dataset(name, root, split)
    counts = count(dataset)
    assert counts.same(resolve(name, root).count(split))
    # by its path, where the folder's own name tells sets apart that look alike
    found = json.loads(run(root, "--split", split, "--json").stdout)
    assert [c["name"] for c in found["classes"]] == list(dataset.spec.names)
    assert [c["pixels"] for c in found["classes"]] == counts.pixels.tolist()
    assert [c["images"] for c in found["classes"]] == counts.images.tolist()
    assert (found["images"], found["void_pixels"]) == (images, counts.void)
    # by hand: each column of a mask is as wide as the others, and the last one takes what is left
    width = -(-WIDTH // len(columns))
    expected = np.bincount(np.repeat(columns, width)[:WIDTH], minlength=256) * HEIGHT * images
    assert counts.pixels.tolist() == expected[: len(counts.pixels)].tolist()
    assert counts.void == expected[255]


def test_published_layouts_keep_no_counts(tmp_path: Path) -> None:
    result = run(WRITERS["ade20k"](tmp_path / "ade20k"), "--write")
    assert result.exit_code == 1
    assert "error: 'ade20k' keeps no counts; see `aucseg data prepare`" in result.stderr


def test_own_names_of_files(tiny_camvid: Path) -> None:
    """A folder that is not in the package's layout is counted by patterns, with the same groups."""
    expected = json.loads(run(tiny_camvid, "--split", "val", "--json").stdout)
    (tiny_camvid / "images").rename(tiny_camvid / "imgs")
    (tiny_camvid / "annotations").rename(tiny_camvid / "gts")
    where = ("--images", "imgs/{split}/{name}.jpg", "--masks", "gts/{split}/{name}.png")
    found = json.loads(run(tiny_camvid, *where, "--split", "val", "--json").stdout)
    assert found == expected
    result = run(tiny_camvid, *where, "--write")
    assert result.exit_code == 1
    assert "'folder' keeps no counts" in result.stderr
    result = run(tiny_camvid, "--images", "imgs/{name}.jpg")
    assert result.exit_code == 1
    assert "images and masks are patterns for 'folder', given both or not at all" in result.stderr
    assert run(tiny_camvid, "--as", "ade20k").exit_code == 1
