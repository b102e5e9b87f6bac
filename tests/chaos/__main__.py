"""The large attack: ``make chaos``. What it finds is written to ``data/benchmarks/reliability.csv``.

It takes an hour or two on two cores, and may be stopped: each piece that is done is kept in a file with the
commit that was attacked, and the same command at the same commit goes on with the next. ``--only`` chooses
drivers; without one it attacks nothing, and ``--csv`` writes down what was done so far. Rows of what was not
attacked at this commit stay as they are, with theirs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from aucseg import paths
from tests.chaos import drivers, runs
from tests.chaos.fuzz import SUBJECTS, Mismatch, fuzz
from tests.chaos.server import Server
from tests.repository import ROOT

Piece = dict[str, Any]

DRIVERS = ("kill", "disk", "flip", "concurrency", "fuzz")
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
    """

    def __init__(self, folder: Path, commit: str = "") -> None:
        self.folder, self.file, self.commit = folder, folder / "done.jsonl", commit
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
        before = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        if not before.endswith("\n") and before:
            self.file.write_text(before[: before.rfind("\n") + 1], encoding="utf-8")
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(piece) + "\n")
        shown = {k: v for k, v in piece.items() if k not in ("driver", "subject", "number", "commit")}
        print(f"{driver} {subject} {number}: {shown}", flush=True)

    def seen(self, driver: str, subject: str) -> int:
        """Cases of a subject so far."""
        return sum(p["cases"] for p in self.pieces() if (p["driver"], p["subject"]) == (driver, subject))


def _counted(found: dict[str, int], cases: int) -> dict[str, Any]:
    return {"cases": cases, "seen": found}


def kill(attack: Attack) -> None:
    """Kills at random moments, until there were enough."""
    for kind in runs.KINDS:
        number = 0
        while attack.seen("kill", kind) < KILLS:

            def act(kind: str = kind, number: int = number) -> dict[str, Any]:
                found = drivers.kill(attack.server(), attack.base(kind), attack.folder, number)
                return _counted(found, sum(found.values()))

            attack.do("kill", kind, number, act)
            number += 1


def disk(attack: Attack) -> None:
    """File operations that fail."""
    for kind in runs.KINDS:
        for number in range(DISKS):

            def act(kind: str = kind, number: int = number) -> dict[str, Any]:
                found = drivers.disk(attack.server(), attack.base(kind), attack.folder, number)
                return _counted(found, 1) | {"refused": found.get("refused", 0)}

            attack.do("disk", kind, number, act)


def flip(attack: Attack) -> None:
    """Bits turned in checkpoints and records, and in checkpoints that a run goes on from."""
    ways = {"checkpoint": drivers.flip_checkpoint, "record": drivers.flip_record}
    for kind in runs.KINDS:
        for name, way in ways.items():

            def act(kind: str = kind, way: Any = way, name: str = name) -> dict[str, Any]:
                place = attack.folder / f"flip-{kind}-{name}"
                found = Counter(way(attack.base(kind), place, seed) for seed in range(FLIPS))
                shutil.rmtree(place)
                return _counted(dict(found), FLIPS) | {"refused": found["refused"]}

            attack.do("flip", f"{name}, {kind}", 0, act)
        for number in range(GOING_ON):

            def go(kind: str = kind, number: int = number) -> dict[str, Any]:
                found = drivers.flip_and_go_on(attack.server(), attack.base(kind), attack.folder, number)
                return _counted(found, 1) | {"refused": found.get("refused", 0)}

            attack.do("flip", f"going on, {kind}", number, go)


def concurrency(attack: Attack) -> None:
    """Fifty that want one claim, and sweeps that want the same runs."""
    for number in range(CLAIMS):

        def claim(number: int = number) -> dict[str, Any]:
            return _counted(drivers.claimants(attack.server(), attack.folder, 50, 15, number), 50)

        attack.do("concurrency", "claimants", number, claim)
    for number in range(SWEEPS):

        def sweep(number: int = number) -> dict[str, Any]:
            seeds = list(range(4))
            return _counted(drivers.sweeps(attack.server(), attack.folder, 3, seeds, number, number), 3)

        attack.do("concurrency", "sweeps", number, sweep)


def fuzzed(attack: Attack) -> None:
    """Random inputs."""
    for number in range(FUZZED // _AT_ONCE):
        for subject in SUBJECTS:

            def act(subject: str = subject, number: int = number) -> dict[str, Any]:
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


def rows(pieces: list[Piece]) -> Iterator[dict[str, Any]]:
    """One row for each subject.

    Args:
        pieces: what was done.
    """
    order = {name: i for i, name in enumerate(DRIVERS)}
    keys = dict.fromkeys((p["driver"], p["subject"]) for p in pieces)
    for driver, subject in sorted(keys, key=lambda key: order[key[0]]):
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


def main() -> int:
    """Attack, and write down what held."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", choices=DRIVERS, nargs="*", default=DRIVERS, help="these drivers")
    parser.add_argument("--folder", type=Path, default=paths.home() / "build" / "chaos")
    parser.add_argument("--csv", action="store_true", help="write data/benchmarks/reliability.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from measure import machine, report

    attack = Attack(options.folder, machine("cpu")["git_commit"])
    try:
        for name, act in zip(DRIVERS, (kill, disk, flip, concurrency, fuzzed), strict=True):
            if name in options.only:
                act(attack)
    finally:
        attack.close()
    pieces = attack.pieces()
    if options.csv:
        report(rows(pieces), paths.benchmarks() / "reliability.csv", ("driver", "subject"))
    failures = [p for p in pieces if p["failures"]]
    for piece in failures:
        print(f"{piece['driver']} {piece['subject']} {piece['number']}: {piece['said']}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
