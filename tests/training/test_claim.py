"""Two processes never train one run at the same time: one waits, and takes what the other one made."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aucseg.training import CheckpointError, claim

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
    lines = sorted((out.splitlines() for out, _ in told), key=len)
    first, second = lines  # who waited says so
    assert len(second) == len(first) + 1
    waited = next(line for line in second if "waits for it" in line)
    other = next(p.pid for p in both if f"process {p.pid} waits" not in waited)
    assert f"process {other} on " in waited
    assert "trains this run" in waited
    assert first[-1] == second[-1]
    assert len(list((tmp_path / "data" / "records" / "smoke").glob("*.json"))) == 1
    assert sorted(path.suffix for path in (tmp_path / "runs").iterdir()) == ["", ".lock"]


def test_death_of_the_holder_ends_its_claim(start: Start, tmp_path: Path) -> None:
    holder = start(HOLD, tmp_path / "run")
    assert holder.stdout.readline() == "mine\n"
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        holder.kill()

    before = time.monotonic()
    with claim(tmp_path / "run", report=told):
        assert time.monotonic() - before < 30
        owner = (tmp_path / "run.owner").read_text()
    assert f"process {os.getpid()} on " in owner
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
