"""What a run is trained on belongs to it: no two data sets share weights or records, no name is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.data.classes import read_classes
from aucseg.errors import DataError, UserError
from aucseg.experiments import RecordStore, make_config
from aucseg.training import (
    CheckpointError,
    Record,
    RunConfig,
    checkpoint_path,
    evaluate,
    load_module,
    read_checkpoint,
    train,
)
from tests.conftest import write_camvid


def config_of(root: Path, name: str = "folder", **changes) -> RunConfig:
    data = {"name": name, "root": root, "size": (32, 48), "batch_size": 2}
    small = make_config("streets", "smoke").model
    content = {"data": data, "model": small, "bank": None, "optim": {"steps": 1, "warmup_steps": 0}}
    return RunConfig.from_dict(content | {"device": "cpu", "profile": "smoke"}).with_(**changes)


def swap_rows(root: Path) -> None:
    table = (root / "classes.csv").read_text().splitlines(keepends=True)
    table[1], table[2] = table[2], table[1]
    (root / "classes.csv").write_text("".join(table))


def rename_class(root: Path) -> None:
    table = (root / "classes.csv").read_text()
    (root / "classes.csv").write_text(table.replace("Sky", "Heaven"))


def paint_mask(root: Path) -> None:
    path = root / "annotations" / "val" / "val_000.png"
    mask = np.asarray(Image.open(path)).copy()
    mask[5, 5] = (mask[5, 5] + 1) % 11
    Image.fromarray(mask).save(path)


def paint_image(root: Path) -> None:
    path = root / "images" / "train" / "train_001.jpg"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path, quality=95)


def group(root: Path) -> None:
    lines = (root / "classes.csv").read_text().splitlines()
    groups = ["group", "head", "tail", *["middle"] * 9, ""]
    (root / "classes.csv").write_text("".join(f"{a},{b}\n" for a, b in zip(lines, groups, strict=True)))


def shorten(root: Path) -> None:
    (root / "splits" / "val.txt").write_text("val_001\n")


CHANGES = [swap_rows, rename_class, paint_mask, paint_image, group, shorten]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data") / "mine")


@pytest.fixture(scope="module")
def trained(written: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """A folder's checkpoint, not in the place where runs lie, and its record."""
    folder = tmp_path_factory.mktemp("run")
    return folder / "last.ckpt", train(config_of(written), folder, progress=False)


@pytest.fixture
def mine(written: Path, tmp_path: Path) -> Path:
    """A copy of the folder, in another place."""
    return shutil.copytree(written, tmp_path / "elsewhere")


def test_the_same_content_is_the_same_run_wherever_it_lies(written: Path, mine: Path) -> None:
    same = config_of(written).identity
    (mine / "annotations" / "val" / "val_000.png").touch()
    (mine / "notes.txt").write_text("no part of it")
    shutil.rmtree(mine / "images" / "test")  # of no split that the run reads
    assert config_of(mine).identity == same
    assert config_of(mine, data__num_workers=3).identity == same


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_another_run(written: Path, mine: Path, change) -> None:
    change(mine)
    assert config_of(mine).identity != config_of(written).identity


def test_identity_is_that_of_the_configuration_alone_for_data_with_a_name(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their default place they keep the names that are published; elsewhere they count by content."""
    by_name = make_config("camvid", "laptop")
    monkeypatch.setenv("AUCSEG_CAMVID", str(tmp_path / "nowhere"))
    named = by_name.identity
    assert by_name.with_(data__root=mine).identity != named
    monkeypatch.setenv("AUCSEG_CAMVID", str(mine))
    assert by_name.identity == named
    assert by_name.with_(data__root=mine).identity == named
    assert by_name.with_(data__root=mine.parent / "." / mine.name).identity == named


def test_a_record_names_its_run_where_the_data_are_not(trained: tuple[Path, Record], written: Path) -> None:
    _, record = trained
    assert record.identity == config_of(written).identity
    assert record.config["data"]["root"] == "mine"
    assert record.config["data"]["fingerprint"] == config_of(written).pinned().data.fingerprint
    assert record.run_config.identity == record.identity
    with pytest.raises(DataError, match="gone: no such folder"):
        _ = config_of(written.parent / "gone").identity


def test_a_record_of_an_earlier_version_keeps_its_name(trained: tuple[Path, Record], tmp_path: Path) -> None:
    _, record = trained
    config = {**record.config, "data": {k: v for k, v in record.config["data"].items() if k != "fingerprint"}}
    old = RunConfig.from_dict(config, recorded=True)
    before = record.model_copy(update={"config": config, "identity": old.identity})
    assert Record.read(before.write(tmp_path / "old.json")).identity == old.identity != record.identity


def test_a_configuration_that_says_its_data_is_held_to_them(
    written: Path, mine: Path, tmp_path: Path
) -> None:
    pinned = config_of(mine).pinned()
    pinned.to_yaml(tmp_path / "run.yaml")
    assert RunConfig.from_yaml(tmp_path / "run.yaml") == pinned
    paint_mask(mine)
    assert pinned.identity == config_of(written).identity  # what it says
    with pytest.raises(DataError, match=r"elsewhere: its classes, lists, images or masks are not those"):
        train(pinned, tmp_path / "run", progress=False)


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_other_data_is_refused(
    trained: tuple[Path, Record], mine: Path, tmp_path: Path, change
) -> None:
    """In a folder that somebody named; by default other data are another folder."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0].parent, folder)
    change(mine)
    words = "the classes, lists, images or masks of its data have changed since; use another run folder"
    with pytest.raises(CheckpointError, match=words):
        train(config_of(mine), folder, progress=False)


def swap_ids(root: Path) -> None:
    lines = (root / "classes.csv").read_text().splitlines()
    lines[1], lines[2] = "1" + lines[1][1:], "0" + lines[2][1:]
    (root / "classes.csv").write_text("\n".join(lines) + "\n")


WORDS = {
    swap_ids: "split 'train' has changed: its list, images, masks or what their values mean",
    rename_class: "unknown class name 'Heaven'",
    paint_mask: "split 'val' has changed",
    paint_image: "split 'train' has changed",
    shorten: "split 'val' has changed",
}


@pytest.mark.parametrize("change", WORDS)
def test_data_with_a_name_are_compared_with_what_was_trained_on(
    written: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change
) -> None:
    """Their identity does not change: the checkpoint, the record and the evaluation say it."""
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.setenv("AUCSEG_CAMVID", str(mine))
    config, store = config_of(mine, "camvid").with_(data__root=None), RecordStore()
    record = store.train(config, progress=False)
    path = checkpoint_path(config)
    change(mine)
    with pytest.raises(UserError, match=WORDS[change]):
        store.train(config, progress=False)
    if change is not paint_image:  # of the training
        with pytest.raises(UserError, match=r"'val' has changed|'Heaven'"):
            evaluate(path, progress=False)
    path.unlink()
    with pytest.raises(UserError, match=r"the record of this run was made from other data|'Heaven'"):
        store.train(config, progress=False)
    assert store.get(config) == record


def test_evaluation_looks_at_the_classes_wherever_the_data_lie(
    trained: tuple[Path, Record], mine: Path
) -> None:
    path, record = trained
    assert evaluate(path, root=mine, progress=False) == record.metrics
    paint_mask(mine)
    assert evaluate(path, root=mine, progress=False) != record.metrics  # whoever names a folder means it
    swap_rows(mine)
    with pytest.raises(CheckpointError, match=r"last\.ckpt: was trained on other data: its classes are the"):
        evaluate(path, root=mine, progress=False)
    rename_class(mine)
    with pytest.raises(CheckpointError, match="without 'Sky' and with 'Heaven'"):
        evaluate(path, root=mine, split="train", progress=False)


def test_a_checkpoint_says_what_it_was_made_from(trained: tuple[Path, Record], written: Path) -> None:
    path, record = trained
    state = read_checkpoint(path)["aucseg"]
    assert state["dataset"] == record.dataset
    assert load_module(path).trained_on == record.dataset
    assert state["spec"]["names"] == list(read_classes(written).spec("mine").names)
