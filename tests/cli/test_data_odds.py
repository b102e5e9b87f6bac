"""``aucseg data odds`` and ``aucseg data tail`` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aucseg.catalog import resolve
from aucseg.longtail import count
from tests.command import Result, aucseg


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*words: object) -> Result:
    return aucseg("data", *words)


def test_odds_of_a_folder(tiny_camvid: Path) -> None:
    result = run("odds", tiny_camvid, "-b", 2, "--json", "--write")
    assert result.exit_code == 0, result.output
    assert (tiny_camvid / "mask_counts_train.npz").is_file()
    content = json.loads(result.stdout)
    assert content["images"] == 4
    everything = content["odds"][0]
    presence = count(resolve(tiny_camvid).masks("train")).presence
    assert presence is not None
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
        (["odds", "ade", "-b", "2"], "no data 'ade'; give a folder or one of streets, camvid, cityscapes, "),
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
