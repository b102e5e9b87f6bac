"""Loggers get what the record holds, whoever they are, and nothing is imported for those not asked for."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aucseg.training import ConfigError, SegmentationDataModule, SegmentationModule, train
from aucseg.training.loggers import LOGGERS, Logged, LoggerError, _mlflow_address, check_loggers
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


def two_runs(folder, logger):
    """Two runs in one process, as a sweep has them: their records."""
    runs = (RUN, config("region", bank=None, seed=1))
    return [
        train(run, folder / str(n), progress=False, report=quiet, loggers=(logger,))
        for n, run in enumerate(runs)
    ]


def leveldb_log(content: bytes) -> list[bytes]:
    """Entries of a log file of LevelDB: blocks of 32 KiB hold parts, each after its sum, length and kind."""
    entries, at = [], 0
    while at < len(content):
        if 2**15 - (at + 7) % 2**15 < 7:  # what is left of a block holds no part; 7 bytes are the file's head
            at += 2**15 - (at + 7) % 2**15
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        part = content[at + 7 : at + 7 + length]
        if kind in (1, 2):  # whole, or the first part
            entries.append(part)
        else:
            entries[-1] += part
        at += 7 + length
    return entries


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_has_a_run_for_each_run(tmp_path, monkeypatch):
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for n, record in enumerate(two_runs(tmp_path, "wandb")):
        (file,) = (tmp_path / str(n) / "logs" / "wandb").glob("offline-run-*/*.wandb")
        assert file.stem == f"run-{record.identity}"
        rows = map(Record.FromString, leveldb_log(file.read_bytes()[7:]))
        items = [{i.key or "/".join(i.nested_key): i.value_json for i in row.history.item} for row in rows]
        losses = [float(row["loss"]) for row in items if "loss" in row]
        assert losses == pytest.approx(record.history["loss"], rel=1e-6)
        pictures = [p.name for p in file.parent.glob("files/media/images/prediction/*.png")]
        assert len(pictures) == 2 * 4  # steps and images


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore")  # of what MLflow is built on
def test_mlflow_has_a_run_for_each_run(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for n, record in enumerate(two_runs(tmp_path, "mlflow")):
        database = sqlite3.connect(tmp_path / str(n) / "logs" / "mlflow.db")
        ((run, status),) = database.execute("select run_uuid, status from runs")
        assert status == "FINISHED"
        rows = database.execute("select step, value from metrics where key = 'loss' order by step").fetchall()
        assert [step for step, _ in rows] == record.history["step"]
        assert [value for _, value in rows] == pytest.approx(record.history["loss"], rel=1e-6)
        pictures = list((tmp_path / str(n) / "logs" / "mlflow" / run).glob("artifacts/prediction/*/*.png"))
        assert len(pictures) == 2 * 4
        database.close()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_what_a_logger_lacks_is_told(tmp_path, monkeypatch):
    def lacking(*_: object) -> None:
        raise ModuleNotFoundError("Requirement 'mlflow>=1.0.0' not met")

    monkeypatch.setitem(LOGGERS, "csv", LOGGERS["csv"]._replace(make=lacking, packages=("mlflow",)))
    monkeypatch.setattr("aucseg.training.loggers.find_spec", lambda name: object())
    with pytest.raises(ConfigError, match=r"logger 'csv' cannot be made: .*not met; pip install mlflow"):
        train(RUN, tmp_path, progress=False, report=quiet, loggers=("csv",))


@pytest.fixture
def clean_mlflow(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that it is put back, whoever sets it
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("address", "without", "user", "password"),
    [
        ("https://anna:s%40cret@host:5000/a?b=c", "https://host:5000/a?b=c", "anna", "s@cret"),
        ("http://anna:s@cret@host", "http://host", "anna", "s@cret"),
        ("http://host:5000", "http://host:5000", None, None),
        ("postgresql://anna:s3cret@host/db", "postgresql://anna:s3cret@host/db", None, None),
        ("", "", None, None),
    ],
)
def test_mlflow_gets_a_password_where_it_does_not_print_it(clean_mlflow, address, without, user, password):
    clean_mlflow.setenv("MLFLOW_TRACKING_URI", address)
    assert _mlflow_address() == without
    assert os.environ.get("MLFLOW_TRACKING_USERNAME") == user
    assert os.environ.get("MLFLOW_TRACKING_PASSWORD") == password


def test_what_a_logger_fails_by_is_a_line_without_a_password(tmp_path, monkeypatch):
    """Wherever it fails: at the first word, at a point of a curve, at a picture, at its end."""

    class Failing:
        def __init__(self, where: str) -> None:
            self.where = where

        def __getattr__(self, name: str):
            def call(*_: object, **__: object) -> None:
                if name == self.where:
                    raise OSError("POST\nhttp://anna:s3@cret@host:9/api failed")

            return call

    for where in ("log_hyperparams", "log_metrics", "save", "picture", "finish"):
        kind = LOGGERS["csv"]._replace(
            show=lambda logger, *_: logger.picture(), close=lambda logger: logger.finish()
        )
        monkeypatch.setitem(LOGGERS, "csv", kind)
        logged = Logged.__new__(Logged)
        logged.names, logged.kinds, logged.loggers = ("csv",), [kind], [Failing(where)]
        logged._sent, logged.validation = [(0, 0)], None
        data = SegmentationDataModule(RUN)
        data.setup("fit")
        logged.data, logged.curves = data, SimpleNamespace(history={"step": [1], "loss": [0.5]})
        module = SegmentationModule(RUN, data.classes)

        def everything(logged=logged, module=module) -> None:
            logged.on_train_start(None, module)
            logged._sent = [(0, 0)]
            logged._send()
            logged._show(module, 1)
            logged.teardown(None, module, "fit")

        with pytest.raises(LoggerError) as caught:
            everything()
        assert str(caught.value).startswith(
            "logger 'csv' failed: OSError: POST http://***@host:9/api failed; mend what it sends to"
        )
        # the exception of the logger is not shown beside it
        assert caught.value.__suppress_context__


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore")
def test_an_mlflow_that_does_not_answer_is_told(tmp_path, clean_mlflow):
    clean_mlflow.setenv("MLFLOW_TRACKING_URI", "http://anna:s3cret@127.0.0.1:9")
    clean_mlflow.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(LoggerError, match="logger 'mlflow' failed") as caught:
        train(RUN, tmp_path, progress=False, report=quiet, loggers=("mlflow",))
    assert "s3cret" not in str(caught.value)


def test_a_run_that_ends_in_an_error_closes_its_logger(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setitem(LOGGERS, "csv", LOGGERS["csv"]._replace(close=closed.append))
    with pytest.raises(ConnectionError):
        train(RUN, tmp_path, progress=False, report=quiet, loggers=("csv",), callbacks=(StopAt(2),))
    assert len(closed) == 1


def test_an_unknown_or_missing_one_is_told(monkeypatch):
    assert check_loggers(["csv", "csv"]) == ("csv",)
    with pytest.raises(ConfigError, match=r"unknown logger 'tensorbord'; .*tensorboard"):
        check_loggers(["tensorbord"])
    monkeypatch.setattr("aucseg.training.loggers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"logger 'wandb' needs a package .*; pip install wandb"):
        check_loggers(["wandb"])


def test_nothing_is_imported_that_is_not_asked_for():
    code = (
        "import sys, lightning, timm; "  # timm takes wandb where it is installed
        "before = set(sys.modules); import aucseg.training.run; "
        "sys.exit(any(name in sys.modules.keys() - before for name in ('tensorboard', 'wandb', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
