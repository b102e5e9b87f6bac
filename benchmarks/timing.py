"""Candidates that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import torch

_LEAST = 5  # turns that a median and its quartiles want
_SHORT = 0.5  # seconds of a call from which on another for warming up is too dear


def turns(
    candidates: dict[str, Callable[[], Any]],
    *,
    repetitions: int,
    device: str,
    budget: float = math.inf,
    steady: Collection[str] = (),
    window: float = 0.0,
    busy: bool = False,
) -> dict[str, list[float]]:
    """Seconds of each candidate, turn by turn; nan where one sat out.

    The first call warms up. Where it takes longer than the whole budget, it is the only one, and its number.

    Args:
        candidates: what to time, by name; the first takes part in every turn.
        repetitions: turns, at most.
        device: waited for before and after a call.
        budget: seconds of turns for each candidate.
        steady: names that take at least five turns, whatever these cost.
        window: calls are repeated for this many seconds each time the clock is read: one short call on an
            accelerator measures how long Python takes to start it, on a busy CPU who else has its turn.
        busy: on a CPU count the time that this process has the processor, for candidates that run on one
            thread and wait for nothing; then others who have their turn do not count.
    """
    first = next(iter(candidates))
    seconds = partial(_seconds, clock="process_time" if busy and device == "cpu" else "perf_counter")
    calls, taken, times = {}, {}, dict[str, list[float]]()
    for name, run in candidates.items():
        once = seconds(run, device, 1)
        if window and (device != "cpu" or once < _SHORT):
            # compiled and loaded in the first call, which says nothing about how many calls fit
            once = seconds(run, device, 1)
        if once > budget and name not in steady:
            times[name] = [once]
            continue
        calls[name] = max(1, math.ceil(window / once))
        least = min(repetitions, _LEAST if name in steady else 1)
        taken[name] = max(least, int(min(repetitions, budget / (once * calls[name]))))
    rounds = max(taken.values(), default=1)
    if first in taken:
        taken[first] = rounds
    for name in candidates:
        times[name] = (times.get(name, []) + [math.nan] * rounds)[:rounds]
    for turn in range(rounds):
        for name, run in candidates.items():
            # the turns of a candidate are spread over all: 3 of 9 are the first, the fourth, the seventh
            if name in taken and turn * taken[name] % rounds < taken[name]:
                times[name][turn] = seconds(run, device, calls[name])
    return {name: times[name] for name in candidates}


def quartiles(times: list[float], baseline: list[float] | None = None) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of some turns, or of their ratios to another's same turns."""
    ratios = [a / b for a, b in zip(times, baseline or [1.0] * len(times), strict=True)]
    values = [value for value in ratios if not math.isnan(value)]
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _seconds(run: Callable[[], Any], device: str, calls: int, *, clock: str) -> float:
    now = getattr(time, clock)
    _wait(device)
    start = now()
    for _ in range(calls):
        run()
    _wait(device)
    return (now() - start) / calls


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
