"""One run is trained by one process at a time, on one machine or on many that share a folder."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import SoftFileLease, Timeout

from aucseg.data.files import write_text
from aucseg.errors import DataError, UserError, file_errors

_log = logging.getLogger("aucseg")

LEASE = 60.0
"""Seconds without a heartbeat after which a claim from another machine is dead; it beats every quarter."""

_PAUSE = 10.0  # seconds between two words about the step


class RunClaimed(UserError):
    """Another process trains the run; the message names it."""


class Claim:
    """A run's folder that is this process's.

    Args:
        owner: the file that says whose it is.
        lease: the claim itself; ``None`` in the other processes of a distributed training.
    """

    def __init__(self, owner: Path, lease: Any) -> None:
        self._owner, self._lease, self._told = owner, lease, 0.0
        self._facts: dict[str, Any] = {
            "host": platform.node(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }

    def check(self) -> None:
        """See that it still is: what a process writes that slept through its claim would be another's.

        Raises:
            RunClaimed: if it is not.
        """
        if self._lease is not None and self._lease.compromise is not None:
            raise RunClaimed(
                f"the claim on this run was lost (no heartbeat for {LEASE:g} s); {told(self._owner)} may "
                "train it now",
                file=self._owner.with_suffix(""),
                remedy="the same command goes on from the checkpoint",
            )

    def tell(self, **facts: Any) -> None:
        """Say beside the claim how far the run is, for `aucseg sweep status`.

        Args:
            facts: as ``step=3, steps=800, seconds_per_step=0.1``; within ten seconds nothing is written.
        """
        if self._lease is None or time.monotonic() - self._told < _PAUSE:
            return
        self._told = time.monotonic()
        with suppress(DataError):  # a disk that is full will tell at the next checkpoint
            write_text(self._owner, json.dumps(self._facts | facts))

    def begin(self) -> None:
        """Say whose it is.

        Raises:
            CheckpointError: if the system refuses.
        """
        # with PyTorch, which a look at claims is without
        from aucseg.training.checkpoint import CheckpointError, clear_parts

        with file_errors(self._owner, "cannot be written", kind=CheckpointError):
            clear_parts(self._owner)  # of a process that was killed while it told how far it was
            self._owner.write_text(json.dumps(self._facts), encoding="utf-8")


@contextmanager
def claim(
    folder: str | Path, *, wait: float = -1.0, report: Callable[[str], None] = _log.warning
) -> Iterator[Claim]:
    """Keep a run's folder for this process; where another one has it, wait until it is done or dead.

    The claim is a file, ``<folder>.claim``, made so that one process alone can make it, on a file system that
    machines share too; it holds the host, the process and when that was started, and a thread renews its time
    every fifteen seconds. It ends with the ``with`` statement. Of a process that ended otherwise it is taken
    over: at once on the same machine, and after a minute without a heartbeat from another one.
    A claim within a claim of the same thread is given at once. The processes of one distributed training
    share the claim of its first.

    Args:
        folder: the folder of the run.
        wait: seconds to wait at most; for ever if negative.
        report: called with one line if there is somebody to wait for.

    Raises:
        RunClaimed: if another process has it after that time.
        CheckpointError: if the place of the folder cannot be written to.
    """
    from aucseg.training.checkpoint import CheckpointError
    from aucseg.training.devices import is_first

    folder = Path(folder).absolute()
    owner = owner_path(folder)
    if not is_first():
        yield Claim(owner, None)
        return
    with file_errors(folder.parent, "cannot be written to", kind=CheckpointError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lease = SoftFileLease(
            claim_path(folder), lease_duration=LEASE, heartbeat_interval=LEASE / 4, is_singleton=True
        )
        first = not lease.is_locked
        _acquire(lease, folder, wait, report)
    mine = Claim(owner, lease)
    try:
        if first:
            mine.begin()
        yield mine
    finally:
        if first and lease.compromise is None:
            owner.unlink(missing_ok=True)
        lease.release()


def _acquire(lease: SoftFileLease, folder: Path, wait: float, report: Callable[[str], None]) -> None:
    try:
        lease.acquire(timeout=0)
    except Timeout:
        other = _other(owner_path(folder))
        if wait:
            report(f"{folder.name}: {other} trains this run; process {os.getpid()} waits for it")
        try:
            lease.acquire(timeout=wait, poll_interval=0.5)
        except Timeout:
            raise RunClaimed(f"{other} trains it", file=folder, remedy="wait for it, or stop it") from None


def claim_path(folder: Path) -> Path:
    """The claim on a run's folder."""
    return folder.with_name(folder.name + ".claim")


def owner_path(folder: Path) -> Path:
    """Where the holder of a claim says who it is and how far."""
    return folder.with_name(folder.name + ".owner")


def read_owner(owner: Path) -> dict[str, Any]:
    """What the holder of a claim says: ``host``, ``pid``, ``since``, and once it trains ``step`` and so on.

    Args:
        owner: of :func:`owner_path`.

    Returns:
        Nothing, where it has the claim and has not written yet, or has ended by now.
    """
    try:
        facts = json.loads(owner.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _other(owner: Path) -> str:
    """The same of one that may have got its claim just now, and has not said yet who it is."""
    for _ in range(10):
        if read_owner(owner):
            break
        time.sleep(0.05)
    return told(owner)


def told(owner: Path) -> str:
    """The holder of a claim in words.

    Args:
        owner: of :func:`owner_path`.
    """
    facts = read_owner(owner)
    if not {"host", "pid", "since"} <= set(facts):
        return "another process"
    return f"process {facts['pid']} on {facts['host']}, since {facts['since']},"
