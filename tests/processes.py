"""Starts functions of tests in processes of their own, which share one import of what a training needs."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

# Modules, not rooms of the package: a room imports what is in it when it is asked for.
_PRELOADED = ["aucseg.experiments.store", "aucseg.cli.runs"]


def forks() -> ForkServerContext:
    """Processes that are forked from one that has imported everything, where a start takes seconds.

    For what a process does, not for tests of how it starts.
    """
    multiprocessing.set_forkserver_preload(_PRELOADED)  # whoever comes first starts it for all
    return multiprocessing.get_context("forkserver")


def on_ranks(run: Callable[..., None], number: int, *arguments: Any) -> None:
    """Call ``run(rank, *arguments)`` on ``number`` processes and wait; an error in one of them is raised.

    Args:
        run: of a module that a fresh interpreter can import.
        number: processes.
        arguments: passed on.
    """
    forks()
    mp.start_processes(run, args=arguments, nprocs=number, start_method="forkserver")


def start_quietly(
    said: Path, run: Callable[..., None], *arguments: Any, environment: Mapping[str, str]
) -> BaseProcess:
    """Start ``run(*arguments)`` in a process whose words go to a file.

    Args:
        said: the file.
        run: of a module that a fresh interpreter can import.
        arguments: passed on.
        environment: variables that it has besides those of this process.
    """
    variables = os.environ | environment
    process = forks().Process(target=_quietly, args=(said, variables, run, arguments), daemon=True)
    process.start()
    return process


def _quietly(
    said: Path, variables: Mapping[str, str], run: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ.update(variables)
    torch.set_num_threads(1)
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    run(*arguments)


def command(*words: str) -> None:
    """Run ``aucseg WORDS`` as the entry point does; it ends the process with its exit code."""
    from aucseg.cli import app

    sys.argv = ["aucseg", *words]
    app()
