r"""How many seeds show a gain: the power of the paired t-test, from the spread that recorded runs have.

With n seeds, a true gain :math:`\delta` and differences of standard deviation :math:`\sigma`, the interval of
:func:`aucseg.experiments.interval` leaves zero out with the probability

.. math:: P\left(|T| > t_{n-1,\,(1+p)/2}\right), \qquad T \sim t'_{n-1}\left(\sqrt n\,\delta / \sigma\right)

where t' is the noncentral t distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd
from scipy import stats

from aucseg.errors import OptionError
from aucseg.experiments.results import Results


def power(gain: float, spread: float, seeds: int, *, level: float = 0.95) -> float:
    """Probability that an interval over so many seeds leaves zero out.

    Args:
        gain: true difference of two methods, in points.
        spread: standard deviation of the paired difference between seeds, in points.
        seeds: number of seeds, at least 2.
        level: probability that the interval covers the gain, in (0, 1).

    Raises:
        OptionError: for less than two seeds, a spread that is not positive, or another level.

    Example:
        >>> round(power(1.0, 1.0, 5), 2)
        0.4
    """
    if seeds < 2:
        raise OptionError(f"seeds is at least 2, got {seeds}: one seed says nothing of the spread")
    if not spread > 0:
        raise OptionError(f"spread is positive, got {spread}")
    if not 0 < level < 1:
        raise OptionError(f"level is between 0 and 1, got {level}")
    bound = stats.t.ppf((1 + level) / 2, seeds - 1)
    shift = abs(gain) * math.sqrt(seeds) / spread
    if gain == 0:
        return 1 - level
    # The square of a noncentral t is a noncentral F, whose tail SciPy has without nan far out.
    return float(stats.ncf.sf(bound**2, 1, seeds - 1, shift**2))


def seeds_needed(
    gain: float, spread: float, *, wanted: float = 0.8, level: float = 0.95, at_most: int = 10_000
) -> int:
    """The fewest seeds that show a gain with the wanted probability.

    Args:
        gain: as for :func:`power`, not 0.
        spread: as for :func:`power`.
        wanted: that probability, in (0, 1).
        level: as for :func:`power`.
        at_most: where the search ends.

    Raises:
        OptionError: if that many do not suffice, or as :func:`power`.

    Example:
        >>> seeds_needed(1.0, 1.0)
        10
    """
    if not 0 < wanted < 1:
        raise OptionError(f"wanted is between 0 and 1, got {wanted}")
    low, high = 1, 2
    while power(gain, spread, high, level=level) < wanted:  # grows with the seeds
        if high >= at_most:
            raise OptionError(
                f"a gain of {gain:g} with spread {spread:g} takes more than {at_most} seeds",
                remedy="ask for a larger gain",
            )
        low, high = high, min(2 * high, at_most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(gain, spread, middle, level=level) >= wanted else (middle, high)
    return high


def paired_differences(
    results: Iterable[Results], metrics: Iterable[str] = ("mIoU", "mIoU_tail")
) -> pd.DataFrame:
    """Every recorded difference between an arm and the one that it is compared with, seed by seed.

    Two runs that several experiments compare are taken once.

    Args:
        results: experiments, as a rule on one data set from one start.
        metrics: those wanted.

    Returns:
        ``arm`` with the name of its experiment, ``metric``, ``seed`` and ``value`` in points.
    """
    rows = []
    seen = set()
    for found in results:
        configs = {(run.arm.name, run.config.seed): run.config.identity for run in found.runs}
        for (arm, seed), identity in configs.items():
            other = configs.get((found.experiment.comparisons.get(arm, arm), seed))
            if other in (None, identity) or (identity, other) in seen:
                continue
            first, second = found.records[identity], found.records[str(other)]
            if first is None or second is None:
                continue
            seen.add((identity, other))
            for metric in metrics:
                one, two = (record.metrics.get(metric) for record in (first, second))
                if one is not None and two is not None:
                    rows.append((f"{found.experiment.name}/{arm}", metric, seed, 100 * (one - two)))
    return pd.DataFrame(rows, columns=["arm", "metric", "seed", "value"])


def pooled_spread(differences: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    r"""Standard deviation of a paired difference between seeds, pooled over the arms.

    .. math:: s^2 = \sum_a (n_a - 1)\, s_a^2 \Big/ \sum_a (n_a - 1)

    with the interval of the chi-squared distribution. Arms that share a baseline share its noise, so the
    interval is narrower than it would be for independent pairs.

    Args:
        differences: as :func:`paired_differences` returns it.
        level: probability that the interval covers, in (0, 1).

    Returns:
        ``spread``, ``low`` and ``high`` in points, ``df`` and the number of ``arms``, by ``metric``; arms of
        a single seed tell nothing and are left out.
    """
    rows = []
    for metric, table in differences.groupby("metric", sort=False):
        arms = table.groupby("arm", sort=False)["value"].agg(["count", "var"]).query("count > 1")
        df = int((arms["count"] - 1).sum())
        if df:
            square = float(((arms["count"] - 1) * arms["var"]).sum())
            edges = (math.sqrt(square / stats.chi2.ppf((1 + sign * level) / 2, df)) for sign in (1, -1))
            rows.append((metric, math.sqrt(square / df), *edges, df, len(arms)))
    return pd.DataFrame(rows, columns=["metric", "spread", "low", "high", "df", "arms"]).set_index("metric")
