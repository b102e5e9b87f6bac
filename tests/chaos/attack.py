"""What ``python -m tests.chaos`` does: pieces of work, kept when they are done, by one process or several."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import multiprocessing.util
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.chaos import drivers, runs
from tests.chaos.fuzz import SUBJECTS, Mismatch, fuzz
from tests.chaos.server import Server

Piece = dict[str, Any]

KILLS, DISKS, FLIPS, GOING_ON, FUZZED = 34, 34, 334, 10, 10_000
"""For each kind of run kills, disk faults, flips of a checkpoint and of a record, flips that it goes on from;
for each subject of the fuzzer inputs."""
CLAIMS, SWEEPS = 4, 3
_AT_ONCE = 500  # inputs of a piece


class Attack:
    """What is to be done, and what was done already.

    Args:
        folder: for what was done, and for the runs.
        commit: of the code that is attacked; what was done to another one does not count.
        inputs: for each subject of the fuzzer, at least.
    """

    def __init__(self, folder: Path, commit: str = "", inputs: int = FUZZED) -> None:
        self.folder, self.file, self.commit = folder, folder / "done.jsonl", commit
        self.inputs = inputs
        folder.mkdir(parents=True, exist_ok=True)
        self._stack, self._server = ExitStack(), None
        self._bases: dict[str, drivers.Baseline] = {}

    def pieces(self) -> list[Piece]:
        """What was done to this commit so far."""
        lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True) if self.file.exists() else []
        # a line without its end was cut off when the attack itself was killed: that piece is done again
        pieces = [json.loads(line) for line in lines if line.endswith("\n")]
        return [piece for piece in pieces if piece.get("commit", "") == self.commit]

    def server(self) -> Server:
        """The process that forks, started when it is needed first."""
        if self._server is None:
            place = self.folder / f"said-{time.time_ns()}"
            self._server = self._stack.enter_context(Server(place))
            self._stack.callback(shutil.rmtree, place, ignore_errors=True)
        return self._server

    def base(self, kind: str) -> drivers.Baseline:
        """The undisturbed run of a kind."""
        if kind not in self._bases:
            place = self.folder / f"base-{time.time_ns()}"
            self._stack.callback(shutil.rmtree, place, ignore_errors=True)
            self._bases[kind] = drivers.Baseline(self.server(), place, kind)
        return self._bases[kind]

    def close(self) -> None:
        """End the server and take away what the runs have left."""
        self._stack.close()

    def do(self, driver: str, subject: str, number: int, act: Callable[[], dict[str, Any]]) -> None:
        """One piece, if it was not done yet.

        Args:
            driver: of :data:`DRIVERS`.
            subject: what is attacked.
            number: of the piece.
            act: attacks, and says what it saw.
        """
        key = (driver, subject, number)
        if any((p["driver"], p["subject"], p["number"]) == key for p in self.pieces()):
            return
        start = time.monotonic()
        piece: Piece = {"driver": driver, "subject": subject, "number": number, "failures": 0}
        piece["commit"] = self.commit
        try:
            piece |= act()
        except (drivers.Broken, Mismatch, TimeoutError) as error:
            piece |= {"cases": 1, "failures": 1, "said": str(error)[:2000]}
        piece["seconds"] = time.monotonic() - start
        with self.file.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of several jobs one writes at a time
            file.seek(0)
            before = file.read()
            if not before.endswith("\n") and before:
                file.truncate(len(before[: before.rfind("\n") + 1].encode()))
            file.write(json.dumps(piece) + "\n")
        shown = {k: v for k, v in piece.items() if k not in ("driver", "subject", "number", "commit")}
        print(f"{driver} {subject} {number}: {shown}", flush=True)

    def seen(self, driver: str, subject: str) -> int:
        """Cases of a subject so far."""
        return sum(p["cases"] for p in self.pieces() if (p["driver"], p["subject"]) == (driver, subject))


def _counted(found: dict[str, int], cases: int) -> dict[str, Any]:
    return {"cases": cases, "seen": found}


def kill(attack: Attack, kind: str) -> None:
    """Kills at random moments, until there were enough."""
    number = 0
    while attack.seen("kill", kind) < KILLS:

        def act(number: int = number) -> dict[str, Any]:
            found = drivers.kill(attack.server(), attack.base(kind), attack.folder, number)
            return _counted(found, sum(found.values()))

        attack.do("kill", kind, number, act)
        number += 1


def disk(attack: Attack, kind: str) -> None:
    """File operations that fail."""
    for number in range(DISKS):

        def act(number: int = number) -> dict[str, Any]:
            found = drivers.disk(attack.server(), attack.base(kind), attack.folder, number)
            return _counted(found, 1) | {"refused": found.get("refused", 0)}

        attack.do("disk", kind, number, act)


def flip(attack: Attack, kind: str) -> None:
    """Bits turned in checkpoints and records, and in checkpoints that a run goes on from."""
    ways = {"checkpoint": drivers.flip_checkpoint, "record": drivers.flip_record}
    for name, way in ways.items():

        def act(way: Any = way, name: str = name) -> dict[str, Any]:
            place = attack.folder / f"flip-{kind}-{name}"
            found = Counter(way(attack.base(kind), place, seed) for seed in range(FLIPS))
            shutil.rmtree(place)
            return _counted(dict(found), FLIPS) | {"refused": found["refused"]}

        attack.do("flip", f"{name}, {kind}", 0, act)
    for number in range(GOING_ON):

        def go(number: int = number) -> dict[str, Any]:
            found = drivers.flip_and_go_on(attack.server(), attack.base(kind), attack.folder, number)
            return _counted(found, 1) | {"refused": found.get("refused", 0)}

        attack.do("flip", f"going on, {kind}", number, go)


def concurrency(attack: Attack, what: str) -> None:
    """Fifty that want one claim, or sweeps that want the same runs."""
    for number in range(CLAIMS if what == "claimants" else SWEEPS):

        def claim(number: int = number) -> dict[str, Any]:
            return _counted(drivers.claimants(attack.server(), attack.folder, 50, 15, number), 50)

        def sweep(number: int = number) -> dict[str, Any]:
            seeds = list(range(4))
            return _counted(drivers.sweeps(attack.server(), attack.folder, 3, seeds, number, number), 3)

        attack.do("concurrency", what, number, claim if what == "claimants" else sweep)


def fuzzed(attack: Attack, subject: str) -> None:
    """Random inputs."""
    for number in range(-(-attack.inputs // _AT_ONCE)):

        def act(number: int = number) -> dict[str, Any]:
            refused, failures, said, errors = 0, 0, "", Counter[str]()
            for seed in range(number * _AT_ONCE, (number + 1) * _AT_ONCE):
                try:
                    draw = fuzz(subject, seed)
                except Mismatch as error:
                    failures, said = failures + 1, said or str(error)[:2000]
                    continue
                refused += draw.refused
                for dtype, value in draw.errors.items():
                    name = f"error_{str(dtype).removeprefix('torch.')}"
                    errors[name] = max(errors[name], value)
            return {"cases": _AT_ONCE, "refused": refused, "failures": failures, "said": said, **errors}

        attack.do("fuzz", subject, number, act)


DRIVERS: dict[str, tuple[Callable[[Attack, str], None], tuple[str, ...]]] = {
    "kill": (kill, runs.KINDS),
    "disk": (disk, runs.KINDS),
    "flip": (flip, runs.KINDS),
    "concurrency": (concurrency, ("claimants", "sweeps")),
    "fuzz": (fuzzed, tuple(SUBJECTS)),
}
"""What attacks, and its subjects."""


def assault(
    folder: Path,
    commit: str,
    *,
    only: Sequence[str] = tuple(DRIVERS),
    subjects: Sequence[str] = (),
    jobs: int = 1,
    inputs: int = FUZZED,
) -> None:
    """Attack all subjects of some drivers; what was done already is not done again.

    Args:
        folder: for what was done, and for the runs.
        commit: of the code that is attacked.
        only: drivers.
        subjects: of these; empty for all.
        jobs: processes. Each takes a subject, and the next when it is done with it.
        inputs: for each subject of the fuzzer.
    """
    tasks = [
        (driver, subject)
        for driver, (_, known) in DRIVERS.items()
        if driver in only
        for subject in known
        if not subjects or subject in subjects
    ]
    if jobs == 1:
        attack = Attack(folder, commit, inputs)
        try:
            for driver, subject in tasks:
                DRIVERS[driver][0](attack, subject)
        finally:
            attack.close()
        return
    # not forked: the threads of PyTorch and Lightning would not be there
    context = multiprocessing.get_context("spawn")
    begin = partial(_begin, folder, commit, inputs)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=begin) as pool:
        try:
            for done in as_completed([pool.submit(_task, *task) for task in tasks]):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # not the other hour of it first
            raise


_mine: list[Attack] = []


def _begin(folder: Path, commit: str, inputs: int) -> None:
    """Of a job, at its beginning."""
    torch.set_num_threads(1)
    _mine.append(Attack(folder, commit, inputs))
    multiprocessing.util.Finalize(None, _mine[0].close, exitpriority=10)


def _task(driver: str, subject: str) -> None:
    DRIVERS[driver][0](_mine[0], subject)


def rows(pieces: list[Piece]) -> Iterator[dict[str, Any]]:
    """One row for each subject.

    Args:
        pieces: what was done.
    """
    order = {
        (driver, subject): place
        for place, (driver, subject) in enumerate(
            (driver, subject) for driver, (_, known) in DRIVERS.items() for subject in known
        )
    }
    keys = dict.fromkeys((p["driver"], p["subject"]) for p in pieces)

    def place(key: tuple[str, str]) -> int:
        # jobs end in any order; a subject may be a part of one, as the record of a kind of run
        return order.get((key[0], key[1].split(", ")[-1]), len(order))

    for driver, subject in sorted(keys, key=place):
        own = [p for p in pieces if (p["driver"], p["subject"]) == (driver, subject)]
        seen = Counter[str]()
        for piece in own:
            seen.update(piece.get("seen", {}))
        errors = {
            name: max((p[name] for p in own if name in p), default=None)
            for name in ("error_float32", "error_float64")
        }
        yield {
            "driver": driver,
            "subject": subject,
            "device": "cpu",
            "cases": sum(p["cases"] for p in own),
            "refused": sum(p.get("refused", 0) for p in own),
            "failures": sum(p["failures"] for p in own),
            **errors,
            "seen": "; ".join(f"{name} {number}" for name, number in sorted(seen.items())),
            "seconds": float(sum(p["seconds"] for p in own)),
        }
