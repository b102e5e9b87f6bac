"""``aucseg data``: what is printed, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aucseg.data.classes import read_classes, read_pixel_share
from tests.command import Result, aucseg
from tests.data.layouts.test_layouts import PATTERNS, folder
from tests.data.layouts.writers import WRITERS


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*words: object) -> Result:
    return aucseg("data", *words)


def test_list(tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUCSEG_CAMVID", str(tiny_camvid))
    result = run("list")
    assert result.exit_code == 0
    assert "CC BY-NC 4.0" in result.stdout
    rows = json.loads(run("list", "--json").stdout)
    assert rows[0]["name"] == "camvid"
    assert rows[0]["at"] == str(tiny_camvid)
    monkeypatch.setenv("AUCSEG_CAMVID", str(tiny_camvid / "no"))
    assert "nowhere: aucseg data get camvid" in run("list").stdout


def test_verify_clean_and_by_name(tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("verify", tiny_camvid)
    assert result.exit_code == 0, result.output
    assert "8 items: no problems" in result.stdout
    monkeypatch.chdir(tiny_camvid)
    monkeypatch.setenv("AUCSEG_CAMVID", str(tiny_camvid))
    assert "8 images of 96x64 (width x height)" in run("verify", "camvid", "--workers", "1").stdout
    assert json.loads(run("verify", tiny_camvid, "--split", "val", "--json").stdout)["splits"] == {"val": 2}


def test_verify_prints_all_problems(tiny_camvid: Path) -> None:
    (tiny_camvid / "images/train/train_000.jpg").unlink()
    (tiny_camvid / "annotations/val/val_001.png").write_bytes(b"")
    result = run("verify", tiny_camvid)
    assert result.exit_code == 1
    assert "train_000.jpg: missing image" in result.stdout
    assert "val_001.png: unreadable mask" in result.stdout
    assert "8 items: 2 problems" in result.stdout
    assert result.stdout.count("remedy:") == 2
    report = json.loads(run("verify", tiny_camvid, "--json").stdout)
    assert not report["ok"]
    assert len(report["problems"]) == 2


def test_stats(tiny_camvid: Path) -> None:
    result = run("stats", tiny_camvid)
    assert result.exit_code == 0, result.output
    assert "Bicyclist" in result.stdout
    assert "most to least frequent class" in result.stdout
    numbers = json.loads(run("stats", tiny_camvid, "--split", "val", "--json").stdout)
    assert numbers["images"] == 2
    assert sum(c["pixel_share"] for c in numbers["classes"]) == pytest.approx(1)
    assert sum(g["pixel_share"] for g in numbers["groups"]) == pytest.approx(1)
    tail = [c for c in numbers["classes"] if c["group"] == "tail"]
    group = next(g for g in numbers["groups"] if g["group"] == "tail")
    assert group["classes"] == len(tail)
    assert group["pixels"] == sum(c["pixels"] for c in tail)
    # an image counts once for the group, however many of its classes it holds
    assert max(c["image_share"] for c in tail) <= group["image_share"] <= 1


def test_stats_writes_class_stats(tiny_camvid: Path) -> None:
    shares = [c["pixel_share"] for c in json.loads(run("stats", tiny_camvid, "--json").stdout)["classes"]]
    result = run("stats", tiny_camvid, "--write", "--json")
    assert result.exit_code == 0
    assert "wrote" in result.stderr
    json.loads(result.stdout)
    written = read_pixel_share(tiny_camvid, read_classes(tiny_camvid))
    assert written == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["verify", "nowhere"], 1, "error: no data 'nowhere'; give a folder or one of streets, camvid"),
        (["stats", "no/where"], 1, "error: no/where: no such folder; check the path"),
        (["get", "imagenet"], 1, "error: no data set 'imagenet' to get; known: camvid"),
        (["get", "camvid", "--dest", "d", "--url", "gone.tar.gz"], 1, "gone.tar.gz: no such archive"),
        (["verify"], 2, "Missing argument 'PATH'"),
        (["verify", "x", "--workers", "0"], 2, "Invalid value for '--workers'"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    if code == 1:
        assert len(result.stderr.strip().splitlines()) == 1


def test_stats_of_an_unreadable_mask(tiny_camvid: Path) -> None:
    (tiny_camvid / "annotations/train/train_001.png").write_bytes(b"x")
    result = run("stats", tiny_camvid)
    assert result.exit_code == 1
    assert "train_001.png: unreadable mask" in result.stderr


def test_get_on_what_is_there(camvid_pack: Path) -> None:
    result = run("get", "camvid", "--dest", camvid_pack)
    assert result.exit_code == 0, result.output
    assert "research use only" in result.stdout
    assert "is complete and checked" in result.stdout


def test_list_names_every_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = WRITERS["voc"](tmp_path / "voc")
    monkeypatch.setenv("AUCSEG_VOC", str(root))
    rows = {r["name"]: r for r in json.loads(run("list", "--json").stdout)}
    assert set(rows) == {"camvid", *WRITERS}
    assert rows["voc"]["at"] == str(root)
    assert rows["voc"]["classes"] == 21
    assert {n for n, r in rows.items() if r["automatic"]} == {"camvid", "voc", "ade20k"}
    assert all(r["terms"] for r in rows.values())


@pytest.mark.parametrize(
    "name", ["cityscapes", "coco_stuff", "coco_stuff_10k", "ccp", "ecssd", "hku_is", "pascal_s"]
)
def test_get_by_hand_says_how(name: str, tmp_path: Path) -> None:
    result = run("get", name, "--dest", tmp_path / "place")
    assert result.exit_code == 2
    assert str(tmp_path / "place") in result.stdout
    assert "http" in result.stdout
    assert not (tmp_path / "place").exists()


def test_get_suggests_the_nearest_name() -> None:
    result = run("get", "cityscape")
    assert result.exit_code == 1
    assert "did you mean 'cityscapes'" in result.stderr


def test_prepare_then_verify(tmp_path: Path) -> None:
    root = WRITERS["coco_stuff"](tmp_path / "raw")
    result = run("prepare", "coco_stuff", root, "--dest", tmp_path / "out", "--size", 6, 8)
    assert result.exit_code == 0, result.output
    assert "train: 2 items written, 0 were there" in result.stdout
    assert "6 items" not in result.stdout
    report = json.loads(run("verify", tmp_path / "out", "--json").stdout)
    assert report["ok"]
    assert report["sizes"] == {"6x8": 3}
    assert json.loads(
        run("prepare", "coco_stuff", root, "--dest", tmp_path / "out", "--size", 6, 8, "--json").stdout
    )["kept"] == {"train": 2, "val": 1}
    (root / "annotations/val2017/000000000002.png").write_bytes(b"")
    result = run("prepare", "coco_stuff", root, "--dest", tmp_path / "other")
    assert result.exit_code == 1
    assert "000000000002.png: unreadable mask" in result.stderr
    result = run("verify", root)
    assert result.exit_code == 1
    assert "000000000002.png: unreadable mask" in result.stdout
    assert run("verify", root, "--as", "coco_stuff", "--split", "train").exit_code == 0
    assert "not in the layout of 'voc'" in run("verify", root, "--as", "voc").stderr
    assert "did you mean" in run("prepare", "coco_stuf", root).stderr


def test_prepare_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AUCSEG_VOC", str(WRITERS["voc"](tmp_path / "raw")))
    assert run("prepare", "voc", "--split", "val").exit_code == 0
    assert run("prepare", "voc", "--size", 4, 4).exit_code == 0
    assert {p.name for p in (tmp_path / "home/data").iterdir()} == {"voc-prepared", "voc-4x4"}


def test_verify_and_prepare_by_patterns(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    words = ("--images", PATTERNS["images"], "--masks", PATTERNS["masks"])
    result = run("verify", root, *words)
    assert result.exit_code == 0, result.output
    assert "4 items: no problems" in result.stdout
    assert run("prepare", "folder", root, *words, "--dest", tmp_path / "out").exit_code == 0
    assert run("verify", tmp_path / "out").exit_code == 0
    assert "given both" in run("verify", root, *words[:2]).stderr


def test_tail_and_odds_of_a_published_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = WRITERS["voc"](tmp_path / "voc")
    monkeypatch.setenv("AUCSEG_VOC", str(root))
    for data in (root, "voc"):
        content = json.loads(run("odds", data, "-b", 2, "--json").stdout)
        assert content["images"] == 2
        assert len(content["absent"]) == 18
        assert content["odds"][0]["group"] == "all"
    assert "see `aucseg data prepare`" in run("odds", root, "-b", 2, "--write").stderr
    assert "give a folder or one of streets, camvid, cityscapes" in run("odds", "nowhere", "-b", 2).stderr


def test_odds_of_a_prepared_set_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        run("prepare", "ecssd", WRITERS["ecssd"](tmp_path / "raw"), "--dest", tmp_path / "out").exit_code == 0
    )
    monkeypatch.setenv("AUCSEG_ECSSD", str(tmp_path / "out"))
    content = json.loads(run("odds", "ecssd", "-b", 2, "--split", "all", "--json").stdout)
    assert content["images"] == 3
    assert content["absent"] == []
