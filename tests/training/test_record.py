from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from aucseg.errors import DataError
from aucseg.experiments import RecordStore, make_config
from aucseg.training import Record, RecordError
from aucseg.training.record import checksum
from aucseg.training.run import _peak_memory


def make_record(seed: int = 0, miou: float = 0.5, **changes) -> Record:
    config = make_config("streets", "smoke", seed=seed, **changes)
    return Record(
        identity=config.identity,
        config=config.model_dump(mode="json"),
        profile=config.profile,
        dataset={"classes": ["road", "bus"], "groups": ["head", "tail"]},
        metrics={"mIoU": miou, "mIoU_tail": None, "iou": {"road": miou, "bus": None}},
        history={"step": [1.0], "loss": [0.1]},
        bank=None,
        timing={"seconds_total": 1.0, "seconds_per_step": 0.5},
        peak_memory_bytes=1,
        hardware={"cpu": "x", "gpu": None},
        versions={"python": "3"},
        git_commit=None,
    )


def sealed(content: dict) -> str:
    """A record's file of some content, as somebody would make it who knows how."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return json.dumps(rest | {"checksum": checksum(rest)})


def with_metric(content: dict, key: str, value: object) -> str:
    return sealed(content | {"metrics": content["metrics"] | {key: value}})


def test_round_trip(tmp_path):
    record = make_record()
    path = record.write(tmp_path / "deep" / "r.json")
    assert Record.read(path) == record
    assert record.run_config.identity == record.identity
    assert [p.name for p in path.parent.iterdir()] == ["r.json"]  # no temporary file stays


def test_a_failed_write_leaves_the_old_record(tmp_path, monkeypatch):
    path = make_record(miou=0.1).write(tmp_path / "r.json")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(DataError, match="disk full"):
        make_record(miou=0.9).write(path)
    assert Record.read(path).metrics["mIoU"] == 0.1
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c: "{", "not a record"),
        (lambda c: "[]", "not a record"),
        (lambda c: "[" * 100_000, "not a record"),
        (lambda c: sealed({k: v for k, v in c.items() if k != "metrics"}), "metrics"),
        (lambda c: sealed(c | {"surprise": 1}), "surprise"),
        (lambda c: sealed(c | {"schema_version": 99}), "99"),
        (lambda c: sealed(c | {"schema_version": True}), "True"),
        (lambda c: sealed({k: v for k, v in c.items() if k != "schema_version"}), "None, this is 2"),
        (lambda c: json.dumps({k: v for k, v in c.items() if k != "checksum"}), "checksum"),
        (lambda c: json.dumps(c | {"git_commit": "a"}), "checksum"),
        (lambda c: sealed(c | {"identity": "0" * 16}), "identity"),
        (lambda c: sealed(c | {"config": c["config"] | {"seed": 7}}), "identity"),
        (lambda c: sealed(c | {"config": c["config"] | {"sead": 7}}), "sead"),
        (lambda c: with_metric(c, "mIoU", 47), "mIoU is 47, no number from 0 to 1"),
        (lambda c: with_metric(c, "mIoU", "0.5"), "mIoU is '0.5'"),
        (lambda c: with_metric(c, "mIoU", True), "mIoU is True"),
        (lambda c: with_metric(c, "mIoU", float("nan")), "NaN is no value"),
        (lambda c: with_metric(c, "mIoU_tail", -0.1), "mIoU_tail is -0.1"),
        (lambda c: with_metric(c, "auc_error_bound", -1.0), "from 0 to inf"),
        (lambda c: with_metric(c, "iou", {"road": 0.5}), "iou is not of the classes"),
        (lambda c: with_metric(c, "iou", {"bus": 0.5, "road": 0.5}), "iou is not of the classes"),
        (lambda c: with_metric(c, "iou", {"road": 1.5, "bus": None}), "iou of road is 1.5"),
        (lambda c: sealed(c | {"history": {"step": [1, 2], "loss": [1]}}), "several lengths"),
        (lambda c: sealed(c | {"history": {"step": [2, 1]}}), "steps do not rise"),
        (
            lambda c: sealed(c | {"timing": {"seconds_total": -1, "seconds_per_step": 1}}),
            "seconds_total is -1",
        ),
        (lambda c: sealed(c | {"dataset": {"classes": ["road", "bus"], "groups": ["head"]}}), "a group for"),
        (lambda c: sealed(c | {"dataset": {"classes": ["road", "bus"], "groups": ["x", "y"]}}), "groups are"),
    ],
)
def test_a_spoilt_record_is_named_and_never_skipped(tmp_path, spoil, words):
    record = make_record()
    store = RecordStore(tmp_path)
    path = store.put(record)
    path.write_text(spoil(json.loads(path.read_text())))
    for read in (lambda: Record.read(path), lambda: list(store), lambda: store.get(record.run_config)):
        with pytest.raises(RecordError) as error:
            read()
        assert str(path) in str(error.value)
        assert words in str(error.value)


def test_no_flipped_bit_changes_a_number(tmp_path):
    """One that is read is the record that was written: the bit was in a blank, or there was none to see."""
    record = make_record(miou=0.515625)
    path = record.write(tmp_path / "r.json")
    whole, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(200):
        place = rng.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert Record.read(path) == record
        except RecordError:
            refused += 1
    assert refused > 100


def test_a_record_of_the_version_before_has_no_checksum_and_is_written_with_one(tmp_path):
    record = make_record()
    path = record.write(tmp_path / "r.json")
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content | {"schema_version": 1}))
    assert Record.read(path) == record
    Record.read(path).write(path)
    assert json.loads(path.read_text())["checksum"] == checksum(content)


def test_missing_record_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"nothing\.json"):
        Record.read(tmp_path / "nothing.json")


def test_same_result_looks_at_numbers_only():
    a = make_record()
    assert a.same_result(a.model_copy(update={"timing": {"seconds_total": 9.0}, "versions": {}}))
    assert not a.same_result(make_record(miou=0.4))


def test_peak_memory_is_in_bytes_on_every_system(monkeypatch):
    """Linux has the peak since a run began; elsewhere it is that of the process, which Linux would count in
    kilobytes, macOS in bytes, and Windows has no module for.
    """
    resource = pytest.importorskip("resource")
    if sys.platform == "linux":
        most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert 0 < _peak_memory(on_gpu=False) <= 1.1 * most
    monkeypatch.setattr("aucseg.training.run._STATUS", Path("there is none"))
    usage = SimpleNamespace(ru_maxrss=5_000_000)
    monkeypatch.setattr(resource, "getrusage", lambda _: usage)
    monkeypatch.setattr(sys, "platform", "linux")
    assert _peak_memory(on_gpu=False) == 5_000_000 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _peak_memory(on_gpu=False) == 5_000_000
    monkeypatch.setitem(sys.modules, "resource", None)
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=7_000_000))
    monkeypatch.setattr(psutil, "Process", lambda: process)
    assert _peak_memory(on_gpu=False) == 7_000_000
