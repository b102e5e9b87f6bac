"""What went wrong in the last attempt of a run, kept beside its checkpoint until it has a record."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from aucseg.data.files import write_text


@dataclass(frozen=True)
class Failure:
    """The last attempt of a run.

    Attributes:
        error: what was wrong, as it was told.
        kind: class of the error, or ``"Crash"`` where the process ended without a word.
        host, pid: where.
        when: local time, to the second.
        attempts: how many failed so far.
    """

    error: str
    kind: str
    host: str
    pid: int
    when: str
    attempts: int

    @property
    def at_once(self) -> bool:
        """Whether it shows before the first step: to try again costs seconds, and the cause may be gone."""
        return self.kind in _AT_ONCE

    def __str__(self) -> str:
        return f"{self.error} ({self.when} on {self.host}, attempt {self.attempts})"


CRASH = "Crash"
_AT_ONCE = ("ConfigError", "DataError", "HubError", "MissingExtraError", "MissingFileError", "OptionError")


def failure_path(folder: Path) -> Path:
    """Where the last failure of a run is kept.

    Args:
        folder: the folder of the run.
    """
    return folder.with_name(folder.name + ".failed")


def note_failure(folder: Path, error: str, kind: str) -> Failure:
    """Keep what was wrong.

    Args:
        folder: the folder of the run.
        error: what was wrong.
        kind: class of the error.

    Raises:
        DataError: if the system refuses.
    """
    before = read_failure(folder)
    failure = Failure(
        error,
        kind,
        platform.node(),
        os.getpid(),
        time.strftime("%Y-%m-%d %H:%M:%S"),
        1 if before is None else before.attempts + 1,
    )
    write_text(failure_path(folder), json.dumps(asdict(failure), indent=1) + "\n")
    return failure


def read_failure(folder: Path) -> Failure | None:
    """What was wrong in the last attempt of a run; ``None`` if it did not fail.

    A file that says nothing counts as a failure that nobody knows about.

    Args:
        folder: the folder of the run.
    """
    path = failure_path(folder)
    try:
        return Failure(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return Failure(f"{path} cannot be read", CRASH, "an unknown host", 0, "at an unknown time", 1)


def clear_failure(folder: Path) -> None:
    """Forget what was wrong.

    Args:
        folder: the folder of the run.
    """
    failure_path(folder).unlink(missing_ok=True)
