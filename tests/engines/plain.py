"""A task of any Python program, which starts in a fraction of the time of ours."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from aucseg.engines import Task


@dataclass(frozen=True)
class Plain(Task):
    """``words`` are a program and its arguments."""

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command."""
        return (sys.executable, "-c", *self.words)
