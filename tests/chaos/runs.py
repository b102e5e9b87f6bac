"""What the forked children do: small trainings with a bit of everything that a checkpoint must hold."""

from __future__ import annotations

import json
import os
import random
import resource
import time
from pathlib import Path
from typing import Any

from aucseg.experiments import RecordStore, make_config
from aucseg.training import RunConfig, claim
from tests.chaos.faults import Disk

KINDS = ("auc_and_bank", "noise", "teacher")
STEPS = 4
_SMALL = {
    "optim__steps": STEPS,
    "checkpoint_every": 1,
    "device": "cpu",
    "data__size": (32, 64),
    "data__train_images": 4,
    "data__eval_images": 2,
    "data__batch_size": 2,
}
_BANK = {"sample_ratio": 1.0, "resize_ratio": 0.5}


def config(kind: str, seed: int = 0) -> RunConfig:
    """One of the trainings.

    Args:
        kind: of :data:`KINDS`: the AUC loss with cross entropy and the memory bank; BLV, whose noise has a
            stream of its own; a mean teacher, which has a second network.
        seed: of the run.
    """
    if kind == "noise":
        return make_config("streets", "smoke", seed=seed, loss={"name": "blv"}, bank=None).with_(**_SMALL)
    if kind == "teacher":
        made = make_config("streets", "smoke", seed=seed, bank=_BANK, method={"name": "mean_teacher"})
        return made.with_(**_SMALL, data__labelled="1/2")
    return make_config("streets", "smoke", seed=seed, bank=_BANK).with_(**_SMALL)


def warm_up() -> None:
    """Import what a training imports late, before anybody forks."""
    import torch.utils.data  # noqa: F401

    for kind in KINDS:
        config(kind)


def train(
    home: str,
    kind: str,
    seed: int = 0,
    *,
    fresh: bool = False,
    disk: dict[str, Any] | None = None,
    largest_file: int | None = None,
) -> None:
    """Train one of the runs and keep its record below a folder.

    Args:
        home: the folder.
        kind: of :data:`KINDS`.
        seed: of the run.
        fresh: start anew.
        disk: options of a :class:`Disk` below that folder.
        largest_file: bytes at which the system itself refuses to let a file grow.
    """
    os.environ["AUCSEG_HOME"] = home
    made = None
    if disk is not None:
        made = Disk(home, **{key: tuple(v) if key == "kinds" else v for key, v in disk.items()})
        made.install()
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    RecordStore().train(config(kind, seed), resume=not fresh, progress=False, report=print)
    if made is not None:
        print("operations " + json.dumps(made.counts))


def sweep(home: str, seeds: list[int]) -> None:
    """Have the records of several runs, as one of several sweeps that are started with the same list.

    Args:
        home: the folder.
        seeds: one run each.
    """
    os.environ["AUCSEG_HOME"] = home
    wanted = [config("auc_and_bank", seed) for seed in seeds]
    RecordStore().ensure(wanted, progress=False, report=print)


def hold(folder: str, inside: str, log: str, seed: int, gate: str) -> None:
    """Claim a folder, be alone in it for a moment, and write down that one was.

    Args:
        folder: what is claimed.
        inside: a file that is there while one has the claim; who finds it there of a process that lives is
            not alone.
        log: a file with a line for each that had the claim.
        seed: of the length of the moment.
        gate: a file; all begin when it is there.
    """
    while not Path(gate).exists():
        time.sleep(0.01)
    with claim(folder, report=lambda line: None):
        place = Path(inside)
        if place.exists():
            other = int(place.read_text() or 0)
            if other and Path(f"/proc/{other}").exists():
                raise AssertionError(f"process {os.getpid()} and {other} have the claim at once")
        place.write_text(str(os.getpid()))
        time.sleep(random.Random(seed).uniform(0, 0.2))
        if int(place.read_text()) != os.getpid():
            raise AssertionError(f"somebody came in beside process {os.getpid()}")
        place.unlink()
        with Path(log).open("a") as file:
            file.write(json.dumps({"pid": os.getpid()}) + "\n")
