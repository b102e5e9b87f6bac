"""The presence matrix of a folder: counted once, kept, and counted anew when a mask changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.data.classes import read_classes
from aucseg.errors import DataError
from aucseg.longtail import label_counts as counting
from aucseg.longtail import presence as module
from aucseg.longtail.label_counts import count_labels
from aucseg.longtail.presence import load_counts, presence_file, read_count_table, write_presence
from tests.command import Result, aucseg


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*words: object) -> Result:
    return aucseg("data", *words)


def test_kept_counts_are_read_until_a_mask_changes(
    tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_classes(tiny_camvid)
    fresh = load_counts(tiny_camvid, "train", table)
    write_presence(tiny_camvid, "train", table, fresh)
    calls = []

    def count(*args: object, **options: object) -> counting.LabelCounts:
        calls.append(args)
        return count_labels(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "count_labels", count)
    kept = load_counts(tiny_camvid, "train", table)
    assert not calls
    assert np.array_equal(kept.presence, fresh.presence)
    assert kept.pixels.tolist() == fresh.pixels.tolist()
    assert kept.void == fresh.void
    path = tiny_camvid / "annotations/train/train_000.png"
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(path)
    changed = load_counts(tiny_camvid, "train", table)
    assert len(calls) == 1
    assert changed.presence[0].tolist() == [True] + [False] * 10


def test_broken_file_says_so(tiny_camvid: Path) -> None:
    presence_file(tiny_camvid, "train").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"not a presence file.*delete it"):
        load_counts(tiny_camvid, "train", read_classes(tiny_camvid))


def test_count_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,c0,c1,c2\na,3,0,1\nb,2,0,0\n")
    counts = read_count_table(path, 3)
    assert counts.pixels.tolist() == [5, 0, 1]
    assert counts.presence.tolist() == [[True, False, True], [True, False, False]]
    for text, message in (("file,c0\na,-1\n", "line 2"), ("file,c0\na,1,2\n", "line 2"), ("f\n", "no image")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_count_table(path, 1)
    with pytest.raises(DataError, match="no such file"):
        read_count_table(tmp_path / "none.csv", 1)


def test_odds_of_a_folder(tiny_camvid: Path) -> None:
    result = run("odds", tiny_camvid, "-b", 2, "--json", "--write")
    assert result.exit_code == 0, result.output
    assert presence_file(tiny_camvid, "train").is_file()
    content = json.loads(result.stdout)
    assert content["images"] == 4
    everything = content["odds"][0]
    table = read_classes(tiny_camvid)
    presence = count_labels(tiny_camvid, "train", table).presence
    pairs = [(i, j) for i in range(4) for j in range(i)]
    held = presence[:, presence.any(0)]
    wanted = np.mean([(held[i] | held[j]).all() for i, j in pairs])
    assert everything["all_present"]["value"] == pytest.approx(wanted)
    assert json.loads(run("odds", tiny_camvid, "-b", 2, "--json").stdout) == content


def test_odds_of_shipped_statistics() -> None:
    result = run("odds", "cityscapes", "-b", 8, "-b", 752, "--sample-ratio", 1)
    assert result.exit_code == 0, result.output
    assert "cityscapes: 2975 images, 19 classes, 7 tail" in result.stdout
    assert "bank: a full one" in result.stdout
    rows = json.loads(run("odds", "ade20k", "-b", 4, "--json").stdout)["odds"]
    assert [(r["group"], len(r["classes"])) for r in rows] == [("all", 150), ("tail", 124)]
    assert "independent" in run("odds", "ade20k", "-b", 4).stdout


def test_odds_of_a_count_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    header = ",".join(f"c{k}" for k in range(19))
    path.write_text(f"file,{header}\n" + "".join(f"{i}," + ",".join("1" * 18) + f",{i}\n" for i in range(4)))
    rows = json.loads(run("odds", "cityscapes", "-b", 1, "--table", path, "--json").stdout)["odds"]
    assert rows[0]["all_present"]["value"] == pytest.approx(0.75)


def test_tail(tiny_camvid: Path) -> None:
    result = run("tail", "coco_stuff")
    assert result.exit_code == 0, result.output
    assert "Table 10 has it as tail" in result.stdout
    assert "S_M = 5" in result.stdout
    rule = json.loads(run("tail", "coco_stuff", "--auto", "--json").stdout)
    assert rule["source"] == "pixel shares, tail < 0.5 %, head >= 2 %"
    assert sum(c["group"] == "tail" for c in rule["classes"]) == 124
    own = run("tail", tiny_camvid, "--tail", 0.05, "--budget-mib", 1000)
    assert own.exit_code == 0, own.output
    assert "is below 5 %, so it is tail" in own.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["odds", "ade", "-b", "2"], "no data 'ade'; give a folder or one of cityscapes, ade20k"),
        (["odds", "cityscapes", "-b", "3000"], "batch_size must be from 1 to the 2975 images, got 3000"),
        (["odds", "cityscapes", "-b", "2", "--sample-ratio", "1", "--scope", "x"], "scope must be one of"),
        (["odds", "streets", "-b", "2", "--table", "t.csv"], "no statistics of 'streets' come along"),
        (["tail", "cityscapes", "--tail", "0.0001"], "there is no tail"),
    ],
)
def test_errors_are_one_line(words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
