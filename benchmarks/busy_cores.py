"""The AUC loss beside cross entropy while another process wants the cores, and while none does.

    python benchmarks/busy_cores.py --csv

``neighbours`` is the number of processes that compute without a pause, and ``wait_policy`` what
``OMP_WAIT_POLICY`` says: it is ``unset`` in a plain process, and ``passive`` in the commands of this package.
Every case is a process of its own, with as many threads as there are cores; in it the candidates take turns,
and ``per_cross_entropy`` and its quartiles are of the ratios turn by turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import torch
from auc_candidates import AUC, CE, FUSED, Setting, candidates
from measure import Row, run_on_devices
from timing import quartiles, turns

POLICIES = {"unset": None, "passive": "PASSIVE"}
BUSY = "while True: sum(range(100_000))"
SETTING = Setting(19, 4, 512, 512)


def measure(device: str, repetitions: int, setting: Setting = SETTING) -> Iterator[Row]:
    """One row for each candidate in each case; of the CPU alone."""
    if device != "cpu":
        return
    for neighbours in (0, 1):
        for name, policy in POLICIES.items():
            with busy(neighbours):
                times = elsewhere(setting, repetitions, policy)
            for candidate, seconds in times.items():
                low, ratio, high = quartiles(seconds, times[CE])
                yield {
                    "device": device,
                    "neighbours": neighbours,
                    "wait_policy": name,
                    "candidate": candidate,
                    **asdict(setting),
                    "seconds": quartiles(seconds)[1],
                    "per_cross_entropy": ratio,
                    "per_cross_entropy_low": low,
                    "per_cross_entropy_high": high,
                }


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """A small image."""
    return measure(device, repetitions, Setting(5, 1, 64, 64, held=3, patch=4))


@contextmanager
def busy(neighbours: int) -> Iterator[None]:
    """Other processes that want a core each."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(neighbours)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def elsewhere(setting: Setting, repetitions: int, policy: str | None) -> dict[str, list[float]]:
    """Seconds of each candidate by turn, in a process that reads the policy when it starts."""
    left_out = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, __file__, "--case", json.dumps([asdict(setting), repetitions])]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    times: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return times


def case(setting: Setting, repetitions: int) -> dict[str, list[float]]:
    """Seconds of each candidate by turn, here."""
    logits, target = setting.make("cpu")

    def step(name: str) -> None:
        logits.grad = None
        losses[name](logits, target).backward()

    losses = candidates(setting.num_classes, (CE, AUC, FUSED))
    steps = {name: lambda name=name: step(name) for name in losses}
    return turns(steps, repetitions=repetitions, device="cpu")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        size, number = json.loads(sys.argv[2])
        torch.set_num_threads(max(2, torch.get_num_threads()))
        print(json.dumps(case(Setting(**size), number)))
    else:
        run_on_devices("busy_cores", __doc__, measure, quick)
