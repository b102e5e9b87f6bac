"""Processes of this machine: each has its share of the cores, and one of the GPUs."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from types import FrameType

from aucseg.engines.task import MORE, STOPPED, Place, Process, Task

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_local(tasks: Sequence[Task], place: Place, report: Callable[[str], None]) -> dict[str, int]:
    """Run tasks in processes of this machine, ``place.jobs`` of them at a time.

    SIGTERM and SIGUSR1 are handed on to each, and Ctrl-C goes to all by itself; then they are waited for.

    Args:
        tasks: the commands.
        place: how many at a time, and whom a crash is told.
        report: called with each line that one prints, after its name.

    Returns:
        The exit code of each task by its name, below 0 where a signal ended it.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when all have ended.
    """
    slots: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(place.jobs):
        slots.put(slot)
    shares, running, stopped = _shares(place.jobs), dict[str, Process](), threading.Event()

    def run(task: Task) -> int:
        slot = slots.get()
        try:
            while not stopped.is_set():
                running[task.name] = Process(task.command, shares[slot])
                ended = running[task.name].follow(lambda line: report(f"{task.name}: {line}"))
                if ended.crashed and not stopped.is_set():
                    report(f"{task.name}: {ended.how}")
                    again = place.crashed(ended)
                else:
                    again = ended.code == MORE
                if not again:
                    return ended.code
            return MORE  # it was stopped before it was done
        finally:
            running.pop(task.name, None)
            slots.put(slot)

    def stop(signum: int) -> None:
        stopped.set()
        for process in list(running.values()):
            process.send(signum)

    with ThreadPoolExecutor(place.jobs) as pool, _handed_on(stop) as came:
        futures = {pool.submit(run, task): task.name for task in tasks}
        try:
            codes = {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    if came:
        codes |= {name: 128 + came[0] for name, code in codes.items() if code in (*STOPPED, MORE)}
    return codes


def _shares(jobs: int) -> list[dict[str, str]]:
    """Environment of the process in each slot: its threads and its GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {key: str(max(1, cores // jobs)) for key in _THREADS if key not in os.environ}
    gpus = _gpus()
    return [
        threads | ({"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {}) for slot in range(jobs)
    ]


def _gpus() -> list[str]:
    """GPUs that this process may use, by the names that CUDA knows them by."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


@contextmanager
def _handed_on(stop: Callable[[int], None]) -> Iterator[list[int]]:
    """Signals of schedulers go to the processes; the list has those that came."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        stop(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield came
    finally:
        for number, was in before.items():
            signal.signal(number, was)
