from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from aucseg import plots
from aucseg.experiments import measured_on
from tests.repository import ROOT


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The results of the whole benchmark at sizes that take no time, from the command line to the file."""
    path = tmp_path_factory.mktemp("benchmark") / "auc_loss.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.setattr(sys, "argv", ["auc_loss.py", "--quick", "--device", "cpu", "--csv", str(path)])
        benchmark = import_module("auc_loss")
        benchmark.run_on_devices("auc_loss", benchmark.__doc__, benchmark.measure, benchmark.quick)
    return pd.read_csv(path)


def test_every_part_is_measured(table):
    parts = {"shapes", "alternatives", "surrogates", "pixels", "classes"}
    memory = {"memory"} if Path("/proc/self/clear_refs").exists() else set()
    assert set(table["part"]) == parts | memory
    timed = table[table["part"] != "memory"]
    assert (timed["seconds"] > 0).all()
    assert (timed.loc[timed["candidate"] == "cross entropy", "per_cross_entropy"] == 1).all()
    assert (timed["per_cross_entropy_low"] <= timed["per_cross_entropy_high"]).all()
    assert table[["hardware", "threads", "versions", "date"]].notna().all().all()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is counted on Linux only")
def test_memory_of_cross_entropy_is_what_it_is_known_to_be(table):
    """Log-softmax, its gradient and that of the logits, each as large as the logits."""
    (extra,) = table.loc[table["part"] == "memory", "extra_memory"]
    assert extra == pytest.approx(3, abs=0.25)


def test_results_can_be_drawn(table):
    figure = plots.ratio_plot(table, part="alternatives")
    assert "pairwise matrix" in {text.get_text() for text in figure.axes[0].get_yticklabels()}
    assert len(plots.cost_curves(table).axes[0].lines) == 6  # five candidates, and what is in proportion
    assert ", 1 thread, " in measured_on(table)
    plt.close("all")


def test_slow_and_large_candidates_drop_out_of_a_curve(monkeypatch):
    benchmark = import_module("auc_loss")
    seconds = {benchmark.CE: 1e-3, benchmark.ONE_HOT: 3.0, benchmark.PAIRS: 1e-3}
    ran = []

    def compare(part, setting, names, device, repetitions):
        ran.append(names)
        return [{"candidate": name, "seconds": seconds.get(name, 0.0)} for name in names]

    monkeypatch.setattr(benchmark, "compare", compare)
    settings = tuple(benchmark.Setting(19, 1, side, side) for side in (100, 130, 300))
    list(benchmark.curve("pixels", settings, "cpu", 1))
    gone = [set(benchmark.CURVES) - set(names) for names in ran]
    # 130^4 pairs still fit; 3 s may become 3 x (300 / 130)^4 = 85 s
    assert gone == [set(), set(), {benchmark.PAIRS, benchmark.ONE_HOT}]
