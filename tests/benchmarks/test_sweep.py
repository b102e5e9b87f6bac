from __future__ import annotations

from importlib import import_module


def test_a_sweep_is_simulated_to_its_end(monkeypatch):
    benchmark = import_module("sweep")
    monkeypatch.setattr(benchmark, "command", lambda *words: (2.0, 1.0))
    (looked,) = benchmark.status_of(200, 1)
    assert (looked["runs"], looked["seconds"], looked["cpu_seconds"]) == (200, 2.0, 1.0)
    (row,) = benchmark.overhead(3)
    assert row["runs"] == 3
    assert row["ratio"] == row["cpu_seconds"] / row["usual_seconds"]
    one, two = benchmark.jobs(5, 1)
    assert (one["speed"], two["speed"]) == (1.0, 1.0)
