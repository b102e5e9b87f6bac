"""Measured differences as sentences, and tables beside every data set that a paper prints."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from aucseg.experiments.catalogue import Experiment
from aucseg.experiments.compare import effects, side_by_side
from aucseg.experiments.published import published_datasets

Difference = tuple[float, float]


def beside_published(experiment: Experiment, measured: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Measured effects beside the published ones, one table for each data set of the paper's table.

    Args:
        experiment: the table.
        measured: as :func:`tidy` returns it.

    Returns:
        :func:`side_by_side` by the name of the published data set.
    """
    return {name: side_by_side(experiment, measured, dataset=name) for name in published_datasets(experiment)}


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
    metrics: tuple[str, str] = ("mIoU", "mIoU_tail"),
) -> str:
    """A Markdown list: what each arm has over the one that it is compared with.

    Args:
        experiment: the table.
        measured: as :func:`tidy` returns it.
        than: the arm that all are compared with; what the experiment says if not given.
        arms: those wanted, all by default.
        metrics: two, the second in brackets.
    """
    labels = {arm.name: arm.label for arm in experiment.arms}
    pairs = experiment.comparisons if than is None else {arm: than for arm in labels if arm != than}
    lines = []
    for arm, other in pairs.items():
        if arms is None or arm in arms:
            first, second = (in_words(paired_difference(measured, arm, other, metric)) for metric in metrics)
            over = f" less *{labels[other]}*" if than is None else ""
            lines.append(f"- {labels[arm]}{over}: {first} ({second})")
    head = (
        "All classes and (tail), paired by seed:"
        if than is None
        else (f"Less *{labels[than]}*, paired by seed, all classes and (tail):")
    )
    return "\n".join([head, "", *lines])
