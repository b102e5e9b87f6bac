from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from tests.repository import ROOT

COUNTED = Path("/proc/self/clear_refs").exists()  # the peak is known on Linux only


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The results of the whole benchmark at sizes that take no time, from the command line to the file."""
    path = tmp_path_factory.mktemp("benchmark") / "long_tail_losses.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.setattr(sys, "argv", ["x", "--quick", "--device", "cpu", "--csv", str(path)])
        benchmark = import_module("long_tail_losses")
        benchmark.run_on_devices("long_tail_losses", benchmark.__doc__, benchmark.measure, benchmark.quick)
    return pd.read_csv(path), benchmark


def test_every_part_is_measured(table):
    table, benchmark = table
    assert set(table["part"]) == {"shapes", "alternatives", "floor"} | ({"memory"} if COUNTED else set())
    timed = table[table["part"] != "memory"]
    assert (timed["seconds"] > 0).all()
    assert (timed.loc[timed["candidate"] == benchmark.CE, "per_cross_entropy"] == 1).all()
    assert set(timed["candidate"]) == {*benchmark.LOSSES, *benchmark.ALTERNATIVES, benchmark.DRAW}
    beside = timed[timed["per_alternative"].notna()]
    assert set(beside["candidate"]) == {ours for ours, _ in benchmark.ALTERNATIVES.values()}
    assert table[["hardware", "threads", "versions", "date"]].notna().all().all()


@pytest.mark.skipif(not COUNTED, reason="the peak is counted on Linux only")
def test_noise_costs_no_memory(table):
    """Cross entropy keeps its log-softmax and makes two tensors of that size; fused losses make one less."""
    table, benchmark = table
    extra = table[table["part"] == "memory"].set_index("candidate")["extra_memory"]
    assert extra[benchmark.CE] == pytest.approx(3, abs=0.25)
    assert extra["BLV"] < 1.1 * extra[benchmark.CE]


def test_what_is_compared_must_agree(monkeypatch):
    benchmark = import_module("long_tail_losses")
    wrong = ("logit adjusted", lambda counts: benchmark.cross_entropy)
    monkeypatch.setitem(benchmark.ALTERNATIVES, "logits shifted before", wrong)
    with pytest.raises(AssertionError, match="not close"):
        list(benchmark.compare("shapes", (5, 1, 32), "contiguous", "cpu", 1, others=True))
