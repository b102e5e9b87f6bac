"""What a sweep costs beside the runs it is made of.

python benchmarks/sweep.py [--csv [FILE]]

- ``status``: ``aucseg sweep status`` of 10,000 planned runs, of which a third is recorded, a hundred are
  running and fifty failed; a process of its own, imports included: ``seconds``, and those of the processor.
- ``overhead``: a worker goes through 1,000 runs whose training is replaced by the record of another seed.
  What is left, to read the plan, to claim, to write and to read back, is ``cpu_seconds`` for each run;
  ``ratio`` divides it by the median of the recorded runs, ``usual_seconds``.
- ``jobs``: eight small runs one by one and with ``--jobs 2``, in turns: ``speed`` by the clock. Wants two
  cores that nobody else uses.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measure import Row, run_on_devices

from aucseg.experiments.failures import note_failure
from aucseg.experiments.store import RecordStore
from aucseg.experiments.sweeps import Plan, PlannedRun, work
from aucseg.training import Record, RunConfig
from aucseg.training.claims import claim

SMALL = ("ablation_components", "--profile", "smoke", "--seed", "0", "--seed", "1")  # eight runs


class Simulated(RecordStore):
    """Keeps records as ever, and takes each from a template instead of a training."""

    template: Record

    def train(self, config: RunConfig, *_: Any, **__: Any) -> Record:
        """The template's figures under the name of a run."""
        record = renamed(self.template, config)
        self.put(record)
        return record


def renamed(record: Record, config: RunConfig) -> Record:
    """A record as another run's own."""
    content = config.pinned().resolved().model_dump(mode="json")
    return record.model_copy(update={"identity": config.identity, "config": content})


@contextmanager
def home() -> Iterator[Path]:
    """A folder that stands for the project as long as the ``with`` statement lasts."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(patch.dict(os.environ, AUCSEG_HOME=str(folder)))
        yield folder


def a_record() -> Record:
    """The first run of the main ablation."""
    return next(r for r in RecordStore() if r.run_config.name.startswith("ablation_components/"))


def seeds(record: Record, number: int) -> list[PlannedRun]:
    """The run of a record with other seeds."""
    config = record.run_config
    return [PlannedRun.of(config.model_copy(update={"seed": 1000 + n})) for n in range(number)]


def command(*words: str) -> tuple[float, float]:
    """Run ``aucseg`` in a process: seconds by the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "aucseg", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def status_of(number: int, repetitions: int) -> Iterator[Row]:
    """``aucseg sweep status`` of many runs."""
    record = a_record()
    runs = seeds(record, number)
    with home(), ExitStack() as stack:
        Plan(runs).write()
        store = RecordStore()
        for run in runs[: number // 3]:
            store.put(renamed(record, run.config))
        running = runs[number // 3 :][: number // 100]
        for run in running:
            stack.enter_context(claim(run.folder))
        for run in runs[-(number // 200) :]:
            note_failure(run.folder, "no space is left on the disk", "OSError")
        times = [command("sweep", "status") for _ in range(repetitions)]
    yield {
        "part": "status",
        "device": "cpu",
        "runs": number,
        "seconds": statistics.median(seconds for seconds, _ in times),
        "cpu_seconds": min(cpu for _, cpu in times),
    }


def overhead(number: int) -> Iterator[Row]:
    """A worker with nothing to do but what is not training."""
    usual = statistics.median(record.timing["seconds_total"] for record in RecordStore())
    record = a_record()
    with home():
        runs = Plan(seeds(record, number))
        store = Simulated()
        store.template = record
        began, clock = time.process_time(), time.perf_counter()
        work(Plan.read(runs.write()).runs, store)
        cpu, seconds = time.process_time() - began, time.perf_counter() - clock
    yield {
        "part": "overhead",
        "device": "cpu",
        "runs": number,
        "seconds": seconds / number,
        "cpu_seconds": cpu / number,
        "usual_seconds": usual,
        "ratio": cpu / number / usual,
    }


def jobs(steps: int, repetitions: int) -> Iterator[Row]:
    """Eight small runs one by one, and two at a time."""
    words = ("sweep", *SMALL, "--set", f"optim.steps={steps}", "--quiet")
    times: Mapping[str, list[float]] = {"one by one": [], "--jobs 2": []}
    for _ in range(repetitions):
        for name, more in (("one by one", ()), ("--jobs 2", ("--jobs", "2"))):
            with home() as folder:
                times[name].append(command(*words, *more)[0])
                shutil.rmtree(folder / "runs", ignore_errors=True)
    base = times["one by one"]
    for name, seconds in times.items():
        speeds = sorted(b / s for b, s in zip(base, seconds, strict=True))
        yield {
            "part": "jobs",
            "device": "cpu",
            "runs": 8,
            "candidate": name,
            "seconds": statistics.median(seconds),
            "speed": statistics.median(speeds),
            "speed_low": speeds[0],
            "speed_high": speeds[-1],
        }


def measure(device: str, repetitions: int) -> Iterator[Row]:
    """All parts; they say nothing of a GPU."""
    if device == "cpu":
        yield from status_of(10_000, min(repetitions, 5))
        yield from overhead(1000)
        yield from jobs(150, min(repetitions, 3))


def quick(device: str, repetitions: int) -> Iterator[Row]:
    """All parts, tiny."""
    if device == "cpu":
        yield from status_of(200, 1)
        yield from overhead(5)


if __name__ == "__main__":
    run_on_devices("sweep", __doc__ or "", measure, quick)
