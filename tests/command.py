"""Runs ``aucseg WORDS`` in this process, as the entry point does."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from aucseg.cli import app


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    exit_code: int | str
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, one after the other."""
        return self.stdout + self.stderr


def aucseg(*words: object) -> Result:
    """Run one command; an exception that the command line does not tell in a line is raised."""
    out, err = io.StringIO(), io.StringIO()
    code: int | str | None = 0
    with patch.object(sys, "argv", ["aucseg", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            app()
        except SystemExit as left:
            code = left.code
    return Result(code or 0, out.getvalue(), err.getvalue())
