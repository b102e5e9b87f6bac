"""The ``aucseg`` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import aucseg
from aucseg.errors import UserError, extra


def app() -> None:
    """Run the command; an error that its user can mend becomes one line on standard error and exit code 1.

    Any other exception is a bug, whose traceback tells more than a line.
    """
    if sys.argv[1:] == ["--version"]:  # also where the extra is missing, of which a report of a fault may be
        sys.stdout.write(f"{aucseg.__version__}\n")
        return
    before = _end_on_signals()
    _settle_in()
    try:
        with extra("train"):
            from aucseg.cli.commands import commands
        commands()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    finally:  # while Python ends, what a handler raises would be printed as a traceback
        for number, usual in before.items():
            signal.signal(number, usual)


def _settle_in() -> None:
    """Settings of the machine that PyTorch reads when it is imported, unless the user has made them.

    Threads that wait for work sleep: else they spin on a core that another process, a loader or the other
    runs of a sweep could have. Large tensors lie in large pages, where Linux has them: of the time of a step
    on a CPU up to half goes into handing out small ones. Processes that are started from here inherit both.
    """
    for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("THP_MEM_ALLOC_ENABLE", "1")):
        os.environ.setdefault(name, value)


def _end_on_signals() -> dict[int, Any]:
    """Ctrl-C and SIGTERM end a command by one line and 130 or 143, from its first import on.

    What has something to save takes over while it has; what is started with Ctrl-C ignored stays so.

    Returns:
        The handlers that were there before, by signal.
    """
    command = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == command:  # and not a process that was forked, for each of which there would be one
            sys.stderr.write("stopped\n")
        raise SystemExit(128 + number)

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    return {n: signal.signal(n, end) for n, handler in usual.items() if signal.getsignal(n) == handler}


__all__ = ["app"]
