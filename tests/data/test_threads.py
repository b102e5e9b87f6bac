"""`bounded_map`: the order and errors of map, with few results waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from aucseg.data.threads import bounded_map


def test_results_are_in_order_and_items_are_taken_as_needed() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(500):
            taken += 1
            yield i

    results = bounded_map(lambda i: i * i, items(), workers=3, ahead=10)
    assert [next(results) for _ in range(20)] == [i * i for i in range(20)]
    assert taken <= 30
    assert list(results) == [i * i for i in range(20, 500)]
    assert list(bounded_map(str, [], workers=2)) == []


def test_an_error_comes_in_its_turn_and_stops_the_rest() -> None:
    started = []

    def work(i: int) -> int:
        started.append(i)
        return 10 // (i - 3)

    results = bounded_map(work, range(1000), workers=2, ahead=8)
    assert [next(results) for _ in range(3)] == [-4, -5, -10]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(started) < 20


def test_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    assert list(bounded_map(lambda i: both.wait() >= 0, range(4), workers=2)) == [True] * 4


def test_items_handed_over_together_are_in_order_and_few_wait() -> None:
    taken: list[int] = []
    threads: dict[int, set[int]] = {}

    def items() -> Iterator[int]:
        for i in range(103):
            taken.append(i)
            yield i

    def work(i: int) -> int:
        threads.setdefault(i // 8, set()).add(threading.get_ident())
        return -i

    results = bounded_map(work, items(), workers=2, ahead=16, together=8)
    assert [next(results) for _ in range(9)] == [-i for i in range(9)]
    assert len(taken) <= 32
    assert list(results) == [-i for i in range(9, 103)]
    assert all(len(each) == 1 for each in threads.values())
