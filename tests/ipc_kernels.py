"""Plugin for ``pytest --nbmake -p tests.ipc_kernels``: kernels that talk over Unix sockets of their own.

nbmake takes Jupyter's default, TCP ports that are drawn: two kernels that start at the same moment may draw
one. Its client also misses answers; ours does not.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from typing import Any

import nbmake.nb_run
import pytest
from traitlets.config import Config

from aucseg.notebooks import Awake


def pytest_configure(config: pytest.Config) -> None:
    """Put a client with its own sockets into the place where nbmake looks for one."""
    if os.name != "posix":
        return
    # of this process, and short: a socket's path has 107 bytes at most
    folder = tempfile.TemporaryDirectory(prefix="nbmake-", dir="/tmp")
    config.add_cleanup(folder.cleanup)
    numbers = itertools.count()

    class Client(Awake):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            sockets = Config()
            sockets.KernelManager.transport = "ipc"
            sockets.KernelManager.ip = f"{folder.name}/{next(numbers)}"
            super().__init__(*arguments, config=sockets, **options)

    nbmake.nb_run.NotebookClient = Client  # type: ignore[misc]
