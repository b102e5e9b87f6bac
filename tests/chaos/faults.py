"""A disk that fails: file operations below a folder that are refused, broken off, or end the process.

It stands where Python meets the system: what the package and PyTorch's writer do with files goes through
``open``, ``os.open``, ``os.write``, ``os.fsync``, ``os.replace`` and ``os.posix_fallocate``.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("open", "read", "write", "sync", "move", "room")
ERRORS = {
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "broken": errno.EIO,
    "read-only": errno.EROFS,
}


class Disk:
    """Counts operations below a folder, and at one of them does what it is told.

    Args:
        folder: what lies outside it is let alone.
        at: number of the operation, from 0; None counts only.
        kinds: the operations that are meant.
        fault: one of :data:`ERRORS`; or ``"kill"``, which ends the process by SIGKILL. Half of the bytes that
            were to be written have arrived by then.
        stays: all later operations of these kinds fail too, as on a disk that is full and stays so.

    Attributes:
        counts: operations so far, by kind.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        at: int | None = None,
        kinds: tuple[str, ...] = KINDS,
        fault: str = "full",
        stays: bool = False,
    ) -> None:
        self.folder = os.path.realpath(folder) + os.sep
        self.at, self.kinds, self.fault, self.stays = at, kinds, fault, stays
        self.counts = dict.fromkeys(KINDS, 0)
        self._met = 0
        self._handles: set[int] = set()

    def install(self) -> None:
        """Stand between Python and the system, for the rest of this process."""
        opened, os_open, os_write = io.open, os.open, os.write
        fsync, replace, room = os.fsync, os.replace, os.posix_fallocate

        def open_(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if isinstance(file, int) or not self._mine(file):
                return opened(file, mode, *arguments, **options)
            writes = any(letter in mode for letter in "wax+")
            self._meet("open" if writes else "read")
            found = opened(file, mode, *arguments, **options)
            return _File(found, self) if writes else found

        def open_handle(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            mine = not isinstance(path, int) and self._mine(path)
            writes = bool(flags & (os.O_CREAT | os.O_TRUNC))
            if mine and writes:
                self._meet("open")
            handle = os_open(path, flags, *arguments, **options)
            if mine and writes:
                self._handles.add(handle)
            return handle

        def write(handle: int, data: bytes) -> int:
            if handle in self._handles:
                self._meet("write", lambda: os_write(handle, data[: len(data) // 2]))
            return os_write(handle, data)

        def sync(handle: Any) -> None:
            number = handle if isinstance(handle, int) else handle.fileno()
            if self._mine(f"/proc/self/fd/{number}"):
                self._meet("sync")
            fsync(handle)

        def move(source: Any, target: Any, *arguments: Any, **options: Any) -> None:
            if self._mine(target):
                self._meet("move")
            replace(source, target, *arguments, **options)

        def allocate(handle: int, offset: int, size: int) -> None:
            if self._mine(f"/proc/self/fd/{handle}"):
                self._meet("room")
            room(handle, offset, size)

        builtins.open = io.open = open_  # type: ignore[assignment]
        os.open, os.write, os.fsync, os.replace, os.posix_fallocate = (
            open_handle,
            write,
            sync,
            move,
            allocate,
        )

    def _mine(self, path: Any) -> bool:
        return (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(self.folder)

    def _meet(self, kind: str, half: Callable[[], object] = lambda: None) -> None:
        self.counts[kind] += 1
        if kind not in self.kinds:
            return
        now, self._met = self._met, self._met + 1
        if self.at is None or not (now == self.at or (self.stays and now > self.at)):
            return
        half()
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        number = ERRORS[self.fault]
        raise OSError(number, os.strerror(number))


class _File:
    """A file that is being written."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._disk._meet("write", half)
        written: int = self._file.write(data)
        return written

    def __enter__(self) -> _File:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
