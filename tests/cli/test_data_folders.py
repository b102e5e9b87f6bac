"""A stranger's folder through every command: which split trains, what is written is read, names are data."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import resolve
from aucseg.data.classes import read_classes
from tests.command import Result, aucseg
from tests.data.layouts.test_layouts import PATTERNS, folder
from tests.data.layouts.writers import WRITERS
from tests.names import NAMES

COMMANDS = {
    "stats": ("data", "stats"),
    "tail": ("data", "tail", "--head", 0.97, "--tail", 0.96),
    "odds": ("data", "odds", "-b", 1),
    "bound": ("bound",),
}


def run(command: str, root: object, *words: object) -> Result:
    name, *rest = COMMANDS[command]
    data = [root] if name == "bound" else [*rest[:1], root, *rest[1:]]
    return aucseg(name, *data, *words, "--json")


@pytest.fixture
def two_splits(tiny_camvid: Path) -> Path:
    """A folder whose splits are called a and b."""
    for kind in ("images", "annotations"):
        (tiny_camvid / kind / "train").rename(tiny_camvid / kind / "b")
        (tiny_camvid / kind / "val").rename(tiny_camvid / kind / "a")
        shutil.rmtree(tiny_camvid / kind / "test")
    lists = tiny_camvid / "splits"
    (lists / "train.txt").rename(lists / "b.txt")
    (lists / "val.txt").rename(lists / "a.txt")
    (lists / "test.txt").unlink()
    return tiny_camvid


@pytest.mark.parametrize("command", COMMANDS)
def test_what_stats_writes_every_command_reads(command: str, two_splits: Path) -> None:
    """With splits of any name; which of them trains is asked for, before and after."""
    refused = run(command, two_splits)
    assert refused.exit_code == 1
    assert "no split is called 'train' among a, b; say which one trains, with --train-split" in refused.stderr
    before = run(command, two_splits, "--train-split", "b")
    assert before.exit_code == 0, before.output
    assert "split 'b', the one that trains" in before.stderr
    assert "split" not in run(command, two_splits, "--train-split", "b", "--split", "b").stderr
    written = aucseg("data", "stats", two_splits, "--train-split", "b", "--write")
    assert written.exit_code == 0, written.output
    assert run(command, two_splits).stderr == refused.stderr
    after = run(command, two_splits, "--train-split", "b")
    assert after.exit_code == 0, after.output
    assert after.stdout == before.stdout
    assert aucseg("data", "verify", two_splits, "--json").exit_code == 0
    assert aucseg("data", "prepare", two_splits, "--dest", two_splits.parent / "out").exit_code == 0
    prepared = run(command, two_splits.parent / "out", "--train-split", "b")
    assert prepared.exit_code == 0, prepared.output
    one, other = (json.loads(result.stdout) for result in (before, prepared))
    for content in (one, other):  # how it is called is all that may differ
        content.pop("root", None), content.pop("name", None)
    assert one == other


@pytest.mark.parametrize("command", COMMANDS)
def test_a_split_of_another_name_is_said(command: str, tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    words = ("--images", PATTERNS["images"], "--masks", PATTERNS["masks"])
    found = run(command, root, *words)
    assert found.exit_code == 0, found.output
    assert "split 'all', the one that trains; --split for another" in found.stderr
    salient = run(command, WRITERS["ecssd"](tmp_path / "ecssd"))
    assert salient.exit_code == 0, salient.output
    told = salient.stderr.splitlines()
    assert told[0].endswith("is taken for ecssd, by the names of its folders; --as says otherwise")
    assert told[1].startswith("split 'all'")
    if command != "stats":
        assert json.loads(salient.stdout)["name"] == "ecssd"
    root = (tmp_path / "ecssd").rename(tmp_path / "some")
    assert json.loads(run(command, root, "--as", "folder", *words).stdout or "{}") == {}
    assert "taken" not in run(command, root, "--as", "ecssd").stderr


def test_one_rule_for_head_and_tail(tiny_camvid: Path) -> None:
    """Stats, tail and a training give one answer, and say where it is from."""
    for target in (tiny_camvid, "cityscapes"):
        if target == "cityscapes":
            tail = json.loads(aucseg("data", "tail", target, "--json").stdout)
            assert tail["source"] == "AUCSeg, Table 8"
            continue
        stats = json.loads(run("stats", target).stdout)
        tail = json.loads(aucseg("data", "tail", target, "--json").stdout)
        assert tail["source"] == stats["groups_by"] == "pixel shares of train, tail < 0.909 %, head >= 3.64 %"
        assert [c["group"] for c in tail["classes"]] == [c["group"] for c in stats["classes"]]
        assert resolve(target).open("val").spec.groups == tuple(c["group"] for c in tail["classes"])
        assert "groups: pixel shares of train" in aucseg("data", "stats", target).stdout
        # another split is counted, and the tail stays that of the one that trains
        val = json.loads(aucseg("data", "tail", target, "--split", "val", "--json").stdout)
        assert val["classes"] == tail["classes"]


def test_no_tail(tmp_path: Path) -> None:
    root = WRITERS["ecssd"](tmp_path / "ecssd")
    result = aucseg("data", "tail", root)
    assert result.exit_code == 1
    assert "no class is tail by the label set of ecssd; the rarest is" in result.stderr
    assert "give a threshold with --head and --tail" in result.stderr


@pytest.mark.parametrize("command", ["tail", "odds", "bound"])
def test_a_split_without_statistics_says_why(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AUCSEG_HOME", "AUCSEG_SHARED", "AUCSEG_CITYSCAPES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    result = run(command, "cityscapes", "--split", "val")
    assert result.exit_code == 1
    assert "the package has statistics of 'train' alone, and for 'val': data set 'cityscapes' not found" in (
        result.stderr
    )
    result = run(command, "folder")
    assert result.exit_code == 1
    assert "give that folder in place of the name" in result.stderr


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose names of classes, splits and of itself are markup somewhere."""
    root = tmp_path / "[bold]set"
    for split in ("train", "[blue]val"):
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for i in range(2):
            mask = np.arange(len(NAMES), dtype=np.uint8).repeat(16).reshape(-1, 8)
            Image.fromarray(mask).save(root / "annotations" / split / f"{i}.png")
            Image.fromarray(np.full((2 * len(NAMES), 8, 3), 9 * i + len(split), np.uint8)).save(
                root / "images" / split / f"{i}.png"
            )
        (root / "splits").mkdir(exist_ok=True)
        (root / "splits" / f"{split}.txt").write_text("0\n1\n")
    lines = [f'{i},"{name}",0\n' for i, name in enumerate(NAMES)]
    (root / "classes.csv").write_text("id,name,ignore\n" + "".join(lines))
    return root


@pytest.mark.parametrize("columns", ["80", "200"])
def test_names_are_printed_as_they_are(hostile: Path, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    commands = [
        ("data", "stats", hostile),
        ("data", "stats", hostile, "--regions"),
        ("data", "tail", hostile, "--head", 0.5, "--tail", 0.4),
        ("data", "odds", hostile, "-b", 1),
        ("data", "verify", hostile),
        ("bound", hostile),
    ]
    for words in commands:
        result = aucseg(*words)
        assert result.exit_code == 0, result.output
        if "stats" in words or "tail" in words:
            for name in NAMES:
                assert name in result.stdout, (words, name)
        # a path breaks where the line ends, and the rest of a title is centred
        assert "[bold]set" in re.sub(r"\s", "", result.stdout)
    assert "[blue]val" in aucseg("data", "verify", hostile).stdout


def test_names_in_messages_are_as_they_are(hostile: Path) -> None:
    for path in (hostile / "annotations/train").iterdir():
        Image.fromarray(np.zeros((2 * len(NAMES), 8), np.uint8)).save(path)
    shown = aucseg("data", "verify", hostile).stdout
    assert all(repr(name) in shown for name in NAMES[1:6])  # and others
    assert "left out, in no image: [red]" not in shown
    for path in (hostile / "annotations/train").iterdir():
        Image.fromarray(np.tile(np.arange(1, 5, dtype=np.uint8), (2 * len(NAMES), 2))).save(path)
    assert "left out, in no image: [red]" in aucseg("data", "odds", hostile, "-b", 1).stdout


def test_a_name_that_would_act_on_the_terminal_is_refused(hostile: Path) -> None:
    for name in ("a\x1b[31m", "a\tb", "a\u202eb"):
        (hostile / "classes.csv").write_text(f'id,name,ignore\n0,ok,0\n1,"{name}",0\n', encoding="utf-8")
        result = aucseg("data", "stats", hostile)
        assert result.exit_code == 1
        assert "characters that cannot be printed" in result.stderr
        assert name not in result.stderr


@pytest.mark.parametrize("regions", [False, True])
def test_tables_keep_their_classes_at_80_columns(
    tiny_camvid: Path, regions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = (tiny_camvid / "classes.csv").read_text()
    long = "left front leg of the large brown animal"
    (tiny_camvid / "classes.csv").write_text(text.replace("Bicyclist", long))
    stats = aucseg("data", "stats", tiny_camvid, *(["--regions"] if regions else []))
    tail = aucseg("data", "tail", tiny_camvid)
    for shown in (stats.stdout, tail.stdout):
        lines = shown.splitlines()
        assert "…" not in shown
        for row in read_classes(tiny_camvid).classes[:-1]:
            assert any(row.name in line.split() for line in lines), row.name
        assert long[:28] in shown
        assert long[28:] in shown
    sentences = ("groups:", "pixels:", "images:", "connected regions:")
    assert max(len(line) for line in stats.stdout.splitlines() if not line.startswith(sentences)) <= 80
