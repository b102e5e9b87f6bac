from __future__ import annotations

import sys
from importlib import import_module

import pandas as pd
import pytest

from tests.repository import ROOT


def test_every_piece_and_both_steps_are_measured(tmp_path, monkeypatch):
    path = tmp_path / "mean_teacher.csv"
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--device", "cpu", "--csv", str(path)])
    benchmark = import_module("mean_teacher")
    benchmark.run_on_devices("mean_teacher", benchmark.__doc__, benchmark.measure, benchmark.quick)
    table = pd.read_csv(path).set_index("candidate")
    assert set(table.index) == {*benchmark.PIECES, benchmark.STUDENT, benchmark.SUPERVISED, benchmark.WHOLE}
    assert (table["seconds"] > 0).all()
    assert table.loc[benchmark.STUDENT, "per_student_step"] == pytest.approx(1)
    assert table.loc[benchmark.SUPERVISED, "per_supervised_step"] == pytest.approx(1)
    assert table["per_supervised_step"].notna().sum() == 2
