"""Two processes never train one run at the same time: one waits, and takes what the other one made."""

from __future__ import annotations

import io
import multiprocessing
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from aucseg.errors import DataError
from aucseg.experiments import RecordStore, make_config
from aucseg.training import CheckpointError, RunClaimed, claim
from aucseg.training.checkpoint import AtomicCheckpointIO
from aucseg.training.claims import claim_path, read_owner
from tests.processes import forks

module = import_module("aucseg.training.claims")
Start = Callable[..., tuple[BaseProcess, Connection]]


def hold(folder: Path, told: Connection) -> None:
    """Claim a run for good; what is said on the way goes through the pipe."""
    with redirect_stderr(Said(told)), claim(folder):
        told.send("mine")
        time.sleep(600)


def ensure(told: Connection) -> None:
    """Want the record of a run as soon as the word comes."""
    config = make_config("streets", "smoke", seed=5)
    torch.set_num_threads(1)
    told.send("ready")
    told.recv()
    (record,) = RecordStore().ensure([config], progress=False, report=told.send).values()
    told.send(f"loss {record.history['loss'][-1]}")


class Said(io.TextIOBase):
    """A stream whose lines go through a pipe."""

    def __init__(self, told: Connection) -> None:
        self.told = told

    def write(self, text: str) -> int:
        if text.strip():
            self.told.send(text)
        return len(text)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a function in a process, with a pipe as its last argument; kills what is left of it."""
    started: list[BaseProcess] = []

    def call(function: Callable[..., None], *words: object) -> tuple[BaseProcess, Connection]:
        ours, theirs = multiprocessing.Pipe()
        process = forks().Process(target=at_home, args=(tmp_path, function, *words, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append(process)
        return process, ours

    yield call
    for process in started:
        process.kill()
        process.join()


def at_home(home: Path, function: Callable[..., None], *words: object) -> None:
    """Call a function where records and runs lie in a folder of their own."""
    os.environ["AUCSEG_HOME"] = str(home)
    function(*words)


def all_of(told: Connection) -> list[str]:
    """Every line until the other end is closed."""
    lines = []
    with suppress(EOFError):
        while told.poll(300):
            lines.append(told.recv())
    return lines


def test_one_trains_and_the_other_takes_its_record(start: Start, tmp_path: Path) -> None:
    """Two sweeps that want the same run, let go at the same moment."""
    both = [start(ensure), start(ensure)]
    for _, told in both:
        assert told.recv() == "ready"
    for _, told in both:
        told.send("go")
    said = [all_of(told) for _, told in both]
    for process, _ in both:
        process.join(60)
    assert [process.exitcode for process, _ in both] == [0, 0], said
    waits = [any("waits for it" in line for line in lines) for lines in said]
    assert sum(waits) == 1, said
    second, first = (said[waits.index(one)] for one in (True, False))
    assert any("training 4 steps" in line for line in first)
    assert not any("training 4 steps" in line for line in second)
    waited = next(line for line in second if "waits for it" in line)
    other = next(p.pid for p, _ in both if f"process {p.pid} waits" not in waited)
    assert f"process {other} on " in waited
    assert "trains this run" in waited
    assert first[-1] == second[-1]
    assert len(list((tmp_path / "data" / "records" / "smoke").glob("*.json"))) == 1
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [""]


def test_death_of_the_holder_ends_its_claim(start: Start, tmp_path: Path) -> None:
    holder, said = start(hold, tmp_path / "run")
    assert said.recv() == "mine"
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        holder.kill()
        holder.join()  # a process that nobody has waited for counts as alive

    before = time.monotonic()
    with claim(tmp_path / "run", report=told):
        assert time.monotonic() - before < 30
        assert read_owner(tmp_path / "run.owner")["pid"] == os.getpid()
    (line,) = lines
    assert line.startswith(f"run: process {holder.pid} on ")
    assert line.endswith(f"trains this run; process {os.getpid()} waits for it")
    assert not (tmp_path / "run.owner").exists()


def test_claim_within_a_claim_is_given_at_once(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    with claim(folder):
        with claim(folder, report=pytest.fail), claim(folder.parent / "b", report=pytest.fail):
            pass
        assert (folder.parent / "a.owner").exists()  # the inner end is not the end
        _, said = start(hold, folder)
        assert "waits for it" in said.recv()
    assert said.recv() == "mine"


def test_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written to"), claim(tmp_path / "file" / "run"):
        pass


def contend(folder: Path, together: Any, told: Any) -> None:
    """Ten threads that want one run at once; who gets it holds it until all have tried."""

    def want() -> None:
        together.wait()
        try:
            with claim(folder, wait=0):
                told.put("mine")
                together.wait()
        except RunClaimed:
            told.put("theirs")
            together.wait()

    threads = [threading.Thread(target=want) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_fifty_claimants_one_wins(tmp_path: Path) -> None:
    """Ten threads in each of five processes, let go at the same moment."""
    context = forks()
    together, told = context.Barrier(50, timeout=300), context.Queue()
    arguments = (tmp_path / "run", together, told)
    processes = [context.Process(target=contend, args=arguments) for _ in range(5)]
    for process in processes:
        process.start()
    words = Counter(told.get(timeout=300) for _ in range(50))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert words == {"mine": 1, "theirs": 49}
    assert not claim_path(tmp_path / "run").exists()


def test_a_claim_from_another_machine_ends_without_its_heartbeat(tmp_path: Path, monkeypatch) -> None:
    """Nothing but the time of the file tells whether a process over there lives."""
    monkeypatch.setattr(module, "LEASE", 1.0)
    folder, place = tmp_path / "run", claim_path(tmp_path / "run")
    with claim(folder):
        text = place.read_text()
    elsewhere = text.replace(platform.node(), "elsewhere")
    assert elsewhere != text
    place.write_text(elsewhere)
    beats = threading.Event()

    def beat() -> None:
        while not beats.wait(0.1):
            os.utime(place)

    heart = threading.Thread(target=beat)
    heart.start()
    with (
        pytest.raises(RunClaimed, match=r"run: another process trains it; wait for it"),
        claim(folder, wait=2),
    ):
        pass
    beats.set()
    heart.join()
    with claim(folder, wait=30, report=lambda _: None):
        assert place.read_text() != elsewhere


def test_who_lost_the_claim_writes_no_checkpoint(tmp_path: Path, monkeypatch) -> None:
    """A process that slept while another one took its run over finds that out before it does harm."""
    monkeypatch.setattr(module, "LEASE", 0.4)
    folder = tmp_path / "run"
    with claim(folder) as mine:
        files = AtomicCheckpointIO(mine.check)
        files.save_checkpoint({"global_step": 1}, folder / "last.ckpt")
        place = claim_path(folder)
        place.unlink()
        place.write_text("of another process\n")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                mine.check()
            except RunClaimed:
                break
            time.sleep(0.05)
        before = (folder / "last.ckpt").read_bytes()
        with pytest.raises(RunClaimed, match="the claim on this run was lost"):
            files.save_checkpoint({"global_step": 2}, folder / "last.ckpt")
        assert (folder / "last.ckpt").read_bytes() == before
    assert place.read_text() == "of another process\n"  # and it is not taken away


def test_how_far_a_run_is_stands_beside_its_claim(tmp_path: Path, monkeypatch) -> None:
    with claim(tmp_path / "run") as mine:
        mine.tell(step=3, steps=8)
        mine.tell(step=4, steps=8)  # within ten seconds
        facts = read_owner(tmp_path / "run.owner")
        assert (facts["step"], facts["steps"], facts["pid"], facts["host"]) == (
            3,
            8,
            os.getpid(),
            platform.node(),
        )
        monkeypatch.setattr(module, "_PAUSE", 0.0)

        def full(*_: object) -> None:
            raise DataError("no space left")

        monkeypatch.setattr(module, "write_text", full)
        mine.tell(step=5, steps=8)  # is no reason to end a training
    assert read_owner(tmp_path / "run.owner") == {}
    (tmp_path / "run.owner.0.part").touch()  # of a process that was killed as it told
    with claim(tmp_path / "run"):
        assert not (tmp_path / "run.owner.0.part").exists()
    (tmp_path / "run.owner").write_text("{")
    assert read_owner(tmp_path / "run.owner") == {}
