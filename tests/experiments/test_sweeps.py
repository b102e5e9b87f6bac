"""Many runs: plans, how far they are, and the loop of a worker."""

from __future__ import annotations

import json
import os
import platform
import time

import pytest

from aucseg import paths
from aucseg.errors import DataError, OptionError
from aucseg.experiments import RecordStore, RunsFailed
from aucseg.experiments.failures import CRASH, clear_failure, failure_path, note_failure, read_failure
from aucseg.experiments.sweeps import (
    Plan,
    PlannedRun,
    bury,
    in_words,
    packs,
    pending,
    read_plans,
    recorded_seconds,
    status,
    time_left,
    work,
)
from aucseg.training import RunClaimed, TrainingDiverged, TrainingStopped, claim
from aucseg.training.claims import claim_path, owner_path
from tests.experiments.test_store import configs, trained
from tests.training.test_record import make_record

__all__ = ["trained"]


def planned(*seeds: int) -> list[PlannedRun]:
    return [PlannedRun.of(config.with_(name=f"table/arm{config.seed}")) for config in configs(*seeds)]


@pytest.fixture
def store(tmp_path, trained) -> RecordStore:
    return RecordStore(tmp_path / "records")


def test_a_plan_is_read_as_it_was_written(store):
    plan = Plan(planned(0, 1, 0))
    assert [run.seed for run in plan.runs] == [0, 1]  # once, though asked for twice
    path = plan.write()
    assert path.parent == paths.runs() / "sweeps"
    again = Plan.read(path)
    assert again.runs == plan.runs
    assert again.runs[1].config.pinned().identity == plan.runs[1].identity
    assert Plan(planned(0, 1)).path == path != Plan(planned(1, 0)).path
    assert read_plans().runs == plan.runs
    assert read_plans(["table"]).runs == plan.runs
    with pytest.raises(OptionError, match="no sweep of 'tabel' was started here; did you mean 'table'"):
        read_plans(["tabel"])
    path.write_text("{}\n")
    with pytest.raises(DataError, match="is no plan of runs"):
        read_plans()
    with pytest.raises(DataError, match=r"no\.jsonl: cannot be read"):
        Plan.read(path.with_name("no.jsonl"))


def test_how_far_each_run_is(store):
    """By files alone: a record, a claim that beats, one that does not, a failure, nothing."""
    plan = Plan(planned(0, 1, 2, 3, 4))
    _, running, dead, failed, waiting = plan.runs
    store.put(make_record(0, bank=None))
    paths.runs().mkdir(parents=True)
    for run in (running, dead):
        claim_path(run.folder).touch()
    facts = {"host": "far", "pid": 7, "since": "now", "step": 200, "steps": 800, "seconds_per_step": 0.5}
    owner_path(running.folder).write_text(json.dumps(facts))
    hour_ago = time.time() - 3600
    os.utime(claim_path(dead.folder), (hour_ago, hour_ago))
    dead.folder.mkdir()
    note_failure(failed.folder, "loss is nan", "TrainingDiverged")
    states = status(plan, store.root)
    assert [state.state for state in states] == ["done", "running", "waiting", "failed", "waiting"]
    assert [state.seconds_left for state in states] == [None, 300.0, None, None, None]
    assert [state.begun for state in states] == [False, False, True, False, False]
    seconds = {"table/arm2": 60.0, "table/arm4": 20.0}
    assert time_left(states, seconds) == (300.0 + 60.0 + 40.0 + 20.0, 0)
    assert time_left(states, {}) == (300.0, 3)
    lines = list(in_words(states, seconds))
    assert lines[0] == (
        f"running  table/arm1 seed 1 ({running.identity}): step 200/800, 0:05:00 left, on far, process 7"
    )
    assert lines[1].startswith(f"failed   table/arm3 seed 3 ({failed.identity}): loss is nan (")
    assert f"on {platform.node()}, attempt 1)" in lines[1]
    assert lines[2] == "5 runs: 1 done, 1 running, 1 failed, 2 waiting (1 begun)"
    assert lines[3] == "0:07:00 left with 1 at a time, by the recorded times"
    assert list(in_words(states, {}, workers=2))[-1] == (
        "0:02:30 left with 2 at a time, by the recorded times, without 3 runs of which none is recorded"
    )
    assert pending(plan.runs, store, retry=False) == [running, dead, waiting]
    assert pending(plan.runs, store, retry=True) == [running, dead, failed, waiting]


def test_recorded_times_are_those_of_the_arm(store):
    runs = planned(0, 1)
    assert recorded_seconds(runs, store.root) == {}
    store.put(make_record(1, bank=None))
    assert recorded_seconds(runs, store.root) == {"table/arm1": 1.0}
    store.path_of("smoke", runs[1].identity).write_text("{")  # told by whoever shows it
    assert recorded_seconds(runs, store.root) == {}


def test_a_folder_is_looked_through_once_for_many_runs(store, monkeypatch):
    looked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr("os.scandir", lambda folder: looked.append(str(folder)) or scandir(folder))
    runs = planned(*range(20))
    recorded_seconds(runs, store.root)
    assert looked == [str(store.root / "smoke")]
    looked.clear()
    status(Plan(runs), store.root)
    assert sorted(looked) == sorted((str(store.root / "smoke"), str(paths.runs())))


def test_a_worker_trains_what_is_left_to_it(store, trained):
    runs = planned(0, 1, 2, 3)
    store.put(make_record(0, bank=None))
    note_failure(runs[1].folder, "loss is nan", "TrainingDiverged")
    assert not work(runs, store)
    assert [seed for seed, _ in trained] == [2, 3]
    clear_failure(runs[1].folder)
    assert not work(runs, store)
    assert [seed for seed, _ in trained] == [2, 3, 1]


def test_a_worker_ends_when_it_has_trained_enough(store, trained):
    runs = planned(0, 1, 2)
    assert work(runs, store, at_most=2)
    assert len(trained) == 2
    assert not work(runs, store, at_most=2)
    assert len(trained) == 3


def test_failures_are_kept_and_the_others_trained(store, monkeypatch):
    """One of the run is tried again on demand; one that shows before the first step, anyway."""
    errors = {0: TrainingDiverged("loss is nan"), 1: DataError("no such folder"), 2: ZeroDivisionError()}

    def fails(config, *_, **__):
        if config.seed in errors:
            raise errors[config.seed]
        return make_record(config.seed, bank=None)

    monkeypatch.setattr("aucseg.experiments.store.train", fails)
    runs, lines = planned(0, 1, 3), []
    with pytest.raises(RunsFailed, match="2 of 3 runs failed, the first because of: loss is nan"):
        work(runs, store, report=lines.append)
    assert any("failed: loss is nan" in line for line in lines)
    assert {record.config["seed"] for record in store} == {3}
    assert [read_failure(run.folder).kind for run in runs[:2]] == ["TrainingDiverged", "DataError"]
    errors.pop(1)
    assert not work(runs, store)
    assert read_failure(runs[1].folder) is None
    with pytest.raises(ZeroDivisionError):
        work(planned(2), store)
    assert read_failure(planned(2)[0].folder).error == "ZeroDivisionError"
    with pytest.raises(TrainingDiverged):
        store.ensure([runs[0].config])
    assert read_failure(runs[0].folder).attempts == 2
    with pytest.raises(Exception, match=r"failed before: loss is nan \(.*, attempt 2\); --retry trains it"):
        store.ensure([runs[0].config], retry=False)


def test_a_failure_that_cannot_be_read_is_one(store):
    (run,) = planned(0)
    assert read_failure(run.folder) is None
    paths.runs().mkdir(parents=True)
    failure_path(run.folder).write_text("{}")
    assert "cannot be read" in str(read_failure(run.folder))


def test_what_a_process_did_that_ended_without_a_word(store, trained):
    """Its run counts as failed, and is tried again as often as asked for."""
    runs = planned(0, 1)
    with claim(runs[0].folder):
        text = owner_path(runs[0].folder).read_text()
    owner_path(runs[0].folder).write_text(text)
    how = "was ended by SIGKILL"
    assert bury(runs, platform.node(), os.getpid() + 1, how) == []
    assert bury(runs, platform.node(), os.getpid(), how) == [runs[0]]
    assert not owner_path(runs[0].folder).exists()
    failure = read_failure(runs[0].folder)
    assert (failure.error, failure.kind) == ("its process was ended by SIGKILL", CRASH)
    assert not work(runs, store)
    assert [seed for seed, _ in trained] == [1]
    assert not work(runs, store, retries=1)
    assert [seed for seed, _ in trained] == [1, 0]


def test_a_stop_is_no_failure(store, monkeypatch):
    def stops(*_, **__):
        raise TrainingStopped("stopped", 15)

    monkeypatch.setattr("aucseg.experiments.store.train", stops)
    runs = planned(0, 1)
    with pytest.raises(TrainingStopped):
        work(runs, store)
    assert [state.state for state in status(Plan(runs), store.root)] == ["waiting", "waiting"]


def test_a_run_of_another_process_is_left_to_it_and_a_dead_one_taken_over(store, trained, monkeypatch):
    runs, lines = planned(0, 1, 2), []
    first = claim_path(runs[0].folder)
    with claim(runs[0].folder):
        elsewhere = first.read_text().replace(platform.node(), "elsewhere")
    for run in runs[:2]:
        claim_path(run.folder).write_text(elsewhere)

    def beats(_: float) -> None:  # the first lives, the second does not
        os.utime(first, (time.time() + 5, time.time() + 5))
        claim_path(runs[1].folder).unlink()

    monkeypatch.setattr("aucseg.experiments.sweeps.sleep", beats)
    assert not work(runs, store, report=lines.append)
    assert [seed for seed, _ in trained] == [2, 1]
    assert f"{runs[0]}: another process trains it" in lines
    with pytest.raises(RunClaimed, match="another process trains it; wait for it, or stop it"):
        store.ensure([runs[0].config], wait=0)


def test_nobody_waits_for_what_is_done_meanwhile(store, trained, monkeypatch):
    runs = planned(0, 1)
    inside = store.train

    def finishes_elsewhere(config, **options):
        store.put(make_record(0, bank=None))
        return inside(config, **options)

    with claim(runs[0].folder):
        elsewhere = claim_path(runs[0].folder).read_text().replace(platform.node(), "elsewhere")
    claim_path(runs[0].folder).write_text(elsewhere)
    monkeypatch.setattr(store, "train", finishes_elsewhere)
    monkeypatch.setattr(
        "aucseg.experiments.sweeps.sleep", lambda _: pytest.fail("there is nothing to wait for")
    )
    assert not work(runs, store)
    assert [seed for seed, _ in trained] == [1]


def test_two_sweeps_share_the_work(store, trained, monkeypatch):
    """What another one has comes last: it may be done by then."""
    runs = planned(0, 1)
    inside = store.train

    def finishes_elsewhere(config, **options):
        store.put(make_record(0, bank=None))
        claim_path(runs[0].folder).unlink()
        return inside(config, **options)

    with claim(runs[0].folder):
        elsewhere = claim_path(runs[0].folder).read_text().replace(platform.node(), "elsewhere")
    claim_path(runs[0].folder).write_text(elsewhere)
    monkeypatch.setattr(store, "train", finishes_elsewhere)
    found = store.ensure([run.config for run in runs])
    assert [seed for seed, _ in trained] == [1]
    assert list(found) == [run.identity for run in runs]
    assert all(found.values())


def test_short_runs_are_put_together():
    runs = planned(0, 1, 2, 3, 4)
    seconds = {"table/arm0": 10.0, "table/arm1": 15.0, "table/arm2": 10.0, "table/arm4": 1.0}
    assert [[run.seed for run in some] for some in packs(runs, seconds, 30.0)] == [[0, 1], [2], [3], [4]]
    assert [len(some) for some in packs(runs, seconds, 0.0)] == [1] * 5
