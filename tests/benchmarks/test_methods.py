from __future__ import annotations

import sys
from importlib import import_module

import pandas as pd
import pytest


def test_arms_are_measured_beside_cross_entropy(tmp_path, monkeypatch):
    path = tmp_path / "methods.csv"
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--device", "cpu", "--csv", str(path)])
    benchmark = import_module("methods")
    benchmark.run_on_devices("methods", benchmark.__doc__, benchmark.measure, benchmark.quick)
    table = pd.read_csv(path).set_index("arm")
    assert list(table.index) == ["baseline", "both", "rr"]
    assert table.loc["baseline", "per_cross_entropy"] == pytest.approx(1)
    assert (table["seconds"] > 0).all()
    assert (
        table["per_cross_entropy"]
        .between(table["per_cross_entropy_low"], table["per_cross_entropy_high"])
        .all()
    )


def test_the_bank_pastes_in_every_step_that_is_timed():
    """Its step is to cost what it costs in training: after the first batches there is something to paste."""
    benchmark = import_module("methods")
    config = benchmark.configuration("both", (32, 64))
    assert config.bank is not None
    module, _, batches = benchmark.prepared("both", (32, 64), "cpu")
    images, target = batches[0]
    pasted, labels = module.bank(images.clone(), target.clone())
    assert not labels.equal(target)
    assert not pasted.equal(images)
