from __future__ import annotations

import pandas as pd
import pytest

from aucseg.experiments import BenchmarkError, benchmark_table, measured_on
from tests.repository import ROOT

NAMES = sorted(path.stem for path in (ROOT / "data" / "benchmarks").glob("*.csv"))


@pytest.mark.parametrize("name", NAMES)
def test_committed_results_say_where_they_come_from(name, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(ROOT))
    table = benchmark_table(name)
    assert len(table)
    assert set(table["device"]) <= {"cpu", "cuda"}
    for device in table["device"].unique():
        assert "torch 2." in measured_on(table, device)


def test_every_result_has_its_benchmark():
    assert {"auc_loss", "memory_bank", "streets"} <= set(NAMES)
    programs = [ROOT / "benchmarks" / f"{name}.py" for name in NAMES if name != "reliability"]
    assert all(program.is_file() for program in programs)  # that one is of tests/chaos


def test_missing_results_say_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    (tmp_path / "data" / "benchmarks").mkdir(parents=True)
    (tmp_path / "data" / "benchmarks" / "one.csv").write_text("device\n")
    with pytest.raises(BenchmarkError, match=r"two\.csv \(there are: one\); measure with `make bench`"):
        benchmark_table("two")


def test_measured_on_names_each_machine_once():
    rows = [
        ("cpu", "EPYC", 2, "Linux", "python=3.11.7 torch=2.15.0", "0123456789abcdef", "2026-11-21"),
        ("cpu", "EPYC", 2, "Linux", "python=3.11.7 torch=2.15.0", "0123456789abcdef", "2026-11-21"),
        ("cuda", "A GPU, EPYC", 8, "Linux", "python=3.12 torch=2.15.0", "fedcba9876543210+", "2026-11-22"),
        ("cuda", "A GPU, EPYC", 8, "Linux", "python=3.12 torch=2.15.0", None, "2026-11-23"),
    ]
    columns = ["device", "hardware", "threads", "platform", "versions", "git_commit", "date"]
    table = pd.DataFrame(rows, columns=columns)
    assert measured_on(table) == "EPYC, 2 threads, Linux, torch 2.15.0, 2026-11-21, commit 0123456"
    assert measured_on(table, "cuda").splitlines() == [
        "A GPU, EPYC, 8 threads, Linux, torch 2.15.0, 2026-11-22, commit fedcba9 with changes",
        "A GPU, EPYC, 8 threads, Linux, torch 2.15.0, 2026-11-23",
    ]
    assert measured_on(table, "mps") == ""
