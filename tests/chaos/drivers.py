"""Kills, full disks, flipped bits and many at once: each driver attacks for some rounds and says what it saw.

A round that ends otherwise than it must raises :class:`Broken`; what a driver returns are numbers.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from aucseg.training import CheckpointError, Record, RecordError, checkpoint_path, read_checkpoint
from aucseg.training.checkpoint import previous_path
from tests.chaos import runs
from tests.chaos.faults import ERRORS
from tests.chaos.server import REFUSED, Server

TRAIN = "tests.chaos.runs:train"
KILL_MOMENTS = ("clock", "write", "sync", "move", "open")


class Broken(AssertionError):
    """A promise that was not kept."""


class Baseline:
    """A run that nobody disturbed.

    Args:
        server: that forks.
        folder: its home; removed by nobody.
        kind: of :data:`tests.chaos.runs.KINDS`.

    Attributes:
        seconds: from the fork to the end.
        operations: how many of each kind of file operation it makes.
        half: home of the same run, killed in its middle, with two checkpoints.
    """

    def __init__(self, server: Server, folder: Path, kind: str) -> None:
        self.kind, self.config = kind, runs.config(kind)
        self.home, self.half = folder / kind, folder / f"{kind}-half"
        start = time.monotonic()
        code, words = server.run(TRAIN, home=str(self.home), kind=kind, disk={})
        self.seconds = time.monotonic() - start
        found = re.search(r"operations (\{.*\})", words)
        if code or found is None:
            raise Broken(f"the undisturbed {kind} ended with {code}: {words}")
        self.record = Record.read(record_path(self.home, kind))
        self.operations: dict[str, int] = json.loads(found[1])
        middle = {"kinds": ["sync"], "at": self.operations["sync"] // 2, "fault": "kill"}
        server.run(TRAIN, home=str(self.half), kind=kind, disk=middle)
        last = last_path(self.half, kind)
        if not (last.exists() and previous_path(last).exists()):
            raise Broken("no two checkpoints in the middle of a run")
        start = time.monotonic()
        _, words = server.run(TRAIN, home=str(copied(self.half)), kind=kind, disk={})
        self.seconds = min(self.seconds, time.monotonic() - start)
        found = re.search(r"operations (\{.*\})", words)
        assert found is not None, words
        self.operations["read"] = json.loads(found[1])["read"]  # nothing is read where nothing is taken up

    def same(self, home: Path, what: str) -> None:
        """See that a folder holds the record of this run, to the last bit.

        Args:
            home: the folder.
            what: was done to it.
        """
        record = Record.read(record_path(home, self.kind))
        if not record.same_result(self.record):
            raise Broken(f"{what}: another record than that of the undisturbed run")
        parts = [path.name for path in home.rglob("*.part")]
        claims = [path.name for path in home.rglob("*.claim")]
        if parts or claims:
            raise Broken(f"{what}: left {parts + claims}")


def copied(home: Path) -> Path:
    """A copy of a home, beside it; an earlier one is taken away."""
    place = home.with_name(f"{home.name}-copy")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(home, place)
    return place


def _empty(place: Path) -> Path:
    """A place where nothing lies: a round that failed or was broken off leaves its folder behind."""
    shutil.rmtree(place, ignore_errors=True)
    return place


def record_path(home: Path, kind: str) -> Path:
    """Where the record of a run lies."""
    made = runs.config(kind)
    return home / "data" / "records" / made.profile / f"{made.identity}.json"


def last_path(home: Path, kind: str) -> Path:
    """Where its checkpoint lies."""
    return checkpoint_path(runs.config(kind), home / "runs" / runs.config(kind).identity)


def kill(server: Server, base: Baseline, folder: Path, seed: int) -> dict[str, int]:
    """Kill a training, and what goes on from it, one to three times; then let it end.

    Half of the kills come by the clock. The others come at a file operation of checkpoint, record or claim,
    between its beginning and its end.

    Args:
        server: that forks.
        base: the undisturbed run.
        folder: for the round.
        seed: of the round.

    Returns:
        How many kills of each kind there were.
    """
    draw, home, seen = random.Random(seed), _empty(folder / f"kill-{base.kind}-{seed}"), Counter[str]()
    for _ in range(draw.randint(1, 3)):
        moment = draw.choice(("clock", *KILL_MOMENTS))
        if moment == "clock":
            child = server.start(TRAIN, home=str(home), kind=base.kind)
            if not child.ended.wait(draw.uniform(0, base.seconds)):
                child.kill()
        else:
            at = draw.randrange(base.operations[moment])
            disk = {"kinds": [moment], "at": at, "fault": "kill"}
            child = server.start(TRAIN, home=str(home), kind=base.kind, disk=disk)
        status = child.wait()
        if status == -signal.SIGKILL:
            seen[moment] += 1
        elif status:
            raise Broken(f"kill {seed}: ended with {status}: {child.words()}")
    code, words = server.run(TRAIN, home=str(home), kind=base.kind)
    if code:
        raise Broken(f"kill {seed}: does not go on: {words}")
    base.same(home, f"kill {seed} ({dict(seen)})")
    shutil.rmtree(home)
    return dict(seen)


def disk(server: Server, base: Baseline, folder: Path, seed: int) -> dict[str, int]:
    """Refuse one file operation of a training, or all from one on; then let it end on a sound disk.

    What lies there before: nothing, the run in its middle, or the whole run with its record, made anew.

    Args:
        server: that forks.
        base: the undisturbed run.
        folder: for the round.
        seed: of the round.

    Returns:
        ``refused`` or ``passed``, and the kind of operation.
    """
    draw, home = random.Random(seed), _empty(folder / f"disk-{base.kind}-{seed}")
    before = draw.choice(("nothing", "nothing", "half", "whole"))
    again = before == "whole"
    if before != "nothing":
        shutil.copytree(base.home if again else base.half, home)
    options: dict[str, Any] = {}
    if draw.random() < 0.15:  # the system itself refuses
        kind = "size"
        options["largest_file"] = draw.choice((4096, 100_000, 1_000_000))  # what it says needs some
    else:
        kinds = [name for name, number in base.operations.items() if number]
        kind = "read" if before == "half" and draw.random() < 0.3 else draw.choice(kinds)
        options["disk"] = {
            "kinds": [kind],
            "at": draw.randrange(base.operations[kind]),
            "fault": draw.choice(tuple(ERRORS)),
            "stays": draw.random() < 0.5,
        }
    code, words = server.run(TRAIN, home=str(home), kind=base.kind, fresh=again, **options)
    what = f"disk {seed} ({options}, before {before})"
    if code not in (0, REFUSED):
        raise Broken(f"{what}: no error in words: {words}")
    if code and not re.search(r"^error: .*\S$", words.splitlines()[-1]):
        raise Broken(f"{what}: an error of several lines: {words}")
    if again:
        base_record = Record.read(record_path(home, base.kind))  # raises if it is neither old nor new
        if not base_record.same_result(base.record):
            raise Broken(f"{what}: the record that was there has changed")
    last = last_path(home, base.kind)
    for path in (last, previous_path(last)):
        if path.exists():
            read_checkpoint(path, expect=base.config.pinned())  # what has its name is whole
    after, words_after = server.run(TRAIN, home=str(home), kind=base.kind)
    if after:
        raise Broken(f"{what}: does not go on: {words_after}")
    base.same(home, what)
    shutil.rmtree(home)
    return {"refused" if code else "passed": 1, kind: 1}


def same_content(found: Any, truth: Any) -> bool:
    """Whether two checkpoints hold the same, to the last bit."""
    if isinstance(truth, torch.Tensor):
        return (
            isinstance(found, torch.Tensor)
            and found.dtype == truth.dtype
            and found.shape == truth.shape
            and found.numpy().tobytes() == truth.numpy().tobytes()
        )
    if isinstance(truth, dict):
        return (
            isinstance(found, dict)
            and list(found) == list(truth)
            and all(same_content(found[key], value) for key, value in truth.items())
        )
    if isinstance(truth, (list, tuple)):
        pairs = zip(found, truth, strict=False) if isinstance(found, type(truth)) else ()
        return (
            type(found) is type(truth) and len(found) == len(truth) and all(same_content(*p) for p in pairs)
        )
    return type(found) is type(truth) and (found == truth or (found != found and truth != truth))


def flip(data: bytes, draw: random.Random) -> bytes:
    """The same bytes with a bit turned; sometimes several, or the end cut off."""
    spoilt = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 1, 2, 8))):
        spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
    return bytes(spoilt[: draw.randrange(len(spoilt))] if draw.random() < 0.03 else spoilt)


def flip_file(
    path: Path, place: Path, read: Callable[[Path], Any], refusal: type[Exception], seed: int
) -> str:
    """Spoil a copy of a file and read it.

    Args:
        path: the file.
        place: where its copy goes.
        read: reads it.
        refusal: what is raised for a damaged one.
        seed: of the round.

    Returns:
        ``refused``, or ``unchanged``: the bits were in what holds nothing.
    """
    spoilt = flip(path.read_bytes(), random.Random(seed))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(spoilt)
    found = None
    with suppress(refusal):
        found = read(place)
    if found is None:
        return "refused"
    truth = read(path)
    same = (
        found.same_result(truth) and found == truth
        if isinstance(truth, Record)
        else same_content(found, truth)
    )
    if not same:
        raise Broken(f"flip {seed} of {path.name}: other numbers, unseen")
    return "unchanged"


def flip_checkpoint(base: Baseline, folder: Path, seed: int) -> str:
    """Turn bits of a checkpoint."""
    path = last_path(base.home, base.kind)
    return flip_file(path, folder / "last.ckpt", read_checkpoint, CheckpointError, seed)


def flip_record(base: Baseline, folder: Path, seed: int) -> str:
    """Turn bits of a record."""
    path = record_path(base.home, base.kind)
    return flip_file(path, folder / path.name, Record.read, RecordError, seed)


def flip_and_go_on(server: Server, base: Baseline, folder: Path, seed: int) -> dict[str, int]:
    """Turn bits of the checkpoint of a training that was killed, and go on from it.

    The run comes to the record of the undisturbed one: from the checkpoint before, or not without being told
    to begin anew.

    Args:
        server: that forks.
        base: the undisturbed run.
        folder: for the round.
        seed: of the round.
    """
    draw, home = random.Random(seed), _empty(folder / f"flip-{base.kind}-{seed}")
    last = last_path(home, base.kind)
    shutil.copytree(base.half, home)
    last.write_bytes(flip(last.read_bytes(), draw))
    if draw.random() < 0.25:
        previous_path(last).write_bytes(flip(previous_path(last).read_bytes(), draw))
    code, words = server.run(TRAIN, home=str(home), kind=base.kind)
    outcome = "went on"
    if code == REFUSED and "--fresh" in words.splitlines()[-1]:
        outcome = "refused"
        code, words = server.run(TRAIN, home=str(home), kind=base.kind, fresh=True)
    if code:
        raise Broken(f"flip {seed}: {words}")
    base.same(home, f"flip {seed}, going on")
    shutil.rmtree(home)
    return {outcome: 1}


def sweeps(
    server: Server, folder: Path, number: int, seeds: list[int], kills: int, seed: int
) -> dict[str, int]:
    """Several sweeps with one list of runs at once, of which some are killed and started again.

    Each run is trained to its end once, and its record is that of a run that was alone.

    Args:
        server: that forks.
        folder: for the round.
        number: of sweeps.
        seeds: one run each.
        kills: of sweeps.
        seed: of the round.
    """
    draw, home, alone = random.Random(seed), _empty(folder / f"sweeps-{seed}"), folder / "alone"
    for each in seeds:
        made = runs.config("auc_and_bank", each)
        name = Path("data") / "records" / made.profile / f"{made.identity}.json"
        if not (alone / str(each) / name).exists():
            code, words = server.run(TRAIN, home=str(alone / str(each)), kind="auc_and_bank", seed=each)
            if code:
                raise Broken(words)
    arguments: dict[str, Any] = {"home": str(home), "seeds": seeds}
    begun = [server.start("tests.chaos.runs:sweep", **arguments) for _ in range(number)]
    said = list(begun)
    for _ in range(kills):
        time.sleep(draw.uniform(0.2, 2.0))
        victim = draw.randrange(number)
        begun[victim].kill()
        begun[victim].wait()
        begun[victim] = server.start("tests.chaos.runs:sweep", **arguments)
        said.append(begun[victim])
    for child in begun:
        if child.wait():
            raise Broken(f"sweeps {seed}: {child.words()}")
    begun_runs = sum(len(re.findall(rf"training {runs.STEPS} steps", child.words())) for child in said)
    if not kills and begun_runs != len(seeds):
        raise Broken(f"sweeps {seed}: {begun_runs} trainings for {len(seeds)} runs")
    for each in seeds:
        made = runs.config("auc_and_bank", each)
        name = Path("data") / "records" / made.profile / f"{made.identity}.json"
        if not Record.read(home / name).same_result(Record.read(alone / str(each) / name)):
            raise Broken(f"sweeps {seed}: seed {each} has another record than alone")
    left = [path.name for path in home.rglob("*") if path.suffix in (".part", ".claim", ".owner")]
    if left:
        raise Broken(f"sweeps {seed}: left {left}")
    shutil.rmtree(home)
    return {"sweeps": number, "runs": len(seeds), "kills": kills, "trainings": begun_runs}


def claimants(server: Server, folder: Path, number: int, kills: int, seed: int) -> dict[str, int]:
    """Many processes that want one claim, of which some are killed; never two have it.

    Args:
        server: that forks.
        folder: for the round.
        number: of processes.
        kills: of them, at random moments.
        seed: of the round.
    """
    draw, place = random.Random(seed), _empty(folder / f"claim-{seed}")
    place.mkdir(parents=True)
    log = place / "log"
    children = [
        server.start(
            "tests.chaos.runs:hold",
            folder=str(place / "run"),
            inside=str(place / "inside"),
            log=str(log),
            seed=seed * 1000 + i,
            gate=str(place / "gate"),
        )
        for i in range(number)
    ]
    (place / "gate").touch()
    killed = set()
    for victim in draw.sample(range(number), kills):
        time.sleep(draw.uniform(0, 0.4))
        children[victim].kill()
        killed.add(victim)
    codes = [child.wait() for child in children]
    for i, (child, code) in enumerate(zip(children, codes, strict=True)):
        if code not in ((0, -signal.SIGKILL) if i in killed else (0,)):
            raise Broken(f"claim {seed}: ended with {code}: {child.words()}")
    had = len(log.read_text().splitlines()) if log.exists() else 0
    if had < sum(code == 0 for code in codes):
        raise Broken(f"claim {seed}: {had} of {number} had the claim")
    shutil.rmtree(place)
    return {"claimants": number, "killed": sum(code == -signal.SIGKILL for code in codes), "had it": had}
