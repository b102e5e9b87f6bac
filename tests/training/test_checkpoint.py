"""Checkpoints: no moment in which a kill or a full disk loses both, no damage that is not seen."""

from __future__ import annotations

import contextlib
import errno
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.training import CheckpointError, RunConfig, read_checkpoint
from aucseg.training.checkpoint import (
    AtomicCheckpointIO,
    class_changes,
    clear_parts,
    data_changes,
    latest_checkpoint,
    previous_path,
)


@pytest.fixture
def config() -> RunConfig:
    return make_config("streets", "smoke")


def content(config: RunConfig, step: int) -> dict[str, Any]:
    state = {"identity": config.identity, "config": config.model_dump(mode="json"), "spec": {"names": ["a"]}}
    generator = torch.Generator().manual_seed(step)
    weights = {"weight": torch.randn(400, generator=generator)}
    return {"aucseg": state, "state_dict": weights, "global_step": step}


@pytest.fixture
def path(tmp_path: Path, config: RunConfig) -> Path:
    """Two checkpoints of one run, of steps 10 and 20."""
    files, path = AtomicCheckpointIO(), tmp_path / "run" / "last.ckpt"
    for step in (10, 20):
        files.save_checkpoint(content(config, step), path)
        assert files.step == step
    return path


def steps(folder: Path) -> dict[str, int]:
    return {file.name: read_checkpoint(file)["global_step"] for file in folder.iterdir()}


def test_the_one_before_the_last_is_kept(path: Path, config: RunConfig) -> None:
    assert steps(path.parent) == {"last.ckpt": 20, "previous.ckpt": 10}
    AtomicCheckpointIO().save_checkpoint(content(config, 30), path)
    assert steps(path.parent) == {"last.ckpt": 30, "previous.ckpt": 20}


@pytest.mark.parametrize("moment", ["open", "write", "sync", "move", "second move"])
def test_whatever_fails_and_whenever_one_is_whole(
    path: Path, config: RunConfig, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told; a kill at the same moment leaves the same files, and what it had begun."""
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_: object, **__: object) -> None:
        raise full

    class Full:
        """A file into which the first bytes go and no more."""

        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 500

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> int:
            self.left -= len(data)
            return fail() if self.left < 0 else self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    with monkeypatch.context() as patch:
        if moment == "open":
            patch.setattr("pathlib.Path.open", fail)
        if moment == "write":
            opened = Path.open
            patch.setattr("pathlib.Path.open", lambda file, mode: Full(opened(file, mode)))
        if moment == "sync":
            patch.setattr("os.fsync", fail)
        if moment == "move":
            patch.setattr("pathlib.Path.replace", fail)
        if moment == "second move":
            moves: list[Path] = []
            replace = Path.replace

            def second(file: Path, target: Path) -> Path:
                moves.append(file)
                return replace(file, target) if len(moves) == 1 else fail()

            patch.setattr("pathlib.Path.replace", second)
        with pytest.raises(DataError, match=r"last\.ckpt: cannot be written \(No space left on device\)"):
            AtomicCheckpointIO().save_checkpoint(content(config, 30), path)
    found = steps(path.parent)
    moved = moment == "second move"
    assert found == ({"previous.ckpt": 20} if moved else {"last.ckpt": 20, "previous.ckpt": 10})
    place, left = latest_checkpoint(path, config, pytest.fail)
    assert left["global_step"] == 20
    assert place.name == ("previous.ckpt" if moved else "last.ckpt")


def test_what_a_killed_process_had_begun_goes(path: Path) -> None:
    for number in range(3):
        path.with_name(f"last.ckpt.{number}.part").touch()
    path.with_name("other.ckpt.1.part").touch()
    clear_parts(path)
    there = sorted(file.name for file in path.parent.iterdir())
    assert there == ["last.ckpt", "other.ckpt.1.part", "previous.ckpt"]


def test_damage_is_said_and_the_one_before_is_taken(path: Path, config: RunConfig) -> None:
    whole = path.read_bytes()
    lines: list[str] = []
    path.write_bytes(whole[:-700])
    place, left = latest_checkpoint(path, config, lines.append)
    assert (place, left["global_step"]) == (previous_path(path), 10)
    (line,) = lines
    assert "last.ckpt: is damaged or not a checkpoint; goes on from the checkpoint before it, step 10" in line
    AtomicCheckpointIO().save_checkpoint(content(config, 20), path)
    assert steps(path.parent) == {"last.ckpt": 20, "previous.ckpt": 10}  # and not the damaged one
    for file in path.parent.iterdir():
        file.write_bytes(whole[:-700])
    with pytest.raises(CheckpointError, match=r"last\.ckpt: is damaged.*; start anew with .* --fresh"):
        latest_checkpoint(path, config, lines.append)
    for file in path.parent.iterdir():
        file.unlink()
    assert latest_checkpoint(path, config, pytest.fail) is None


def test_every_flipped_bit_is_seen_or_changes_nothing(path: Path) -> None:
    data, truth = path.read_bytes(), read_checkpoint(path)
    seen = 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        at, bit = (int(torch.randint(n, (), generator=generator)) for n in (len(data), 8))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])
        found = None
        with contextlib.suppress(CheckpointError):
            found = read_checkpoint(path)
        seen += found is None
        if found is not None:  # it was in what fills the gaps of the file
            assert found["aucseg"] == truth["aucseg"]
            assert torch.equal(found["state_dict"]["weight"], truth["state_dict"]["weight"])
    assert seen > 100


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")


BAD = {
    "empty": (lambda path: path.write_bytes(b""), "is empty; start anew with .* --fresh"),
    "a byte": (lambda path: path.write_bytes(b"\x80"), "is damaged or not a checkpoint"),
    "text": (lambda path: path.write_text("name: x\n"), "is damaged or not a checkpoint"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:1500]), "is damaged or not a checkpoint"),
    "another archive": (zipped, "is damaged or not a checkpoint"),
    "tensors": (lambda path: torch.save({"a": torch.zeros(1)}, path), "was not written by aucseg; give a"),
    "a list": (lambda path: torch.save([1], path), "was not written by aucseg"),
    "half of it": (
        lambda path: torch.save({"aucseg": {"identity": "x"}, "state_dict": {}}, path),
        "was not written by aucseg",
    ),
    "an object": (lambda path: torch.save(torch.nn.Linear(1, 1), path), "holds more than tensors and plain"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), r"cannot be read \(Is a directory\)"),
    "nothing": (lambda path: path.unlink(), "no such checkpoint"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_checkpoint_is_one_line(path: Path, name: str) -> None:
    spoil, words = BAD[name]
    spoil(path)
    with pytest.raises(CheckpointError, match=rf"last\.ckpt: {words}") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)
    assert "weights_only" not in str(error.value)


def test_of_another_run_it_says_what_differs(path: Path, config: RunConfig) -> None:
    with pytest.raises(CheckpointError, match=r"its configuration differs in seed, optim\.lr; use another"):
        read_checkpoint(path, expect=config.with_(seed=3, optim__lr=0.5, data__num_workers=2))
    assert read_checkpoint(path, expect=config.with_(name="other"))["global_step"] == 20


DATA = {
    "classes": ["road", "car", "bus"],
    "groups": ["head", "middle", "tail"],
    "train_split": "train",
    "eval_split": "val",
    "train_fingerprint": "1",
    "eval_fingerprint": "2",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"more": 1}, None),
        ({"classes": ["car", "road", "bus"]}, "the same in another order: 'car' stands where 'road' stood"),
        ({"classes": ["road", "car"]}, "it has other classes, 2 instead of 3: without 'bus'"),
        ({"classes": ["road", "car", "tram"]}, "3 instead of 3: without 'bus' and with 'tram'"),
        ({"groups": ["head", "tail", "tail"]}, "class 'car' was middle and is tail now"),
        ({"train_fingerprint": "3"}, "split 'train' has changed: its list, images, masks or what their"),
        ({"eval_fingerprint": "3"}, "split 'val' has changed"),
        ({"flip_pairs": [["car", "bus"]]}, "a flip swapped no classes and swaps 'car' with 'bus' now"),
    ],
)
def test_data_that_are_not_what_they_were_are_told_in_words(change: dict, words: str | None) -> None:
    told = data_changes(DATA, DATA | change)
    assert told == words if words is None else words in told
    assert class_changes(None, ["a"]) is None
