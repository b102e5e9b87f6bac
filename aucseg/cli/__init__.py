"""The ``aucseg`` command."""

from __future__ import annotations

import sys

from aucseg.errors import UserError, extra


def app() -> None:
    """Run the command; an error that its user can mend becomes one line on standard error and exit code 1.

    Any other exception is a bug, whose traceback tells more than a line.
    """
    try:
        with extra("train"):
            from aucseg.cli.commands import commands
        commands()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


__all__ = ["app"]
