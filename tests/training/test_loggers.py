"""Loggers get what the record holds, whoever they are, and nothing is imported for those not asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aucseg.training import ConfigError, train
from aucseg.training.loggers import check_loggers
from tests.training.interrupted import StopAt
from tests.training.ranks import config

RUN = config("region", bank=None)


def quiet(*_: object) -> None:
    pass


def check_table(table: pd.DataFrame, record) -> None:
    """The rows of a CSV logger are the curves of the record."""
    for name, values in record.history.items():
        if name != "step":
            found = table[["step", name]].dropna()
            assert found["step"].tolist() == record.history["step"]
            np.testing.assert_allclose(found[name], values, rtol=1e-6)
    found = table[["step", "validation/mIoU"]].dropna()
    assert found["step"].tolist() == record.validation["step"]
    np.testing.assert_allclose(found["validation/mIoU"], record.validation["mIoU"], rtol=1e-6)


def test_csv_has_the_curves_and_the_pictures(tmp_path):
    record = train(RUN, tmp_path, progress=False, report=quiet, loggers=("csv",))
    check_table(pd.read_csv(tmp_path / "logs" / "csv" / "metrics.csv"), record)
    pictures = sorted(p.name for p in (tmp_path / "logs" / "csv" / "pictures").iterdir())
    assert pictures == sorted(f"prediction_{n}_{step}.png" for n in range(4) for step in (2, 3))
    with Image.open(tmp_path / "logs" / "csv" / "pictures" / pictures[0]) as picture:
        assert picture.size == (2 * 64, 32)  # truth and prediction


def test_a_resumed_run_has_all_rows_once_and_the_same_record(tmp_path):
    plain = train(RUN, tmp_path / "plain", progress=False, report=quiet)
    with pytest.raises(ConnectionError):
        train(RUN, tmp_path / "run", progress=False, report=quiet, loggers=("csv",), callbacks=(StopAt(2),))
    record = train(RUN, tmp_path / "run", progress=False, report=quiet, loggers=("csv",))
    assert record.same_result(plain)
    check_table(pd.read_csv(tmp_path / "run" / "logs" / "csv" / "metrics.csv"), record)


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_two_at_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = train(RUN, tmp_path, progress=False, report=quiet, loggers=("csv", "tensorboard"))
    check_table(pd.read_csv(tmp_path / "logs" / "csv" / "metrics.csv"), record)
    events = EventAccumulator(str(tmp_path / "logs" / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == record.history["step"]
    assert [e.value for e in events.Scalars("loss")] == pytest.approx(record.history["loss"], rel=1e-5)
    assert [e.step for e in events.Images("prediction/0")] == [2, 3]


def test_an_unknown_or_missing_one_is_told(monkeypatch):
    assert check_loggers(["csv", "csv"]) == ("csv",)
    with pytest.raises(ConfigError, match=r"unknown logger 'tensorbord'; .*tensorboard"):
        check_loggers(["tensorbord"])
    monkeypatch.setattr("aucseg.training.loggers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"logger 'wandb' needs a package .*; pip install wandb"):
        check_loggers(["wandb"])


def test_nothing_is_imported_that_is_not_asked_for():
    code = (
        "import sys, aucseg.training.run; "
        "sys.exit(any(name in sys.modules for name in ('tensorboard', 'wandb', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
