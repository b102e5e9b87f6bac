from __future__ import annotations

from importlib import import_module


def test_every_candidate_takes_a_whole_step():
    benchmark = import_module("step")
    rows = {row["candidate"]: row for row in benchmark.quick("cpu", 1)}
    assert list(rows) == [benchmark.CE, benchmark.LOSS, benchmark.BANK]
    assert rows[benchmark.CE]["per_cross_entropy"] == 1
    assert all(row["seconds"] > 0 for row in rows.values())
