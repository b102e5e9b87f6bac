"""Pieces of work in threads, each piece serial.

PyTorch spreads every single operation over the cores. A computation that goes through its data in pieces
which fit the cache has many small operations, and waits at the end of each for the slowest thread: for as
long as a core is somebody else's, all wait for it. Here the threads take whole pieces, one after the other,
and meet once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")


class _Team:
    """Threads in which PyTorch's operations are serial, waiting for work."""

    def __init__(self) -> None:
        self.size = 0
        self.growing = threading.Lock()
        self.todo: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def grow(self, size: int) -> None:
        """Have at least so many threads."""
        with self.growing:
            ready: SimpleQueue[None] = SimpleQueue()
            before = torch.get_num_threads()
            missing = size - self.size
            for _ in range(missing):
                threading.Thread(target=self._serve, args=(ready,), daemon=True, name="aucseg").start()
            for _ in range(missing):
                ready.get()
                self.size += 1
            if missing > 0:  # the number that a thread sets is also that of all threads to come
                torch.set_num_threads(before)

    def _serve(self, ready: SimpleQueue[None]) -> None:
        torch.get_num_threads()  # takes the number of all, which would else replace the next line's later on
        torch.set_num_threads(1)
        ready.put(None)
        while True:
            self.todo.get()()


class Scratch:
    """Memory for one piece of work at a time, by a name for each use."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, torch.dtype], Tensor] = {}

    def get(self, name: str, size: int, like: Tensor, dtype: torch.dtype) -> Tensor:
        """(size,) of undefined content on the device of ``like``: the same memory for each call of a name."""
        block = self.blocks.get((name, dtype))
        if block is None or block.shape[0] < size:
            with torch.inference_mode(False):  # it may serve outside of that mode next
                block = self.blocks[name, dtype] = torch.empty(size, dtype=dtype, device=like.device)
        return block[:size]

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return sum(block.nbytes for block in self.blocks.values())


# Bytes of scratch that stay for the next call. Memory fresh from the system costs a fault for every page of
# it, several times what the work in it does.
_SPARE = 2**26
_team = _Team()
_spare: SimpleQueue[Scratch] = SimpleQueue()


def borrow() -> Scratch:
    """Scratch memory of the CPU that nobody else uses until it is given back."""
    try:
        return _spare.get_nowait()
    except Empty:
        return Scratch()


def give_back(*scratches: Scratch) -> None:
    """Scratch memory for the next who borrows; what would be too much in all is left to the system."""
    for scratch in scratches:
        if (_spare.qsize() + 1) * scratch.nbytes <= _SPARE:
            _spare.put(scratch)


def _forget() -> None:
    """A forked process has none of the threads, and a lock may be one of theirs."""
    global _team, _spare
    _team, _spare = _Team(), SimpleQueue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What some work makes of each item, several items at a time, each by one thread alone.

    As many threads as ``torch.get_num_threads()`` says, this one among them; so with one thread it is a loop.
    Python's lock is free during an operation of PyTorch, so that the others go on.

    Args:
        work: called with an item; must not write where another call reads or writes.
        items: what to work on. The first are begun first.

    Returns:
        The results in the order of the items.
    """
    before = torch.get_num_threads()
    if before == 1 or not torch.backends.openmp.is_available():
        return [work(item) for item in items]
    if len(items) == 1:
        torch.set_num_threads(1)
        try:
            return [work(items[0])]
        finally:
            torch.set_num_threads(before)
    threads, team = max(1, min(before, len(items))), _team
    if team.size < threads - 1:
        team.grow(threads - 1)
    results: list[R | None] = [None] * len(items)
    rest = iter(range(len(items)))  # who asks it gets a number that nobody else has
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def share() -> None:
        for number in rest:
            results[number] = work(items[number])

    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def help_out() -> None:
        try:
            with torch.inference_mode(inference), torch.set_grad_enabled(grad):  # a thread has its own
                share()
        except BaseException as error:  # it is raised where the work was asked for
            ended.put(error)
        else:
            ended.put(None)

    for _ in range(threads - 1):
        team.todo.put(help_out)
    errors: list[BaseException | None] = []
    try:
        torch.set_num_threads(1)
        share()
    finally:
        torch.set_num_threads(before)
        errors = [ended.get() for _ in range(threads - 1)]
    for error in errors:
        if error is not None:
            raise error
    return results  # type: ignore[return-value]  # every number has been taken
