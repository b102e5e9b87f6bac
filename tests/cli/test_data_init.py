"""``aucseg data init``: what it says and writes, and that the other commands take the folder then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Command
from tests.data.init.test_folder import ids, many
from tests.data.layouts.writers import stripes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty images with masks of three classes, one of them with a name that would be markup, and void."""

    def mask(i: int) -> np.ndarray:
        return stripes(0, 1, 1 + i % 2, 255)

    root = many(tmp_path / "mine", "imgs/%.jpg", "gt/%.png", mask, number=30)
    (root / "classes.txt").write_text("sky\n[red]car\nroad\n")
    return root


def test_from_a_folder_to_numbers(run: Command, folder: Path) -> None:
    code, told, errors = run("data", "init", folder)
    assert (code, errors) == (0, "")
    assert "30 images with masks" in told
    assert "[red]car" in told
    assert "names:  from classes.txt" in told
    assert "255 is void: 255 beside ids up to 2" in told
    assert "splits: train 21, val 3, test 6" in told
    for command in ("verify", "stats"):
        code, _, errors = run("data", command, folder)
        assert (code, errors) == (0, "")
    code, told, _ = run("data", "verify", folder, "--json")
    assert json.loads(told)["splits"] == {"train": 21, "val": 3, "test": 6}
    code, _, errors = run("data", "init", folder)
    assert code == 1
    assert "lacks nothing: classes.csv" in errors


def test_print_and_json_write_nothing_else(run: Command, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, told, _ = run("data", "init", folder, "--print", "--val", 0.5, "--test", 0, "--names", "a,b,c")
    assert code == 0
    assert sorted(folder.rglob("*")) == before
    assert "--- classes.csv\nid,name,r,g,b,ignore\n0,a," in told
    assert "--- splits/val.txt\n" in told
    assert "--- aucseg.yaml\n" in told
    code, told, _ = run("data", "init", folder, "--json", "--seed", 3)
    report = json.loads(told)
    assert code == 0
    assert [value["name"] for value in report["values"]] == ["sky", "[red]car", "road", "void"]
    assert sum(value["share"] for value in report["values"]) == pytest.approx(1)
    assert report["splits"] == {"train": 21, "val": 3, "test": 6}
    assert {Path(path).name for path in report["written"]} >= {"classes.csv", "aucseg.yaml"}


def test_patterns(run: Command, tmp_path: Path) -> None:
    for folder in ("labels", "annotations"):
        many(tmp_path, "images/%.jpg", f"{folder}/%.png", ids, number=10)
    code, _, errors = run("data", "init", tmp_path)
    assert code == 1
    images, masks = "images/{name}.jpg", "labels/{name}.png"
    assert f"--images '{images}' --masks '{masks}'" in errors
    code, told, _ = run("data", "init", tmp_path, "--images", images, "--masks", masks)
    assert code == 0
    assert "10 images with masks" in told
    assert run("data", "verify", tmp_path)[0] == 0


def test_a_folder_without_a_table_is_told_of_init(run: Command, tmp_path: Path) -> None:
    """Once, with all that it lacks, and what kinds of folders there are."""
    many(tmp_path, "a/%.jpg", "b/%.png", ids, number=3)
    for command in (["verify"], ["stats"], ["tail"], ["odds", "-b", 4]):
        code, _, errors = run("data", command[0], tmp_path, *command[1:])
        assert code == 1
        assert errors.count("error:") == 1
        assert f"no classes.csv and no list of a split; `aucseg data init {tmp_path}`" in errors
        assert "COCO and LabelMe JSON" in errors
