"""``aucseg sweep``: many runs, by any number of workers, here and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aucseg.cli.runs import (
    ComputeMode,
    DatasetOption,
    Profile,
    ProfileOption,
    RootOption,
    SetOption,
    StartOption,
    WeightsOption,
    check_experiment,
    say_guess,
    stoppable,
    value_of,
)
from aucseg.errors import OptionError

if TYPE_CHECKING:
    from aucseg.engines import Task
    from aucseg.experiments.sweeps import PlannedRun, Status
    from aucseg.training import RunConfig


class EngineName(StrEnum):
    """What runs the workers."""

    local = "local"
    slurm = "slurm"
    dask = "dask"


class Experiments(TyperGroup):
    """A group in which a word that is no command is an experiment."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command before the experiments."""
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


app = typer.Typer(cls=Experiments, add_completion=False, add_help_option=False)
_AT_MOST = 10  # runs of one process; a fresh one has its memory back


@app.callback()
def sweep() -> None:
    """Train the runs that tables need and that have no record yet, here or on a cluster, and say how far.

    `aucseg sweep EXPERIMENT...` trains, `aucseg sweep status` says how far that is.
    """


@app.command()
def run(
    experiments: Annotated[
        list[str], typer.Argument(metavar="EXPERIMENT...", help="Experiments of the catalogue.")
    ],
    dataset: DatasetOption = "streets",
    profile: ProfileOption = Profile.laptop,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="A seed; repeat for several.")] = None,
    compute: Annotated[ComputeMode, typer.Option(help="Which runs to train.")] = ComputeMode.missing,
    root: RootOption = None,
    start: StartOption = None,
    encoder_weights: WeightsOption = None,
    evaluate_again: Annotated[
        bool, typer.Option("--evaluate-again", help="Evaluate finished runs anew, from their checkpoints.")
    ] = False,
    settings: SetOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many runs, how long, and which share a record.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Train those too whose last attempt failed.")
    ] = False,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a run is tried again whose process is killed.")
    ] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time, each with its share of the cores or a GPU.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="What runs them.")] = EngineName.local,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of Dask's scheduler, as tcp://host:8786.")
    ] = None,
    print_script: Annotated[
        bool, typer.Option("--print", help="Print a job array for sbatch, and start nothing.")
    ] = False,
    minutes: Annotated[int, typer.Option(min=1, help="Limit of a job of Slurm; it is queued again.")] = 240,
    pack: Annotated[
        int, typer.Option(min=0, help="Minutes of short runs that are put in one job of Slurm.")
    ] = 30,
    partition: Annotated[str | None, typer.Option(help="Of Slurm.")] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="Of a job of Slurm.")] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="Of a job of Slurm.")] = None,
    memory: Annotated[float | None, typer.Option(min=0, help="Of a job of Slurm, in GiB.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Another option of sbatch, as account=vision; repeatable."),
    ] = None,
) -> None:
    """Train the runs that tables need and that have no record yet.

    One that fails is told and does not stop the others; the command then ends with an error. `aucseg sweep
    status` says how far they are. Two sweeps of the same runs share the work. SIGTERM and SIGUSR1 end a
    training after its step, with a checkpoint, and the same command goes on from there (exit codes 143 and
    138, for a scheduler that queues jobs again).
    """
    for name in experiments:
        check_experiment(name)
    from aucseg.experiments import RecordStore, get_experiment
    from aucseg.experiments.sweeps import Plan, PlannedRun

    say_guess(dataset, root)
    configs: list[RunConfig] = []
    for name in experiments:
        wanted = get_experiment(name)
        wanted = replace(wanted, settings=(*wanted.settings, *(settings or ())))
        planned = wanted.runs(
            dataset,
            profile.value,
            seeds or [0],
            root=root,
            start=value_of(start),
            encoder_weights=encoder_weights,
        )
        own = [each.config.pinned() for each in planned]
        _check_different(settings, own)
        configs += own
    store = RecordStore()
    if evaluate_again:
        for config in configs:
            record = store.evaluate_again(config, progress=not quiet)
            state = "no record or no checkpoint here" if record is None else "evaluated"
            typer.echo(f"{config.name} seed {config.seed} ({config.identity}): {state}")
        return
    cluster = print_script or engine is not EngineName.local
    if dry_run:
        _dry_run(configs, store, jobs or 1)
        return
    if not cluster and (jobs or 1) == 1:
        with stoppable():
            if compute is not ComputeMode.never:
                Plan(map(PlannedRun.of, configs)).write()
            store.ensure(configs, compute=compute.value, retry=retry, progress=not quiet, report=typer.echo)
        return
    if compute is not ComputeMode.missing:
        raise OptionError(
            f"several jobs train what is missing, not --compute {compute.value}",
            remedy="leave out --jobs and --engine",
        )
    from aucseg.engines import Place

    place = Place(
        jobs=jobs or (100 if cluster else 1),
        scheduler=scheduler,
        minutes=minutes,
        partition=partition,
        gpus=gpus,
        cpus=cpus,
        memory=memory,
        more=_pairs(sbatch or ()),
    )
    _by_workers(configs, store, "script" if print_script else engine.value, place, pack, retry, retries)


@app.command()
def status(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT...]", help="Only these; all that were started here if none is given."
        ),
    ] = None,
) -> None:
    """How far the sweeps of this project are: what is done, runs, failed and waits, and the time left.

    It asks nobody: it reads plans, claims, checkpoints and records in the folders of the project.
    """
    for name in experiments or ():
        check_experiment(name)
    from aucseg.experiments.sweeps import read_plans
    from aucseg.experiments.sweeps import status as states_of

    _say(states_of(read_plans(experiments or ())), None)


@app.command()
def work(
    plan: Annotated[
        Path, typer.Argument(help="Written by `aucseg sweep EXPERIMENT...`: runs/sweeps/*.jsonl.")
    ],
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Lines of it, from 0; all if none is given.")
    ] = None,
    at_most: Annotated[
        int | None, typer.Option(min=1, help="End after so many runs; exit code 75 if more are left.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a run is tried again whose process is killed.")
    ] = 0,
) -> None:
    """Train runs of a plan one after the other: those without a record, a failure and another worker.

    What `--jobs` and every engine start; start as many as you like, wherever the folders of the project are.
    """
    from aucseg.engines import MORE, on_leash
    from aucseg.experiments import RecordStore
    from aucseg.experiments.sweeps import Plan
    from aucseg.experiments.sweeps import work as train_runs

    with stoppable():
        on_leash()
        runs = Plan.read(plan).runs
        for number in numbers or ():
            if not 0 <= number < len(runs):
                raise OptionError(f"no run {number}", file=plan, remedy=f"it has 0 to {len(runs) - 1}")
        chosen = runs if not numbers else [runs[number] for number in numbers]
        more = train_runs(
            chosen, RecordStore(), known=runs, at_most=at_most, retries=retries, report=typer.echo
        )
        if more:
            raise typer.Exit(MORE)


def _by_workers(
    configs: Sequence[RunConfig],
    store: Any,
    engine: str,
    place: Any,
    pack: int,
    retry: bool,
    retries: int,
) -> None:
    """Hand the runs that are left to an engine, and say what became of them where it waits."""
    from aucseg.engines import ENGINES, STOPPED
    from aucseg.experiments.failures import clear_failure
    from aucseg.experiments.sweeps import Plan, PlannedRun, bury, pending
    from aucseg.experiments.sweeps import status as states_of

    plan = Plan(map(PlannedRun.of, configs))
    path = plan.write()
    todo = pending(plan.runs, store, retry=retry)
    report = typer.echo if engine == "script" else _told
    if retry:
        for each in todo:
            clear_failure(each.folder)  # by whoever takes it; attempts count anew
    if todo:
        place = replace(place, crashed=lambda end: bool(bury(plan.runs, end.host, end.pid, end.how)))
        codes = ENGINES[engine](
            _tasks(plan.runs, todo, path, engine, place.jobs, pack, retries, store), place, report
        )
        if not codes:
            return
        for code in codes.values():
            if code in STOPPED:
                raise typer.Exit(code)
    states = states_of(plan, store.root)
    _say(states, store.root)
    failed = [state for state in states if state.state == "failed"]
    if failed:
        raise OptionError(
            f"{len(failed)} of {len(states)} runs failed, the first because of: {failed[0].failure}",
            remedy="--retry trains them again",
        )


def _told(line: str) -> None:
    typer.echo(line)


def _tasks(
    runs: Sequence[PlannedRun],
    todo: Sequence[PlannedRun],
    plan: Path,
    engine: str,
    jobs: int,
    pack: int,
    retries: int,
    store: Any,
) -> list[Task]:
    """Commands for an engine: workers that share all runs on one machine, jobs with some elsewhere."""
    from aucseg.engines import Task

    words = ("sweep", "work", str(plan.resolve()), "--retries", str(retries))
    if engine == "local":
        more = ("--at-most", str(_AT_MOST))
        return [Task(f"worker {number}", words + more) for number in range(1, min(jobs, len(todo)) + 1)]
    from aucseg.experiments.sweeps import packs, recorded_seconds

    place = {run.identity: number for number, run in enumerate(runs)}
    seconds = recorded_seconds(_with_seeds(todo), store.root)
    tasks = []
    for some in packs(todo, seconds, 0 if engine == "dask" else 60 * pack):
        name = str(some[0]) + (f" and {len(some) - 1} more" if len(some) > 1 else "")
        tasks.append(Task(name, words + tuple(str(place[run.identity]) for run in some)))
    return tasks


def _with_seeds(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs, and those of the same arms with the seeds that are recorded most."""
    from aucseg.experiments.sweeps import PlannedRun

    arms = {run.name: run for run in runs}
    more = [PlannedRun.of(run.config.with_(seed=seed)) for run in arms.values() for seed in range(5)]
    return [*runs, *more]


def _dry_run(configs: Sequence[RunConfig], store: Any, jobs: int) -> None:
    """Say how many runs, how long, and which share a record."""
    from aucseg.experiments.sweeps import Plan, PlannedRun, in_words, recorded_seconds
    from aucseg.experiments.sweeps import status as states_of

    planned = [PlannedRun.of(config) for config in configs]
    shared: dict[str, list[PlannedRun]] = {}
    for each in planned:
        shared.setdefault(each.identity, []).append(each)
    for same in shared.values():
        names = list(dict.fromkeys(each.name for each in same))
        if len(names) > 1:
            typer.echo(f"one record for {', '.join(names)}, seed {same[0].seed} ({same[0].identity})")
    plan = Plan(planned)
    states = states_of(plan, store.root)
    for line in in_words(states, recorded_seconds(_with_seeds(planned), store.root), jobs):
        typer.echo(line)


def _say(states: Sequence[Status], records: Path | None) -> None:
    from aucseg.experiments.sweeps import in_words, recorded_seconds

    for line in in_words(states, recorded_seconds((state.run for state in states), records)):
        typer.echo(line)


def _pairs(settings: Sequence[str]) -> dict[str, str]:
    """Options of sbatch."""
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip().lstrip("-")
        if not key or not key.replace("-", "").isalnum() or "\n" in value:
            raise OptionError(f"cannot hand {setting!r} to sbatch", remedy="write KEY=VALUE")
        pairs[key] = value if equals else ""
    return pairs


def _check_different(settings: list[str] | None, configs: list[RunConfig]) -> None:
    """Refuse settings that make two arms of a table one run."""
    arms: dict[str, str] = {}
    for config in configs if settings else ():
        other = arms.setdefault(config.identity, config.name)
        if other != config.name:
            raise OptionError(
                f"--set {' --set '.join(settings or ())} makes one run of {other} and {config.name}",
                remedy="leave out the key in which they differ",
            )
