from __future__ import annotations

from importlib import import_module


def test_every_candidate_is_timed_and_the_neighbours_end():
    benchmark = import_module("busy_cores")
    small = benchmark.Setting(5, 1, 32, 32, held=3, patch=4)
    with benchmark.busy(1):
        times = benchmark.case(small, 2)
    assert list(times) == [benchmark.CE, benchmark.AUC, benchmark.FUSED]
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in times.values())


def test_a_policy_reaches_the_process_it_is_for(monkeypatch):
    benchmark = import_module("busy_cores")
    seen = []

    class Done:
        stdout = '{"a": [1.0]}\n'

    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setattr(benchmark.subprocess, "run", lambda *_, env, **__: seen.append(env) or Done)
    small = benchmark.Setting(5, 1, 32, 32)
    assert benchmark.elsewhere(small, 2, None) == {"a": [1.0]}
    benchmark.elsewhere(small, 2, "PASSIVE")
    assert [env.get("OMP_WAIT_POLICY") for env in seen] == [None, "PASSIVE"]
