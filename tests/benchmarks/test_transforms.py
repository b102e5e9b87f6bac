from __future__ import annotations

from importlib import import_module


def test_every_step_is_measured_beside_decoding():
    benchmark = import_module("transforms")
    rows = {row["candidate"]: row for row in benchmark.quick("cpu", 1)}
    assert list(rows) == ["decoding", *benchmark.STEPS]
    assert rows["decoding"]["per_decoding"] == 1
    assert all(row["ms_per_image"] > 0 for row in rows.values())
