"""A command that nobody can wait for ends by one line and the code of its signal, whatever it was doing."""

from __future__ import annotations

import subprocess
import sys

import pytest

_COMMAND = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it would be ignored
from aucseg import cli
import aucseg.cli.commands as found
found.commands = lambda: os.kill(os.getpid(), {number})
cli.app()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_before_there_is_anything_to_save(number: int, code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _COMMAND.format(number=number)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "stopped\n")
