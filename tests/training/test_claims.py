"""Two processes never train one run at the same time: one waits, and takes what the other one made."""

from __future__ import annotations

import multiprocessing
import os
import platform
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from aucseg.errors import DataError
from aucseg.training import CheckpointError, RunClaimed, claim
from aucseg.training.checkpoint import AtomicCheckpointIO
from aucseg.training.claims import claim_path, read_owner

module = import_module("aucseg.training.claims")
Start = Callable[..., subprocess.Popen[str]]

HOLD = """
import sys, time
from aucseg.training import claim
with claim(sys.argv[1]):
    print("mine", flush=True)
    time.sleep(600)
"""
ENSURE = """
import sys, time
from aucseg.experiments import RecordStore, make_config
config = make_config("streets", "smoke", seed=5)
store, say = RecordStore(), lambda line: print(line, flush=True)
print("ready", flush=True)
sys.stdin.readline()
(record,) = store.ensure([config], progress=False, report=say).values()
print("loss", record.history["loss"][-1])
"""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a program that has words to read in ``sys.argv``; kills what is left of it."""
    started: list[subprocess.Popen[str]] = []

    def call(program: str, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *map(str, words)]
        home = os.environ | {"AUCSEG_HOME": str(tmp_path)}
        process = subprocess.Popen(
            command,
            env=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


def test_one_trains_and_the_other_takes_its_record(start: Start, tmp_path: Path) -> None:
    """Two sweeps that want the same run, let go at the same moment."""
    both = [start(ENSURE), start(ENSURE)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    waits = ["waits for it" in out for out, _ in told]
    assert sum(waits) == 1, told
    second, first = (told[waits.index(one)][0].splitlines() for one in (True, False))
    assert any("training 4 steps" in line for line in first)
    assert not any("training 4 steps" in line for line in second)
    waited = next(line for line in second if "waits for it" in line)
    other = next(p.pid for p in both if f"process {p.pid} waits" not in waited)
    assert f"process {other} on " in waited
    assert "trains this run" in waited
    assert first[-1] == second[-1]
    assert len(list((tmp_path / "data" / "records" / "smoke").glob("*.json"))) == 1
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [""]


def test_death_of_the_holder_ends_its_claim(start: Start, tmp_path: Path) -> None:
    holder = start(HOLD, tmp_path / "run")
    assert holder.stdout.readline() == "mine\n"
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        holder.kill()
        holder.wait()  # a process that nobody has waited for counts as alive

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
        holder = start(HOLD, folder)
        assert "waits for it" in holder.stderr.readline()
    assert holder.stdout.readline() == "mine\n"


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
    multiprocessing.set_forkserver_preload([__name__])
    context = multiprocessing.get_context("forkserver")
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
