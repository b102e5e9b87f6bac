"""What an experiment came to: its runs as tables, beside what the paper prints, and in words.

The functions take a *measured* frame, one row for each run and metric; :class:`Results` holds the runs of one
experiment with their records, and calls them.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy import stats

from aucseg.errors import DataError
from aucseg.experiments.catalogue import Experiment, Run, get_experiment
from aucseg.experiments.durations import training_seconds
from aucseg.experiments.profiles import STARTS, Start, default_seeds
from aucseg.experiments.published import published_curve, published_datasets, published_effects
from aucseg.experiments.store import Compute, RecordStore, RunsFailed
from aucseg.experiments.titles import network_title
from aucseg.training import ConfigError, Record, RunConfig

Difference = tuple[float, float]


# What sentences tell of a run, in words.
_MAIN_METRICS: Mapping[str, str] = MappingProxyType({"mIoU": "all classes", "mIoU_tail": "tail"})


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of a table are from.

    Attributes:
        key: ``experiment/dataset/profile`` and ``/start`` if there is one: what the record browser looks for.
        identities: those of the records, in the order of the runs.
        seeds: those that are recorded.
        commits: of the code that made them, seven digits each; empty if no record tells.
        seconds: that all of them took to train, one after the other.
        command: that makes them anew.
    """

    key: str
    identities: tuple[str, ...]
    seeds: tuple[int, ...]
    commits: tuple[str, ...]
    seconds: float
    command: str

    @property
    def place(self) -> str:
        """Experiment, data set, profile and start, in one line."""
        return ", ".join(self.key.replace("_", " ").replace("+", " and ").split("/"))

    @property
    def words(self) -> str:
        """Records, place, seeds and commits, in one line."""
        count = f"{len(self.identities)} record{'' if len(self.identities) == 1 else 's'}"
        seeds = f"seed{'' if len(self.seeds) == 1 else 's'} {_ranges(self.seeds)}"
        by = (
            f" at {', '.join(self.commits)}" if len(self.commits) <= 3 else f" at {len(self.commits)} commits"
        )
        return f"{count}: {self.place}, {seeds}{by if self.commits else ''}"

    @property
    def duration(self) -> str:
        """How long that takes, roughly: ``"40 minutes"``."""
        minutes = self.seconds / 60
        if minutes < 1:
            return "a minute"
        return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"


def table_key(experiment: Experiment, dataset: str, profile: str, start: Start | None) -> str:
    """The name of a table among all: ``experiment/dataset/profile``, and ``/start`` if there is one.

    Args:
        experiment: whose table it is.
        dataset: of its runs.
        profile: of its runs.
        start: what their encoders start from.
    """
    return "/".join(filter(None, (experiment.name, dataset, profile, start)))


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers as a person lists them.

    >>> _ranges((0, 1, 2, 5))
    '0 to 2, 5'
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(told)


class Results:
    """The runs of one experiment with their records, as tables and sentences.

    Args:
        experiment: the experiment, or its name in the catalogue.
        dataset: data set of the runs, as for :func:`aucseg.experiments.make_config`.
        profile: profile of the runs.
        seeds: seeds of the runs; those that the profile has by default if None.
        compute: ``"missing"`` trains what has no record, ``"never"`` trains nothing, ``"always"`` trains
            everything anew. Where the data set is not on this machine, recorded runs are shown and
            :attr:`status` says why there are no others.
        start: what encoders start from, as for :func:`aucseg.experiments.make_config`: one for a table.
        at_most: how many of the default seeds are taken.
        root: folder of the data set, if it is not found by itself.
        store: where records lie; those of the project by default.
        progress: show a progress bar for each training.

    Attributes:
        experiment, dataset, profile, seeds, start: as given.
        runs: every arm with every seed.
        records: the record of each run by its identity, ``None`` where there is none.

    Raises:
        ConfigError: for an unknown experiment, data set or profile.

    Example:
        >>> results = Results("ablation_components", "streets", "laptop", compute="never")
        >>> results.difference("auc", "baseline")  # doctest: +SKIP
        (2.4, 0.7)
    """

    def __init__(
        self,
        experiment: str | Experiment,
        dataset: str = "streets",
        profile: str = "laptop",
        seeds: Sequence[int] | None = None,
        compute: Compute = "missing",
        *,
        start: Start | None = None,
        at_most: int | None = None,
        root: str | None = None,
        store: RecordStore | None = None,
        progress: bool = False,
    ) -> None:
        self.experiment = get_experiment(experiment) if isinstance(experiment, str) else experiment
        self.dataset, self.profile, self.start = dataset, profile, start
        self.seeds = tuple(default_seeds(dataset, profile)[:at_most] if seeds is None else seeds)
        planned = self.experiment.runs(dataset, profile, self.seeds, root=root, start=start)
        # What lies in a folder is looked at once: this table is of it, whatever becomes of it meanwhile.
        self.runs = tuple(Run(run.arm, run.config.pinned()) for run in planned)
        self.store = store = RecordStore() if store is None else store
        configs = [run.config for run in self.runs]
        self._absent: DataError | None = None
        try:
            self.records = store.ensure(configs, compute=compute, progress=progress)
        except (DataError, RunsFailed) as error:
            failed = list(error.failed.values()) if isinstance(error, RunsFailed) else [error]
            if not isinstance(failed[0], DataError) or len({str(each) for each in failed}) > 1:
                raise
            self._absent = failed[0]  # told by `status`
            self.records = store.ensure(configs, compute="never")

    @property
    def status(self) -> str:
        """How many runs have a record, in a line."""
        done = sum(self.records[run.config.identity] is not None for run in self.runs)
        on = self.dataset if self.start is None else f"{self.dataset} from {STARTS[self.start]}"
        line = f"{self.experiment.name} on {on}: {done} of {len(self.runs)} runs"
        return line if self._absent is None else f"{line}; no more can be trained here: {self._absent}"

    @property
    def labels(self) -> dict[str, str]:
        """Label of each arm, in the order of the table."""
        return {arm.name: arm.label for arm in self.experiment.arms}

    @property
    def recorded(self) -> dict[str, str]:
        """Label of each arm that has a record, in the order of the table: the rows that are shown."""
        there = set(self.tidy["arm"])
        return {arm: label for arm, label in self.labels.items() if arm in there}

    @property
    def not_run(self) -> str:
        """One sentence that names the arms without a record; empty if there are none."""
        lacking = [label for arm, label in self.labels.items() if arm not in self.recorded]
        if not lacking:
            return ""
        which = "all of it" if len(lacking) == len(self.labels) else "; ".join(lacking)
        return f"Not run yet: {which}. `{shlex.join(self._sweep)}` trains them."

    @property
    def _sweep(self) -> list[str]:
        """The command that trains its runs, as words."""
        place = [] if self.dataset == "streets" else ["--dataset", self.dataset]
        place += [] if self.profile == "laptop" else ["--profile", self.profile]
        place += [] if self.start is None else ["--start", self.start]
        return ["aucseg", "sweep", *self.experiment.name.split("+"), *place]

    @property
    def scale(self) -> str:
        """Profile, start and number of seeds, for captions: ``"laptop, from ImageNet weights, 5 seeds"``."""
        count = self.tidy["seed"].nunique()
        start = "" if self.start is None else f" from {STARTS[self.start]},"
        return f"{self.profile},{start} {count} seed{'' if count == 1 else 's'}"

    @property
    def setting(self) -> str:
        """What its runs train, for a sentence: network and first weights if they share one, pixels, steps.

        Example:
            >>> Results("ablation_components", "streets", "smoke", compute="never").setting
            'U-Net on MobileNetV4 (small, 0.35) from random weights, 64 × 128 pixels, 4 steps of 4 images'
        """
        configs = [run.config for run in self.runs]
        first = configs[0]
        nets = {(config.model.name, config.model.encoder, config.model.encoder_weights) for config in configs}
        weights = STARTS["random" if first.model.encoder_weights is None else "imagenet"]
        title = network_title(first.model.name, first.model.encoder)
        network = f"{title} from {weights}, " if len(nets) == 1 else ""
        height, width = first.data.crop_size or first.data.size
        steps, images = first.optim.steps, first.data.batch_size
        return f"{network}{height} × {width} pixels, {steps:,} steps of {images} images"

    @property
    def empty(self) -> bool:
        """Whether no run has a record."""
        return self.tidy.empty

    @property
    def provenance(self) -> Provenance:
        """The records behind its tables, and the command that makes them anew."""
        found = [
            (run, record) for run in self.runs if (record := self.records[run.config.identity]) is not None
        ]
        seeds = sorted({run.config.seed for run, _ in found})
        commits = sorted({record.git_commit[:7] for _, record in found if record.git_commit})
        words = [*self._sweep, "--compute", "always"]
        return Provenance(
            table_key(self.experiment, self.dataset, self.profile, self.start),
            tuple(dict.fromkeys(run.config.identity for run, _ in found)),
            tuple(seeds),
            tuple(commits),
            sum(training_seconds(record.timing, record.config) for _, record in found),
            shlex.join([*words, *(word for seed in seeds for word in ("--seed", str(seed)))]),
        )

    @cached_property
    def tidy(self) -> pd.DataFrame:
        """One row for each finished run and metric; see :func:`tidy`."""
        return tidy(self.runs, self.records)

    @cached_property
    def validation(self) -> pd.DataFrame:
        """One row for each finished run, validation and metric; see :func:`validation_curves`."""
        return validation_curves(self.runs, self.records)

    @cached_property
    def classes(self) -> pd.DataFrame:
        """One row for each finished run and class; see :func:`class_iou`."""
        return class_iou(self.runs, self.records)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and interval of each arm and metric; see :func:`summarise`."""
        return summarise(self.tidy)

    def effects(self, than: str | None = None, *, level: float = 0.95) -> pd.DataFrame:
        """What each arm adds; see :func:`effects`.

        Args:
            than: the arm that all are compared with; what the experiment says if None.
            level: probability that an interval covers its mean, in (0, 1).
        """
        return effects(self.tidy, self.experiment.comparisons if than is None else than, level=level)

    def difference(self, arm: str, than: str, metric: str = "mIoU_tail") -> Difference | None:
        """How much more one arm reaches than another; see :func:`paired_difference`."""
        return paired_difference(self.tidy, arm, than, metric)

    def beside(self, published: str | None = None, *, level: float = 0.95) -> pd.DataFrame:
        """Measured beside published; see :func:`side_by_side`.

        Args:
            published: one of the data sets that the paper's table has; its first if None.
            level: probability that an interval covers its mean, in (0, 1).
        """
        return side_by_side(self.experiment, self.tidy, dataset=published, level=level)

    def beside_each(self) -> dict[str, pd.DataFrame]:
        """The same for each data set that the paper's table has, by its name there."""
        return {name: self.beside(name) for name in published_datasets(self.experiment)}

    def words(
        self,
        than: str | None = None,
        *,
        arms: Sequence[str] | None = None,
        metrics: Mapping[str, str] = _MAIN_METRICS,
    ) -> str:
        """A Markdown list of what each arm adds; see :func:`differences_in_words`."""
        return differences_in_words(self.experiment, self.tidy, than, arms=arms, metrics=metrics)

    def values(self, value_of: Callable[[RunConfig], float]) -> dict[str, float]:
        """The number that an experiment over one option varies, for each arm.

        Args:
            value_of: reads it from a configuration.
        """
        return {run.arm.name: value_of(run.config) for run in self.runs}

    def curve(self, published: str) -> pd.DataFrame:
        """What the paper prints over that number; see :func:`published_curve`."""
        return published_curve(self.experiment, published)

    def config(self, arm: str, seed: int | None = None) -> RunConfig:
        """The configuration of one run.

        Args:
            arm: name of an arm.
            seed: one of the seeds, the first if None.

        Raises:
            ConfigError: if there is no such run.
        """
        wanted = self.seeds[0] if seed is None else seed
        for run in self.runs:
            if run.arm.name == arm and run.config.seed == wanted:
                return run.config
        raise ConfigError(
            f"{self.experiment.name!r} has no run of arm {arm!r} with seed {wanted}; arms: "
            f"{', '.join(self.labels)}; seeds: {', '.join(map(str, self.seeds))}"
        )

    def record(self, arm: str, seed: int | None = None) -> Record | None:
        """The record of one run, ``None`` if it has not been run; see :meth:`config`."""
        return self.records[self.config(arm, seed).identity]

    def pairs(self, arm: str, than: str | None = None) -> list[tuple[Record, Record]]:
        """For each seed of which both are recorded, the run that is compared with, and the run of an arm.

        Args:
            arm: name of an arm.
            than: the arm that it is compared with; what the experiment says if None.
        """
        other = self.experiment.comparisons[arm] if than is None else than
        found = [(self.record(other, seed), self.record(arm, seed)) for seed in self.seeds]
        return [(before, after) for before, after in found if before is not None and after is not None]


def tidy(runs: Iterable[Run], records: Mapping[str, Record | None]) -> pd.DataFrame:
    """One row for each finished run and metric: ``arm``, ``seed``, ``metric``, ``value`` in percent.

    Args:
        runs: the runs of an experiment.
        records: their records by identity, ``None`` where there is none.
    """
    rows = [
        {"arm": run.arm.name, "seed": run.config.seed, "metric": metric, "value": 100 * value}
        for run in runs
        if (record := records.get(run.config.identity)) is not None
        for metric, value in record.metrics.items()
        if isinstance(value, float)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])


def validation_curves(runs: Iterable[Run], records: Mapping[str, Record | None]) -> pd.DataFrame:
    """What runs looked like during training: ``arm``, ``seed``, ``step``, ``metric``, ``value`` in percent.

    Runs that were not validated have no row; see :class:`aucseg.training.EvaluationConfig`.

    Args:
        runs: the runs of an experiment.
        records: their records by identity, ``None`` where there is none.
    """
    rows = [
        {"arm": run.arm.name, "seed": run.config.seed, "step": step, "metric": metric, "value": 100 * value}
        for run in runs
        if (record := records.get(run.config.identity)) is not None
        for metric, values in (record.validation or {}).items()
        if metric != "step" and isinstance(values, list)
        for step, value in zip((record.validation or {})["step"], values, strict=True)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "metric", "value"])


def class_iou(runs: Iterable[Run], records: Mapping[str, Record | None]) -> pd.DataFrame:
    """One row for each finished run and class: ``arm``, ``seed``, ``class``, ``group``, ``iou`` in percent.

    Classes that occur nowhere in the evaluation split have no row.

    Args:
        runs: the runs of an experiment.
        records: their records by identity, ``None`` where there is none.
    """
    rows = [
        {"arm": run.arm.name, "seed": run.config.seed, "class": name, "group": group, "iou": 100 * value}
        for run in runs
        if (record := records.get(run.config.identity)) is not None
        for name, group in zip(record.dataset["classes"], record.dataset["groups"], strict=True)
        if (value := record.metrics["iou"][name]) is not None
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "class", "group", "iou"])


def interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float, int]:
    r"""Mean and half width of Student's confidence interval.

    .. math:: \bar x \pm t_{n-1,\,(1+p)/2} \; s / \sqrt{n}

    Args:
        values: independent measurements, one for each seed.
        level: probability p that the interval covers the mean, in (0, 1).

    Returns:
        ``(mean, half_width, n)``; the half width is NaN for fewer than two values, the mean for none.

    Raises:
        ValueError: if ``level`` is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    data = pd.Series(list(values), dtype=float)
    n = len(data)
    mean = float(data.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, n
    return mean, float(stats.t.ppf((1 + level) / 2, n - 1) * data.std(ddof=1) / math.sqrt(n)), n


def summarise(measured: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Mean and interval over seeds, by arm: ``arm``, ``metric``, ``mean``, ``half``, ``n``.

    Args:
        measured: as :func:`tidy` returns it.
        level: probability that an interval covers its mean, in (0, 1).
    """
    rows = [
        (arm, metric, *interval(group["value"], level))
        for (arm, metric), group in measured.groupby(["arm", "metric"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["arm", "metric", "mean", "half", "n"])


def effects(
    measured: pd.DataFrame, baseline: str | Mapping[str, str], *, level: float = 0.95
) -> pd.DataFrame:
    """What each arm adds to its baseline, paired by seed: ``arm``, ``metric``, ``mean``, ``half``, ``n``.

    Two runs of one seed share initial weights, order and crops, so their difference varies less than the
    difference of two means.

    Args:
        measured: as :func:`tidy` returns it.
        baseline: name of the arm that the others are compared with, or that of each arm
            (:attr:`Experiment.comparisons`).
        level: probability that an interval covers its mean, in (0, 1).

    Raises:
        ConfigError: if a metric of an arm and a seed is given twice.
    """
    again = measured.duplicated(["arm", "metric", "seed"])
    if again.any():
        row = measured[again].iloc[0]
        raise ConfigError(
            f"{row['metric']} of arm {row['arm']!r} with seed {row['seed']} is given twice; pairs are of one "
            f"run each, so keep one of them"
        )
    wide = measured.pivot_table(index=["metric", "seed"], columns="arm", values="value", sort=False)
    if isinstance(baseline, str):
        baseline = {arm: baseline for arm in wide.columns if arm != baseline}
    pairs = [(arm, baseline[arm]) for arm in wide.columns if baseline.get(arm) in wide]
    rows = [
        (arm, metric, *interval((group[arm] - group[other]).dropna(), level))
        for metric, group in wide.groupby("metric", sort=False)
        for arm, other in pairs
    ]
    return pd.DataFrame(rows, columns=["arm", "metric", "mean", "half", "n"])


def side_by_side(
    experiment: Experiment, measured: pd.DataFrame, *, level: float = 0.95, dataset: str | None = None
) -> pd.DataFrame:
    """Published and measured effects in one table, one row for each arm and metric.

    Columns: ``arm``, ``metric``, ``published`` and ``published_effect`` (NaN where the paper prints none),
    ``mean``, ``half``, ``n``, ``effect``, ``effect_half``, and ``sign``:

    - ``"open"`` where the interval of the measured effect holds zero;
    - ``"below noise"`` where it leaves zero out, and the published effect is smaller than the standard
      deviation of the difference between two runs of one seed here. The papers print single runs: one such
      run could have shown the other sign, so there is nothing to agree with;
    - ``"agrees"`` or ``"disagrees"`` elsewhere, ``""`` where there is nothing to compare.

    Args:
        experiment: the table.
        measured: as :func:`tidy` returns it.
        level: probability that an interval covers its mean, in (0, 1).
        dataset: the published data set, as for :func:`published_effects`.
    """
    table = summarise(measured, level=level)
    change = effects(measured, experiment.comparisons, level=level)
    change = change.rename(columns={"mean": "effect", "half": "effect_half", "n": "pairs"})
    print_ = published_effects(experiment, dataset).rename(
        columns={"value": "published", "effect": "published_effect"}
    )
    table = table.merge(change, on=["arm", "metric"], how="left")
    table = table.merge(print_, on=["arm", "metric"], how="outer")
    order = {arm.name: i for i, arm in enumerate(experiment.arms)}
    columns = {metric: i for i, metric in enumerate(experiment.metrics)}
    table = table[table["metric"].isin(columns)]
    table = table.sort_values(
        by=["metric", "arm"], key=lambda s: s.map(order if s.name == "arm" else columns), kind="stable"
    )
    compared = table[["published_effect", "effect", "effect_half", "pairs"]]
    table["sign"] = [_sign(*row, level=level) for row in compared.itertuples(index=False)]
    return table.drop(columns="pairs").reset_index(drop=True)


def across(results: Iterable[Results], published: str | None = None, *, level: float = 0.95) -> pd.DataFrame:
    """The tables of one experiment on several data sets and from several starts, under one another.

    Args:
        results: each on a data set, from a start.
        published: as for :meth:`Results.beside`.
        level: probability that an interval covers its mean, in (0, 1).

    Returns:
        The columns of :func:`side_by_side`, and ``dataset`` and ``start`` before them. What was not run has
        no number, and a row all the same where the paper prints one.

    Raises:
        ValueError: if they are not of one experiment and one profile, which a table never mixes.
    """
    results = list(results)
    if len({(found.experiment.name, found.profile) for found in results}) > 1:
        kinds = sorted({f"{found.experiment.name} at {found.profile}" for found in results})
        raise ConfigError(f"a table is of one experiment and one profile, got {', '.join(kinds)}")
    tables = []
    for found in results:
        table = found.beside(published, level=level)
        table.insert(0, "start", found.start or "")
        table.insert(0, "dataset", found.dataset)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _sign(published: float, effect: float, half: float, n: float, *, level: float) -> str:
    if not published or any(math.isnan(x) for x in (published, effect, half)):
        return ""
    if abs(effect) <= half:
        return "open"
    spread = half * math.sqrt(n) / float(stats.t.ppf((1 + level) / 2, n - 1))
    if abs(published) < spread:
        return "below noise"
    return "agrees" if (effect > 0) == (published > 0) else "disagrees"


def paired_difference(
    measured: pd.DataFrame, arm: str, than: str, metric: str = "mIoU_tail"
) -> Difference | None:
    """How much more one arm reaches than another, paired by seed.

    Args:
        measured: as :func:`tidy` returns it.
        arm: the one.
        than: the other.
        metric: of what.

    Returns:
        Mean and half width of the 95% interval, NaN for a single seed; ``None`` if there is no seed of both.
    """
    found = effects(measured, than).set_index(["arm", "metric"])
    if (arm, metric) not in found.index or math.isnan(found.loc[(arm, metric), "mean"]):
        return None
    mean, half = found.loc[(arm, metric), ["mean", "half"]]
    return float(mean), float(half)


def in_words(value: Difference | None) -> str:
    """What a difference says.

    >>> in_words((1.5, 0.4)), in_words((-0.2, 0.4)), in_words(None)
    ('+1.50 ± 0.40, more', '-0.20 ± 0.40, undecided', 'not run')
    """
    if value is None:
        return "not run"
    mean, half = value
    if math.isnan(half):
        return f"{mean:+.2f}, one seed, so nothing is known about its spread"
    verdict = "undecided" if abs(mean) <= half else "more" if mean > 0 else "less"
    return f"{mean:+.2f} ± {half:.2f}, {verdict}"


def differences_in_words(
    experiment: Experiment,
    measured: pd.DataFrame,
    than: str | None = None,
    *,
    arms: Sequence[str] | None = None,
    metrics: Mapping[str, str] = _MAIN_METRICS,
) -> str:
    """A Markdown list: what each arm has over the one that it is compared with.

    Args:
        experiment: the table.
        measured: as :func:`tidy` returns it.
        than: the arm that all are compared with; what the experiment says if not given.
        arms: those wanted, all by default.
        metrics: two, each with its name in words; the second in brackets.
    """
    labels = {arm.name: arm.label for arm in experiment.arms}
    pairs = experiment.comparisons if than is None else {arm: than for arm in labels if arm != than}
    lines = []
    for arm, base in pairs.items():
        if arms is None or arm in arms:
            first, second = (in_words(paired_difference(measured, arm, base, metric)) for metric in metrics)
            over = f" less *{labels[base]}*" if than is None else ""
            lines.append(f"- {labels[arm]}{over}: {first} ({second})")
    one, other = metrics.values()
    head = f"{one} and ({other}), paired by seed:"
    if than is not None:
        head = f"Less *{labels[than]}*, paired by seed, {one} and ({other}):"
    head = head[0].upper() + head[1:]
    return "\n".join([head, "", *lines])


def kept_predictions(results: Results) -> tuple[int | None, dict[str, dict[int, np.ndarray]]]:
    """Predictions of the recorded runs of a table, of the seed that has most of them.

    Args:
        results: the table.

    Returns:
        The seed, None if no run has any, and predictions by arm and position.
    """
    by_seed: dict[int, dict[str, dict[int, np.ndarray]]] = {}
    for run in results.runs:
        if results.records[run.config.identity] is None:
            continue
        found = results.store.predictions(run.config)
        if found:
            by_seed.setdefault(run.config.seed, {})[run.arm.name] = found
    if not by_seed:
        return None, {}
    seed = max(by_seed, key=lambda each: (len(by_seed[each]), -each))
    return seed, by_seed[seed]
