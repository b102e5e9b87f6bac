from __future__ import annotations

import pytest

from aucseg.errors import DataError, OptionError
from aucseg.experiments import RecordStore, RunsFailed, get_experiment, make_config
from aucseg.training import ConfigError, Record, RecordError, TrainingDiverged
from tests.training.test_record import make_record


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Replaces training by a record of the right identity and notes what was trained."""
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "home"))  # where runs are claimed
    calls: list[tuple[int, bool]] = []

    def fake(config, folder=None, *, resume, **_) -> Record:
        calls.append((config.seed, resume))
        return make_record(config.seed, bank=None)

    monkeypatch.setattr("aucseg.experiments.store.train", fake)
    return calls


def configs(*seeds):
    return [make_config("streets", "smoke", seed=seed, bank=None) for seed in seeds]


def test_trains_only_what_is_missing(tmp_path, trained):
    store = RecordStore(tmp_path)
    store.put(make_record(1, bank=None))
    lines: list[str] = []
    found = store.ensure(configs(0, 1, 0), report=lines.append)
    assert trained == [(0, True)]  # once, though asked for twice
    assert all(found.values())
    assert any("recorded" in line for line in lines)
    assert store.ensure(configs(0, 1)) == found
    assert len(trained) == 1


def test_never_and_always(tmp_path, trained):
    store = RecordStore(tmp_path)
    assert list(store.ensure(configs(0), compute="never").values()) == [None]
    store.put(make_record(0, miou=0.1, bank=None))
    found = store.ensure(configs(0), compute="always")
    assert trained == [(0, False)]
    assert next(iter(found.values())).metrics["mIoU"] == 0.5
    with pytest.raises(ValueError, match="sometimes"):
        store.ensure(configs(0), compute="sometimes")


def test_a_failing_run_loses_no_finished_one(tmp_path, trained, monkeypatch):
    import aucseg.experiments.store as module

    working = module.train

    def fails_on_one(config, *arguments, **options):
        if config.seed == 1:
            raise RuntimeError("out of memory")
        return working(config, *arguments, **options)

    monkeypatch.setattr(module, "train", fails_on_one)
    store = RecordStore(tmp_path)
    with pytest.raises(RuntimeError, match="out of memory"):
        store.ensure(configs(0, 1, 2))
    assert [record.config["seed"] for record in store] == [0]


def test_the_others_are_trained_where_one_cannot_be(tmp_path, trained, monkeypatch):
    import aucseg.experiments.store as module

    working, bad = module.train, {1}

    def fails(config, *arguments, **options):
        if config.seed in bad:
            raise TrainingDiverged(f"loss is nan at step {config.seed}")
        return working(config, *arguments, **options)

    monkeypatch.setattr(module, "train", fails)
    store, lines = RecordStore(tmp_path), []
    with pytest.raises(TrainingDiverged, match="nan at step 1"):
        store.ensure(configs(0, 1, 2), report=lines.append)
    assert {record.config["seed"] for record in store} == {0, 2}
    assert sum("failed: loss is nan at step 1" in line for line in lines) == 1
    bad |= {3, 4}
    with pytest.raises(RunsFailed, match="3 of 4 runs failed, the first because of: loss is nan") as caught:
        store.ensure(configs(0, 1, 3, 4))
    assert [str(error)[-1] for error in caught.value.failed.values()] == ["1", "3", "4"]


def test_a_record_under_another_name_is_refused(tmp_path):
    """It would be read as the run that it is not."""
    store = RecordStore(tmp_path)
    path = store.put(make_record(0))
    other = path.with_name(f"{make_record(1).identity}.json")
    path.rename(other)
    for read in (lambda: store.get(make_record(1).run_config), lambda: list(store)):
        with pytest.raises(RecordError, match="under another run's name"):
            read()
    (tmp_path / "laptop").mkdir()
    other.rename(tmp_path / "laptop" / path.name)
    with pytest.raises(RecordError, match="of profile 'smoke'"):
        list(store)


def test_no_name_leads_out_of_the_store(tmp_path):
    store, record = RecordStore(tmp_path / "records"), make_record()
    for name in ("../x", "a/b", "..", ""):
        with pytest.raises(ConfigError, match="cannot be the name of a file"):
            make_config("streets", "smoke").with_(profile=name)
        with pytest.raises(OptionError, match="cannot be the name of a file"):
            store.put(record.model_copy(update={"profile": name}))
        with pytest.raises(OptionError, match="cannot be the name of a file"):
            store.path(make_config("streets", "smoke").model_copy(update={"profile": name}))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_recorded_is_not_trained(tmp_path, trained):
    (tmp_path / "smoke").write_text("a file in the place of the folder")
    with pytest.raises(DataError, match=r"smoke: cannot be written to \(File exists\)"):
        RecordStore(tmp_path).train(configs(0)[0])
    (tmp_path / "smoke").unlink()
    (tmp_path / "smoke").mkdir()
    (config,) = configs(0)
    path = RecordStore(tmp_path).path(config)
    path.write_text("{")
    left = [path.with_name(f"{path.name}.{number}.part") for number in (1, 2)]
    for part in left:
        part.touch()
    with pytest.raises(RecordError, match="is not a record"):
        RecordStore(tmp_path).train(config)
    assert trained == []
    RecordStore(tmp_path).train(config, resume=False)  # anew, whatever lies there
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_empty_store(tmp_path):
    assert list(RecordStore(tmp_path / "none")) == []
    assert RecordStore(tmp_path / "none").get(configs(0)[0]) is None


def test_catalogue_shares_nothing_between_arms():
    runs = get_experiment("ablation_components").runs("streets", "laptop", [0, 1])
    assert [run.config.seed for run in runs] == [0] * 4 + [1] * 4
    assert len({run.config.identity for run in runs}) == 8
    arms = {run.arm.name: run.config for run in runs}
    assert arms["baseline"].bank is None
    assert arms["baseline"].loss.name == "cross_entropy"
    assert arms["both"].bank == arms["bank"].bank
    assert arms["both"].loss == arms["auc"].loss
    with pytest.raises(ConfigError, match="ablation_components"):
        get_experiment("ablation_component")


def test_evaluate_again_adds_what_is_new_and_keeps_the_rest(tmp_path, monkeypatch):
    store, config = RecordStore(tmp_path), configs(0)[0]
    assert store.evaluate_again(config) is None  # no record
    old = make_record(0, bank=None)
    store.put(old)
    monkeypatch.setattr("aucseg.experiments.store.checkpoint_path", lambda config: tmp_path / "last.ckpt")
    assert store.evaluate_again(config) is None  # no checkpoint
    (tmp_path / "last.ckpt").touch()
    found = {**old.metrics, "mIoU": old.metrics["mIoU"] + 1e-9, "auc_sigmoid": 0.75}
    monkeypatch.setattr("aucseg.experiments.store.evaluate", lambda path, progress: found)
    record = store.evaluate_again(config)
    assert record == store.get(config)
    assert record.metrics["auc_sigmoid"] == 0.75
    assert {k: v for k, v in record.metrics.items() if k != "auc_sigmoid"} == old.metrics
    assert record.timing == old.timing
    found["mIoU"] = 0.1
    with pytest.raises(RecordError, match=r"mIoU 0.1, its record 0.5: it is of another training"):
        store.evaluate_again(config)
    assert store.get(config) == record
