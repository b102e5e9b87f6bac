"""Work on many files in threads without holding all of it in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def default_workers() -> int:
    """Threads for reading files: the processor count, at most 8."""
    return min(8, os.cpu_count() or 1)


def bounded_map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int | None = None,
    ahead: int = 64,
    together: int = 1,
) -> Iterator[R]:
    """Results in the order of the items, with few of them waiting at any time.

    Args:
        function: what to do with an item.
        items: the items; taken as they are needed.
        workers: threads; the processor count up to 8 if None.
        ahead: items that may be under way or done and not yet asked for.
        together: items that a thread is handed at once, where one takes no longer than the hand-over: a small
            mask is decoded in five times as long. An error of one takes the results of those with it.
    """
    waiting: deque[Future[list[R]]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(workers or default_workers()) as pool:
        try:
            while some := list(islice(rest, together)):
                waiting.append(pool.submit(_each, function, some))
                if len(waiting) * together >= ahead:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # after an error, or if nobody wants the rest
            for future in waiting:
                future.cancel()


def _each(function: Callable[[T], R], items: list[T]) -> list[R]:
    return [function(item) for item in items]
