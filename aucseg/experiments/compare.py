"""Measured beside published: means, intervals and the sign of an effect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd
from scipy import stats

from aucseg.experiments.catalogue import Experiment, Run
from aucseg.experiments.published import published_effects
from aucseg.training import Record


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
    """
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
    ``mean``, ``half``, ``n``, ``effect``, ``effect_half``, and ``sign``: ``"agrees"`` or ``"disagrees"``
    where the interval of the measured effect leaves zero out, ``"open"`` where it holds zero, ``""`` where
    there is nothing to compare.

    Args:
        experiment: the table.
        measured: as :func:`tidy` returns it.
        level: probability that an interval covers its mean, in (0, 1).
        dataset: the published data set, as for :func:`published_effects`.
    """
    table = summarise(measured, level=level)
    change = effects(measured, experiment.comparisons, level=level)
    change = change.rename(columns={"mean": "effect", "half": "effect_half"})[
        ["arm", "metric", "effect", "effect_half"]
    ]
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
    table["sign"] = [_sign(*row) for row in table[["published_effect", "effect", "effect_half"]].to_numpy()]
    return table.reset_index(drop=True)


def _sign(published: float, effect: float, half: float) -> str:
    if not published or any(math.isnan(x) for x in (published, effect, half)):
        return ""
    if abs(effect) <= half:
        return "open"
    return "agrees" if (effect > 0) == (published > 0) else "disagrees"
