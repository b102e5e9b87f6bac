"""What an engine runs: commands, and what it is told about where."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aucseg import paths
from aucseg.data.files import probe_folder
from aucseg.errors import OptionError

MORE = 75
"""Exit code of a command that has more to do and wants a fresh process for it (``EX_TEMPFAIL``)."""

LEASH = "AUCSEG_LEASH"
"""Set for a command that is to end, as after SIGTERM, when its standard input is closed."""


@dataclass(frozen=True)
class Task:
    """One command.

    Attributes:
        name: what it is called in lines about it.
        words: what comes after ``aucseg``.
    """

    name: str
    words: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command, of this Python."""
        return (sys.executable, "-m", "aucseg", *self.words)


class Ended(NamedTuple):
    """How a process of a task ended.

    Attributes:
        host, pid: where it was.
        code: its exit code; below 0 if a signal ended it.
    """

    host: str
    pid: int
    code: int

    @property
    def crashed(self) -> bool:
        """Whether it ended without having told why."""
        return self.code < 0

    @property
    def how(self) -> str:
        """The same in words."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        name = signal.Signals(-self.code).name
        return f"was ended by {name}" + (" (is the memory full?)" if name == "SIGKILL" else "")


STOPPED = tuple(
    128 + getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""Exit codes of commands that were stopped and have saved what they had."""


@dataclass(frozen=True)
class Place:
    """Where and how an engine runs its tasks.

    Attributes:
        jobs: how many at a time.
        scheduler: address of a Dask scheduler.
        folder: for logs.
        minutes: limit of a job.
        warning: seconds before that limit at which a job is told to save what it has.
        partition: of Slurm.
        gpus, cpus: of a job; Slurm's own default if ``None``.
        memory: of a job, in GiB.
        more: further options of ``sbatch`` by their long names.
        wait: return when all tasks are done, and not when they are handed over.
        crashed: called when a process ended without having told why; says whether to start it again.
    """

    jobs: int = 1
    scheduler: str | None = None
    folder: Path = field(default_factory=lambda: paths.runs() / "sweeps" / "logs")
    minutes: int = 240
    warning: int = 120
    partition: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    memory: float | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    wait: bool = False
    crashed: Callable[[Ended], bool] = lambda ended: False

    def __post_init__(self) -> None:
        for name in ("jobs", "minutes", "warning"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}", remedy="give a number from 1")
        if self.warning >= 60 * self.minutes:
            raise OptionError(
                f"a job of {self.minutes} minutes cannot be told {self.warning} s before its end",
                remedy="allow more minutes",
            )

    def make_folder(self) -> None:
        """Make the folder of the logs: Slurm opens them before anything of ours runs.

        Raises:
            DataError: if the system refuses.
        """
        probe_folder(self.folder)


def on_leash() -> None:
    """End this process, as after SIGTERM, when whoever started it as a task has ended, however that was."""
    if os.environ.pop(LEASH, None) is None:
        return

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 1):  # not sys.stdin, whose lock this thread would hold when the process ends
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="leash", daemon=True).start()


class Process:
    """A command that runs, on a leash: when this process ends, however, the command is told to stop.

    Args:
        command: the command.
        more: environment variables beside those of this process.
    """

    def __init__(self, command: tuple[str, ...], more: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            env=os.environ
            | {"AUCSEG_HOME": str(paths.home()), LEASH: "1", "PYTHONUNBUFFERED": "1"}
            | dict(more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def send(self, signum: int) -> None:
        """Hand a signal on."""
        self._process.send_signal(signum)

    def follow(self, report: Callable[[str], None]) -> Ended:
        """Wait until it ends.

        Args:
            report: called with each line that it prints.
        """
        assert self._process.stdout is not None
        with self._process:
            for line in self._process.stdout:
                report(line.rstrip("\n"))
            code = self._process.wait()
        if code < 0 and 128 - code in STOPPED:  # before it could listen: it had nothing to save
            code = 128 - code
        return Ended(platform.node(), self._process.pid, code)
