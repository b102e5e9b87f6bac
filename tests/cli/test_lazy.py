"""Help of a group whose commands are imported when they are called."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.main import get_command

from aucseg.cli.commands import commands
from tests.command import aucseg


def test_help_says_what_each_command_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read in the sources, and the command's own when it is imported."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("NO_COLOR", "1")
    told = aucseg("--help").stdout
    group = get_command(commands)
    names = group.list_commands(None)  # type: ignore[attr-defined,arg-type]
    assert names[:2] == ["data", "config"]
    for name in names:
        command = group.commands[name]  # type: ignore[attr-defined]
        first = command.help.split("\n\n")[0]
        line = next(line for line in told.splitlines() if line.strip("│ ").startswith(f"{name} "))
        assert line.strip("│ ").removeprefix(name).strip() == " ".join(first.split())


def test_a_command_sets_what_pytorch_reads_at_its_import_and_leaves_what_the_user_said() -> None:
    names = ("OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE")
    program = f"""
import os, sys
import aucseg.cli

sys.argv = ["aucseg", "--help"]
try:
    aucseg.cli.app()
except SystemExit:
    pass
assert "torch" not in sys.modules
print([os.environ.get(name) for name in {names!r}])
"""
    environment = {key: value for key, value in os.environ.items() if key not in names}
    for given, found in (({}, "['PASSIVE', '1']"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "['ACTIVE', '1']")):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment | given, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == found
