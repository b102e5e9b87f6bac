"""One run is trained by one process at a time."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from aucseg.errors import file_errors
from aucseg.training.checkpoint import CheckpointError
from aucseg.training.devices import is_first

_log = logging.getLogger("aucseg")


@contextmanager
def claim(folder: str | Path, *, report: Callable[[str], None] = _log.warning) -> Iterator[None]:
    """Keep a run's folder for this process; where another one has it, wait until it is done or dead.

    The lock is the operating system's, on ``<folder>.lock``: it ends with the process that holds it, however
    that ends. A claim within a claim of the same thread is given at once. The processes of one distributed
    training share the claim of its first.

    Args:
        folder: the folder of the run.
        report: called with one line if there is somebody to wait for.

    Raises:
        CheckpointError: if the place of the folder cannot be written to.
    """
    if not is_first():
        yield
        return
    folder = Path(folder).absolute()
    owner = folder.with_name(folder.name + ".owner")
    with file_errors(folder.parent, "cannot be written to", kind=CheckpointError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(folder.name + ".lock"), is_singleton=True)
        first = not lock.is_locked
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"{folder.name}: {_read(owner)} trains this run; process {os.getpid()} waits for it")
            lock.acquire(poll_interval=0.5)
        if first:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            owner.write_text(f"process {os.getpid()} on {platform.node()}, since {since},", encoding="utf-8")
    try:
        yield
    finally:
        if first:
            owner.unlink(missing_ok=True)
        lock.release()


def _read(owner: Path) -> str:
    try:
        return owner.read_text(encoding="utf-8") or "another process"
    except OSError:  # it has the lock and has not written yet, or has ended by now
        return "another process"
