"""Starts a test's function on several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

import torch.multiprocessing as mp


def on_ranks(run: Callable[..., None], number: int, *arguments: Any) -> None:
    """Call ``run(rank, *arguments)`` on ``number`` processes and wait; an error in one of them is raised.

    Args:
        run: of a module that a fresh interpreter can import.
        number: processes.
        arguments: passed on.
    """
    multiprocessing.set_forkserver_preload([run.__module__])  # the processes share one import of torch
    mp.start_processes(run, args=arguments, nprocs=number, start_method="forkserver")
