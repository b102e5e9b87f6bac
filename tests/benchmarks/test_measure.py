from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch


class Clock:
    """Time that passes only while a candidate runs."""

    def __init__(self) -> None:
        self.now, self.ran = 0.0, []

    def perf_counter(self) -> float:
        return self.now

    def takes(self, name: str, *seconds: float):
        """A candidate; its calls last the given times, then the last of them."""
        left = list(seconds)

        def run() -> None:
            self.ran.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(import_module("timing"), "time", clock)
    return clock


def test_candidates_take_turns_and_the_slow_ones_fewer(clock):
    timing = import_module("timing")
    candidates = {"a": clock.takes("a", 9, 1), "b": clock.takes("b", 3), "c": clock.takes("c", 50)}
    times = timing.turns(candidates, repetitions=6, device="cpu", budget=10, steady=("a",))
    assert times["a"] == [1] * 5  # the first call warmed up; five turns, although a budget of 10 has but one
    assert times["b"][0] == 3
    assert [math.isnan(value) for value in times["b"]] == [False, True, False, True, False]
    assert times["c"][0] == 50  # its only call
    assert clock.ran.count("c") == 1
    assert clock.ran[3:7] == ["a", "b", "a", "a"]


def test_short_calls_fill_a_window(clock):
    timing = import_module("timing")
    times = timing.turns({"a": clock.takes("a", 0.375, 0.25)}, repetitions=2, device="cpu", window=1.0)
    assert times == {"a": [0.25, 0.25]}
    assert len(clock.ran) == 2 + 2 * 4


def test_busy_time_leaves_out_what_others_have(clock, monkeypatch):
    timing = import_module("timing")
    monkeypatch.setattr(clock, "process_time", lambda: clock.now / 4, raising=False)  # a quarter is ours
    run = clock.takes("a", 8)
    assert timing.turns({"a": run}, repetitions=1, device="cpu", busy=True) == {"a": [2]}
    assert timing.turns({"a": run}, repetitions=1, device="cpu") == {"a": [8]}


def test_interleaved_is_the_median(clock):
    measure = import_module("measure")
    medians = measure.interleaved({"a": clock.takes("a", 9, 1, 5, 2)}, repetitions=3, device="cpu")
    assert medians == {"a": 2}


def test_quartiles_are_of_the_ratios_of_the_same_turns():
    quartiles = import_module("timing").quartiles
    # the machine was ten times slower in the second turn
    assert quartiles([2.0, 20.0, math.nan], [1.0, 10.0, 1.0]) == (2, 2, 2)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2, 3, 4)
    assert quartiles([7.0, math.nan]) == (7, 7, 7)


def test_patches_hold_the_classes_that_are_asked_for():
    patches = import_module("measure").patches
    target = patches(2, 40, 64, 64, seed=0, present=12, patch=8, every=True, void=-1)
    for image in target:
        assert len(set(image.unique().tolist()) - {-1}) == 12
    assert 0.005 < (target == -1).float().mean() < 0.04
    assert patches(1, 40, 64, 64, seed=0).unique().numel() <= 5  # four patches and void
    with pytest.raises(ValueError, match="5 classes do not fit 4 patches"):
        patches(1, 5, 64, 64, seed=0, every=True)


def test_report_keeps_the_rows_of_other_devices(tmp_path, monkeypatch, capsys):
    measure = import_module("measure")
    monkeypatch.setattr(measure, "machine", lambda device: {"hardware": f"the {device}"})
    path = tmp_path / "new" / "x.csv"
    measure.report([{"device": "cpu", "ms": 1.0, "note": "a, b"}], path)
    measure.report(({"device": "cuda", "ms": 1 / 3, "note": None} for _ in range(2)), path)
    measure.report([{"device": "cpu", "ms": 1048576, "note": ""}], path)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "device,ms,note,hardware",
        "cuda,0.333333,,the cuda",
        "cuda,0.333333,,the cuda",
        "cpu,1048576,,the cpu",
    ]
    assert "ms 0.3333" in capsys.readouterr().out


def test_a_part_is_measured_by_itself_and_the_others_stay(tmp_path, monkeypatch):
    measure = import_module("measure")
    monkeypatch.setattr(measure, "machine", lambda device: {})
    monkeypatch.setattr(measure, "devices", lambda: ["cpu"])
    path = tmp_path / "x.csv"

    def part(name, ms):
        return lambda device, repetitions: [{"device": device, "part": name, "ms": ms}]

    def run(ms, *options):
        parts = {"a": part("a", ms), "b": part("b", ms)}
        monkeypatch.setattr("sys.argv", ["x", "--csv", str(path), *options])
        both = [*parts["a"]("cpu", 1), *parts["b"]("cpu", 1)]
        measure.run_on_devices("x", "Line.", lambda device, repetitions: both, parts=parts)
        return path.read_text(encoding="utf-8").splitlines()[1:]

    assert run(1) == ["cpu,a,1", "cpu,b,1"]
    assert run(2, "--part", "a") == ["cpu,b,1", "cpu,a,2"]
    assert run(3) == ["cpu,a,3", "cpu,b,3"]


@pytest.mark.parametrize("name", ["one_hot_class_loop", "pairwise_matrix"])
def test_other_ways_to_write_the_loss_are_the_loss(name):
    ways = import_module("auc_candidates")
    logits, target = ways.Setting(6, 2, 16, 16, held=4, patch=4).make("cpu")
    ours = ways.candidates(6, (ways.AUC,))[ways.AUC](logits, target)
    other = getattr(ways, name)(logits, target)
    torch.testing.assert_close(other, ours)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (other, ours)]
    torch.testing.assert_close(*gradients)
