"""``aucseg sweep`` and its commands."""

from __future__ import annotations

import re
import signal
import subprocess

import pytest

from aucseg import paths
from aucseg.engines import ENGINES, MORE
from aucseg.experiments import EXPERIMENTS, RecordStore
from aucseg.experiments.failures import note_failure, read_failure
from aucseg.experiments.sweeps import Plan, PlannedRun
from aucseg.training import RunConfig, TrainingDiverged, TrainingStopped
from tests.training.test_record import make_record


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_sweep_reports_each_run(run, monkeypatch):
    monkeypatch.setattr("aucseg.experiments.store.train", lambda *a, **k: pytest.fail("must not train"))
    code, out, _ = run(
        "sweep", "ablation_components", "--profile", "smoke", "--compute", "never", "--seed", 1
    )
    assert code == 0
    assert out.count("not run") == 4


def test_settings_of_a_sweep_are_those_of_every_run(run, monkeypatch):
    wanted: list[RunConfig] = []
    monkeypatch.setattr(RecordStore, "ensure", lambda self, configs, **_: wanted.extend(configs))
    words = ("sweep", "ablation_components", "--profile", "smoke")
    code, _, err = run(*words, "--set", "optim.steps=6")
    assert code == 0, err
    assert [config.optim.steps for config in wanted] == [6] * 4
    code, _, err = run(*words, "--set", "bank=none")
    assert code == 1
    assert "--set bank=none makes one run of ablation_components/baseline and ablation_components/bank" in err


def test_a_sweep_goes_on_after_a_run_that_fails_and_ends_with_an_error(run, monkeypatch):
    def fails(self, config, **_):
        raise TrainingDiverged(f"loss is nan at step {config.seed}")

    monkeypatch.setattr(RecordStore, "train", fails)
    words = ("sweep", "ablation_components", "--profile", "smoke", "--seed", "71")
    code, out, err = run(*words)
    assert code == 1
    assert out.count("failed: loss is nan at step 71") == 4
    assert err == (
        "error: 4 of 4 runs failed, the first because of: loss is nan at step 71; the same command trains "
        "those that lack, a sweep with --retry\n"
    )


WORDS = ("sweep", "ablation_components", "--profile", "smoke")


def plan_of(*experiments: str) -> Plan:
    runs = [run for name in experiments for run in EXPERIMENTS[name].runs("streets", "smoke", [0])]
    return Plan(PlannedRun.of(run.config) for run in runs)


@pytest.fixture
def tasks(monkeypatch):
    """What engines were given, in their place."""
    given: list = []

    def engine(tasks, place, report):
        given.append((tasks, place))
        return dict.fromkeys((task.name for task in tasks), 0)

    monkeypatch.setattr("aucseg.engines.ENGINES", dict.fromkeys(ENGINES, engine))
    return given


def test_no_experiment_has_the_name_of_a_command(run):
    assert not {"run", "status", "work"} & set(EXPERIMENTS)
    code, out, _ = run("sweep", "--help")
    assert code == 0
    assert "EXPERIMENT..." in out
    assert "--scheduler" in out
    for command in ("status", "work"):
        assert run("sweep", command, "--help")[0] == 0
    assert run("sweep", "statu")[0] == 1  # an experiment that is unknown


def test_how_many_how_long_and_which_share_a_record(run):
    words = ("sweep", "ablation_components", "surrogates", "--profile", "smoke", "--seed", 1, "--dry-run")
    plan = plan_of("ablation_components")
    store = RecordStore()
    config = plan.runs[0].config
    store.put(
        make_record().model_copy(
            update={
                "identity": config.identity,
                "config": config.model_dump(mode="json"),
                "timing": {"seconds_total": 90.0, "seconds_per_step": 1.0},
            }
        )
    )
    code, out, _ = run(*words, "--jobs", 2)
    assert code == 0
    assert "one record for ablation_components/baseline, surrogates/none, seed 1 (" in out
    assert "one record for ablation_components/both, surrogates/square, seed 1 (" in out
    assert "7 runs: 0 done, 0 running, 0 failed, 7 waiting" in out
    assert "0:05:15 left with 2 at a time, by the recorded times" in out  # the time of another seed
    assert not (paths.runs() / "sweeps").exists()


def test_status_of_what_was_started(run, monkeypatch):
    assert run("sweep", "status")[1].startswith("0 runs")
    monkeypatch.setattr(RecordStore, "ensure", lambda self, configs, **_: None)
    assert run(*WORDS)[0] == 0
    plan = plan_of("ablation_components")
    note_failure(plan.runs[1].folder, "loss is nan", "TrainingDiverged")
    for words in (("sweep", "status"), ("sweep", "status", "ablation_components")):
        code, out, _ = run(*words)
        assert code == 0
        assert f"failed   {plan.runs[1]}: loss is nan (" in out
        assert "4 runs: 0 done, 0 running, 1 failed, 3 waiting" in out
    code, _, err = run("sweep", "status", "surrogates")
    assert (code, err) == (
        1,
        "error: no sweep of 'surrogates' was started here; known: ablation_components\n",
    )


def test_workers_share_a_plan(run, tasks):
    code, out, err = run(*WORDS, "--jobs", 3, "--retries", 2)
    assert code == 0, err
    ((given, place),) = tasks
    path = plan_of("ablation_components").path
    words = ("sweep", "work", str(path), "--retries", "2", "--at-most", "10")
    assert [(task.name, task.words) for task in given] == [(f"worker {n}", words) for n in (1, 2, 3)]
    assert place.jobs == 3
    assert Plan.read(path).runs == plan_of("ablation_components").runs
    assert "4 runs: 0 done" in out


def test_jobs_of_a_cluster_have_some_runs_each(run, tasks):
    plan = plan_of("ablation_components")
    words = (*WORDS, "--engine", "slurm", "--minutes", 90, "--partition", "long", "--sbatch", "account=v")
    assert run(*words)[0] == 0
    ((given, place),) = tasks
    assert [task.words[-1] for task in given] == ["0", "1", "2", "3"]  # nobody knows how long they take
    assert given[0].name == str(plan.runs[0])
    assert (place.jobs, place.minutes, place.partition, place.more) == (100, 90, "long", {"account": "v"})
    for each in (plan.runs[0], plan.runs[1]):
        other = each.config.with_(seed=3)  # says how long a run of the arm takes
        update = {"identity": other.identity, "config": other.model_dump(mode="json")}
        RecordStore().put(make_record().model_copy(update=update))
    note_failure(plan.runs[2].folder, "loss is nan", "TrainingDiverged")
    tasks.clear()
    code, _, err = run(*words)
    assert code == 1
    assert "error: 1 of 4 runs failed, the first because of: loss is nan (" in err
    assert "--retry trains them again" in err
    ((given, _),) = tasks
    assert [task.words[5:] for task in given] == [("0", "1"), ("3",)]
    assert given[0].name == f"{plan.runs[0]} and 1 more"
    tasks.clear()
    assert run(*words, "--retry", "--pack", 0)[0] == 0
    ((given, _),) = tasks
    assert [task.words[5:] for task in given] == [("0",), ("1",), ("2",), ("3",)]
    assert read_failure(plan.runs[2].folder) is None


def test_the_printed_script_is_nothing_but_a_script(run):
    code, out, _ = run(*WORDS, "--print", "--gpus", 1)
    assert code == 0
    assert out.startswith("#!/bin/bash\n#SBATCH")
    done = subprocess.run(["bash", "-n"], input=out, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--jobs", 2, "--compute", "always"), "several jobs train what is missing, not --compute always"),
        (("--engine", "dask"), "no address of a Dask scheduler"),
        (("--print", "--sbatch", "a b=c"), "cannot hand 'a b=c' to sbatch; write KEY=VALUE"),
        (("--print", "--minutes", 1), "a job of 1 minutes cannot be told 120 s before its end"),
    ],
)
def test_what_cannot_be_had_is_one_line(run, words, told):
    code, _, err = run(*WORDS, *words)
    assert code == 1
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_worker_takes_lines_of_a_plan(run, monkeypatch):
    path = plan_of("ablation_components").write()
    seen: list[str] = []

    def trains(self, config, **_):
        seen.append(config.name)
        update = {"identity": config.identity, "config": config.model_dump(mode="json")}
        record = make_record().model_copy(update=update)
        self.put(record)
        return record

    monkeypatch.setattr(RecordStore, "train", trains)
    code, out, err = run("sweep", "work", path, 2, 0)
    assert code == 0, err
    assert seen == ["ablation_components/bank", "ablation_components/baseline"]
    assert re.search(r"^ablation_components/bank seed 0 \(\w+\): training 4 steps$", out, re.MULTILINE)
    assert run("sweep", "work", path, "--at-most", 1)[0] == MORE
    assert run("sweep", "work", path, "--at-most", 1)[0] == 0
    assert len(seen) == 4
    code, _, err = run("sweep", "work", path, 4)
    assert code == 1
    assert err.endswith(": no run 4; it has 0 to 3\n")


def test_a_worker_that_is_stopped_asks_to_come_back(run, monkeypatch, tmp_path):
    """SIGUSR1 is what a training hears before the end of a job; only a job is queued again."""
    path = plan_of("ablation_components").write()

    def stopped(self, config, **_):
        raise TrainingStopped("stopped; runs/x/last.ckpt has step 3", signal.SIGUSR1)

    monkeypatch.setattr(RecordStore, "train", stopped)
    asked: list[bool] = []

    def requeue() -> bool:
        asked.append(True)
        return len(asked) > 1

    monkeypatch.setattr("aucseg.engines.slurm.requeue", requeue)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    code = 128 + signal.SIGUSR1
    assert run("sweep", "work", path) == (code, ANY_LINES, "stopped; runs/x/last.ckpt has step 3\n")
    told = "stopped; runs/x/last.ckpt has step 3\nthis job of Slurm is queued again\n"
    assert run("sweep", "work", path) == (code, ANY_LINES, told)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before
    assert all(read_failure(each.folder) is None for each in plan_of("ablation_components").runs)


class _Any:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)


ANY_LINES = _Any()


@pytest.mark.slow
def test_two_workers_on_this_machine(run):
    """The whole way: two processes, each run trained once, and one that fails does not stop the others."""
    words = ("sweep", "ablation_components", "--profile", "smoke", "--set", "optim.steps=2")
    code, out, err = run(*words, "--jobs", 2)
    assert code == 0, (out, err)
    assert out.count("training 2 steps") == 4
    assert "4 runs: 4 done, 0 running, 0 failed, 0 waiting" in out
    assert {line.partition(":")[0] for line in out.splitlines() if "training" in line} == {
        "worker 1",
        "worker 2",
    }
    assert len(list(RecordStore())) == 4
    assert not list(paths.runs().glob("*.claim"))
    code, out, err = run(*words, "--jobs", 2)
    assert code == 0
    assert "training" not in out
