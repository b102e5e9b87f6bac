"""Many runs: what was planned, how far it is, and the loop in which a worker takes one after the other.

Nobody hands runs out. Every worker goes through the same plan and claims the first run that has neither a
record nor another worker; so it does not matter who starts workers, on which machines, and how many.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from statistics import median
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any, Literal, get_args

from aucseg import paths
from aucseg.data.files import write_text
from aucseg.errors import DataError, OptionError, UserError, did_you_mean
from aucseg.experiments.durations import training_seconds
from aucseg.experiments.failures import CRASH, Failure, note_failure, read_failure
from aucseg.training.claims import LEASE, RunClaimed, claim_path, owner_path, read_owner

if TYPE_CHECKING:
    from aucseg.experiments.store import RecordStore
    from aucseg.training import RunConfig

State = Literal["done", "running", "failed", "waiting"]

_LOOK = 0.2  # seconds between two looks at what others do


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
        identity: hash of its configuration.
        name: experiment and arm, ``"ablation_components/both"``.
        profile: folder of its record.
        seed: its seed.
        steps: optimiser steps.
        content: its configuration, every key.
    """

    identity: str
    name: str
    profile: str
    seed: int
    steps: int
    content: Mapping[str, Any]

    @classmethod
    def of(cls, config: RunConfig) -> PlannedRun:
        """The run of a configuration."""
        config = config.pinned()
        return cls(
            config.identity,
            config.name,
            config.profile,
            config.seed,
            config.optim.steps,
            config.model_dump(mode="json"),
        )

    @property
    def config(self) -> RunConfig:
        """The configuration as an object."""
        from aucseg.training.config import RunConfig  # with PyTorch, which a look at many runs is without

        return RunConfig.from_dict(dict(self.content), source=f"configuration of run {self.identity}")

    @property
    def folder(self) -> Path:
        """Where its checkpoint lies."""
        return paths.runs() / self.identity

    def __str__(self) -> str:
        return f"{self.name} seed {self.seed} ({self.identity})"


class Plan:
    """Runs in the order in which they are wanted, in a file that every worker reads.

    Args:
        runs: the runs; one that occurs twice is taken once.
    """

    def __init__(self, runs: Iterable[PlannedRun]) -> None:
        self.runs = tuple({run.identity: run for run in runs}.values())

    @cached_property
    def name(self) -> str:
        """Twelve hex digits: the same runs are the same plan."""
        text = " ".join(run.identity for run in self.runs)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def path(self) -> Path:
        """Its file, a line for each run: ``runs/sweeps/<name>.jsonl``."""
        return plans_folder() / f"{self.name}.jsonl"

    def write(self) -> Path:
        """Write it, unless it is there.

        Raises:
            DataError: if the system refuses.
        """
        if not self.path.exists():
            write_text(self.path, "".join(json.dumps(asdict(run)) + "\n" for run in self.runs))
        return self.path

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read one.

        Raises:
            DataError: if the file is none.
        """
        try:
            with path.open(encoding="utf-8") as file:
                return cls(PlannedRun(**json.loads(line)) for line in file)
        except OSError as error:
            remedy = "`aucseg sweep EXPERIMENT` writes one"
            raise DataError(f"cannot be read ({error.strerror})", file=path, remedy=remedy) from error
        except (ValueError, TypeError) as error:
            raise DataError(f"is no plan of runs ({error})", file=path, remedy="delete it") from error


def plans_folder() -> Path:
    """Where plans lie."""
    return paths.runs() / "sweeps"


def read_plans(experiments: Sequence[str] = ()) -> Plan:
    """All runs that sweeps of this project planned, the newest plan first.

    Args:
        experiments: only those of these experiments; of all if empty.

    Raises:
        OptionError: if there is no run of such an experiment.
    """
    files = sorted(plans_folder().glob("*.jsonl"), key=lambda path: -path.stat().st_mtime)
    plan = Plan(run for path in files for run in Plan.read(path).runs)
    known = {run.name.partition("/")[0]: None for run in plan.runs}
    for name in experiments:
        if name not in known:
            there = did_you_mean(name, known) if known else f"`aucseg sweep {name}` starts one"
            raise OptionError(f"no sweep of {name!r} was started here", remedy=there)
    wanted = set(experiments or known)
    return Plan(run for run in plan.runs if run.name.partition("/")[0] in wanted)


@dataclass(frozen=True)
class Status:
    """How far one run is.

    Attributes:
        run: the run.
        state: ``"done"`` (it has a record), ``"running"`` (a process claims it, and lives), ``"failed"``
            (its last attempt did), else ``"waiting"``.
        owner: what the process says that runs it.
        failure: what was wrong.
        begun: whether it has a folder, and so most likely a checkpoint to go on from.
    """

    run: PlannedRun
    state: State
    owner: Mapping[str, Any]
    failure: Failure | None
    begun: bool

    @property
    def seconds_left(self) -> float | None:
        """Of a run that is running, by its own steps."""
        if not {"step", "steps", "seconds_per_step"} <= set(self.owner):
            return None
        return float((self.owner["steps"] - self.owner["step"]) * self.owner["seconds_per_step"])


def status(plan: Plan, records: Path | None = None) -> list[Status]:
    """How far the runs of a plan are, by what lies in the folders of runs and records; nobody is asked.

    Args:
        plan: the runs.
        records: the folder of their records; that of the project by default.
    """
    runs = _names(paths.runs())
    root = records or paths.records()
    recorded = {profile: _names(root / profile) for profile in {run.profile for run in plan.runs}}
    now = time()

    def one(run: PlannedRun) -> Status:
        begun = run.identity in runs
        if f"{run.identity}.json" in recorded[run.profile]:
            return Status(run, "done", {}, None, begun)
        if f"{run.identity}.claim" in runs and _lives(claim_path(run.folder), now):
            return Status(run, "running", read_owner(owner_path(run.folder)), None, begun)
        failure = read_failure(run.folder) if f"{run.identity}.failed" in runs else None
        return Status(run, "waiting" if failure is None else "failed", {}, failure, begun)

    return [one(run) for run in plan.runs]


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except FileNotFoundError:
        return set()


def _lives(claim: Path, now: float) -> bool:
    try:
        return now - claim.stat().st_mtime < LEASE
    except FileNotFoundError:
        return False


def recorded_seconds(runs: Iterable[PlannedRun], records: Path | None = None) -> dict[str, float]:
    """How long runs of each arm took, by the name of the arm, where one with some seed has a record.

    Args:
        runs: runs with all seeds that may have one.
        records: the folder of the records; that of the project by default.
    """
    found: dict[str, float] = {}
    there: dict[str, set[str]] = {}
    root = records or paths.records()
    for run in runs:
        if run.name in found:
            continue
        if run.profile not in there:  # once: of ten thousand runs each would look through the folder
            there[run.profile] = _names(root / run.profile)
        if f"{run.identity}.json" not in there[run.profile]:
            continue
        # a file that is no record says nothing here; who trains or shows it is told
        with suppress(OSError, ValueError, LookupError, TypeError):
            content = json.loads((root / run.profile / f"{run.identity}.json").read_text(encoding="utf-8"))
            found[run.name] = training_seconds(content["timing"], content.get("config", {}))
    return found


def time_left(states: Sequence[Status], seconds: Mapping[str, float]) -> tuple[float, int]:
    """How long what is not done takes, one run after the other, and of how many runs nobody knows.

    A run of an arm without a record counts as the median of the arms that have one.

    Args:
        states: of :func:`status`.
        seconds: of :func:`recorded_seconds`.

    Returns:
        Seconds, without those of which nothing is known, and how many those are.
    """
    usual = median(seconds.values()) if seconds else None
    known, unknown = 0.0, 0
    for state in states:
        if state.state == "done":
            continue
        left = state.seconds_left
        if left is None:
            left = seconds.get(state.run.name, usual)
        if left is None:
            unknown += 1
        else:
            known += left
    return known, unknown


def in_words(states: Sequence[Status], seconds: Mapping[str, float], workers: int = 0) -> Iterator[str]:
    """How far a sweep is: a line for each run that runs or failed, and one for all.

    Args:
        states: of :func:`status`.
        seconds: of :func:`recorded_seconds`.
        workers: how many runs run at a time; as many as run now if 0.
    """
    for state in states:
        if state.state == "running":
            owner, left = state.owner, state.seconds_left
            where = f"on {owner['host']}, process {owner['pid']}" if "pid" in owner else "elsewhere"
            step = (
                f"step {owner['step']}/{owner['steps']}" if left is not None else "it begins or is evaluated"
            )
            rest = "" if left is None else f", {timedelta(seconds=round(left))} left"
            yield f"running  {state.run}: {step}{rest}, {where}"
        elif state.state == "failed":
            yield f"failed   {state.run}: {state.failure}"
    count = {name: sum(state.state == name for state in states) for name in get_args(State)}
    begun = sum(state.begun for state in states if state.state == "waiting")
    total = ", ".join(f"{count[name]} {name}" for name in count)
    yield f"{len(states)} runs: {total}{f' ({begun} begun)' if begun else ''}"
    known, unknown = time_left(states, seconds)
    if known or unknown:
        at_once = workers or max(1, count["running"])
        time_ = timedelta(seconds=round(known / at_once))
        told = (
            f"{time_} left with {at_once} at a time, by the recorded times" if known else "time left: unknown"
        )
        yield told + (f", without {unknown} runs of which none is recorded" if known and unknown else "")


def work(
    runs: Sequence[PlannedRun],
    store: RecordStore,
    *,
    known: Sequence[PlannedRun] = (),
    retries: int = 0,
    at_most: int | None = None,
    progress: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> bool:
    """Train what has no record, no other worker and no failure, one run after the other.

    What failed before is left alone. At the end it looks once more at what others had: whose claim has not
    beaten meanwhile is dead, and its run is taken over. What others still train is left to them.

    Args:
        runs: the runs, in their order.
        store: where records go.
        known: runs that these may start from.
        retries: how often a run is tried again whose process ended without a word.
        at_most: stop after so many runs, so that a fresh process takes the others.
        progress: show a progress bar for each run.
        report: called with lines about the runs.

    Returns:
        Whether something may be left to do, because of ``at_most``.

    Raises:
        RunsFailed, UserError: if runs failed, once all others are done.
        TrainingStopped: after a signal.
    """
    failed: dict[str, UserError] = {}
    claimed: list[tuple[PlannedRun, float]] = []
    done = 0

    def one(run: PlannedRun, wait: float) -> bool:
        """Whether another one has it."""
        nonlocal done
        before = read_failure(run.folder)
        once_more = before is None or before.at_once or (before.kind == CRASH and before.attempts <= retries)
        if not once_more:
            return False
        config = run.config
        # Made where they are asked for: of ten thousand runs few start from another one.
        others = {} if config.init_from is None else {each.identity: each.config for each in known}
        try:
            store.ensure([config], wait=wait, known=others, progress=progress, report=_named(report))
        except RunClaimed:
            return True
        except UserError as error:
            failed[str(run)] = error
        done += 1
        return False

    for run in runs:
        if store.path_of(run.profile, run.identity).exists():
            continue
        if done == at_most:
            return True
        began = _beat(run)
        if one(run, 0.0):
            claimed.append((run, began))
    _await_a_sign(claimed, store)
    for run, before in claimed:
        if store.path_of(run.profile, run.identity).exists():
            continue
        if _beat(run) not in (before, 0.0) or one(run, 1.5 * LEASE):
            report(f"{run}: another process trains it")
    if len(failed) > 1:
        from aucseg.experiments.store import RunsFailed

        raise RunsFailed(failed, len(runs))
    for error in failed.values():
        raise error
    return False


def _await_a_sign(claimed: Sequence[tuple[PlannedRun, float]], store: RecordStore) -> None:
    """Wait until each run that another one has is done, or its claim beats or is gone.

    Whoever lives beats twice in that time.

    Args:
        claimed: the runs, and when their claims had beaten last.
        store: where their records go.
    """
    ends = monotonic() + LEASE / 2

    def silent() -> bool:
        return any(
            _beat(run) == before > 0 and not store.path_of(run.profile, run.identity).exists()
            for run, before in claimed
        )

    while silent() and monotonic() < ends:
        sleep(_LOOK)


def _named(report: Callable[[str], None]) -> Callable[[str], None]:
    """Lines about one run of many: the store counts but one."""
    return lambda line: report(line.removeprefix("[1/1] "))


def _beat(run: PlannedRun) -> float:
    try:
        return claim_path(run.folder).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def bury(runs: Iterable[PlannedRun], host: str, pid: int, how: str) -> list[PlannedRun]:
    """Keep of a process that ended without a word what it was doing.

    Args:
        runs: what it may have been doing.
        host: where the process was.
        pid: the process.
        how: how it ended.

    Returns:
        The runs that it had claimed; what is left of its claims gives way by itself.
    """
    found = []
    for run in runs:
        owner = read_owner(owner_path(run.folder))
        if (owner.get("host"), owner.get("pid")) == (host, pid):
            step = f" at step {owner['step']}" if "step" in owner else ""
            note_failure(run.folder, f"its process {how}{step}", CRASH)
            owner_path(run.folder).unlink(missing_ok=True)
            found.append(run)
    return found


def packs(runs: Sequence[PlannedRun], seconds: Mapping[str, float], most: float) -> list[list[PlannedRun]]:
    """Put short runs together: a job of a cluster costs a minute before its first step.

    Args:
        runs: the runs, in their order.
        seconds: how long each takes by its name; one of which nobody knows is alone.
        most: seconds of runs that are put together.
    """
    found: list[list[PlannedRun]] = []
    filled = float("inf")
    for run in runs:
        takes = seconds.get(run.name, float("inf"))
        if filled + takes > most:
            found.append([])
            filled = 0.0
        found[-1].append(run)
        filled += takes
    return found


def pending(runs: Iterable[PlannedRun], store: RecordStore, *, retry: bool) -> list[PlannedRun]:
    """The runs that are worth a job: those without a record, and without a failure unless asked for.

    Args:
        runs: the runs.
        store: where records lie.
        retry: those too whose last attempt failed.
    """

    def wanted(state: Status) -> bool:
        skip = state.failure is not None and not state.failure.at_once and not retry
        return state.state != "done" and not skip

    return [state.run for state in status(Plan(runs), store.root) if wanted(state)]


__all__ = [
    "Plan",
    "PlannedRun",
    "Status",
    "bury",
    "in_words",
    "packs",
    "pending",
    "plans_folder",
    "read_plans",
    "recorded_seconds",
    "status",
    "time_left",
    "work",
]
