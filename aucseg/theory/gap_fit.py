"""How the measured gaps fall with the number of images and rise with tau: exponents with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats
from aucseg.theory.gap import GapRow

QUANTITIES = ("sup_gap", "optimism", "erm_gap", "auc_gap")


@dataclass(frozen=True)
class Slope:
    """An exponent and its interval.

    Attributes:
        value: the exponent, from a straight line through logarithms.
        low: lower end of its interval.
        high: upper end of its interval.
        confidence: of the interval, by resampling seeds.
    """

    value: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class GapFit:
    r"""The gap as a product of powers, :math:`\text{gap} \approx C\, n^a\, \tau^b`, of means over seeds.

    Attributes:
        quantity: the gap that was fitted, a field of ``GapRow``.
        per_images: a; Theorem 1 claims -1/2, up to logarithms.
        per_tau: b; Theorem 1 claims 1. None with a single tau.
        per_spread: the exponent of ``spread`` in the place of tau; None with a single tau.
        by_tau: a for each tau alone.
        seeds: number of seeds.
    """

    quantity: str
    per_images: Slope
    per_tau: Slope | None
    per_spread: Slope | None
    by_tau: dict[float, Slope]
    seeds: int


def fit_gaps(
    rows: Sequence[GapRow], quantity: str, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> GapFit:
    """Fit the exponents of a gap.

    Args:
        rows: what ``measure_gaps`` found, every tau and n with the same seeds.
        quantity: one of ``QUANTITIES``; the last two may be negative and have no logarithm.
        resamples: how often the seeds are drawn again, with replacement.
        confidence: of the intervals, in (0, 1).
        seed: of the resampling.

    Returns:
        The exponents.

    Raises:
        ValueError: for an unknown quantity, rows that are not a full grid, fewer than three seeds or two
            sizes, or a mean over seeds that is not above 0 and has no logarithm.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"unknown quantity {quantity!r}; use one of {', '.join(map(repr, QUANTITIES))}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    taus = sorted({row.tau for row in rows})
    sizes = sorted({row.images for row in rows})
    seeds = sorted({row.seed for row in rows})
    found = {(row.tau, row.images, row.seed): getattr(row, quantity) for row in rows}
    if len(found) != len(rows) or len(rows) != len(taus) * len(sizes) * len(seeds):
        raise OptionError(
            f"{len(rows)} rows are no full grid of {len(taus)} tau, {len(sizes)} n, {len(seeds)} seeds"
        )
    if len(seeds) < 3 or len(sizes) < 2:
        raise OptionError(
            f"a slope with an interval needs 3 seeds and 2 sizes, got {len(seeds)} and {len(sizes)}"
        )
    grid = np.array([[[found[t, n, s] for s in seeds] for n in sizes] for t in taus])
    spreads = [next(row.spread for row in rows if row.tau == t) for t in taus]
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(seeds), size=(resamples, len(seeds)))
    means = np.array([grid.mean(2), *(grid[:, :, draw].mean(2) for draw in draws)])
    if (means[0] <= 0).any():
        raise OptionError(
            f"a mean {quantity} over seeds is not above 0 and has no logarithm; take more seeds"
        )
    # a resample of few seeds may fall below 0; it then lacks a logarithm and is left out of the interval
    logs = np.log(means[(means > 0).all((1, 2))])

    def slope(response: Floats, *columns: Floats) -> list[Slope]:
        design = np.column_stack([*columns, np.ones(columns[0].shape)])
        fits = np.linalg.lstsq(design, response.reshape(len(response), -1).T, rcond=None)[0]
        tails = (1 - confidence) / 2, (1 + confidence) / 2
        return [
            Slope(float(line[0]), float(low), float(high), confidence)
            for line, (low, high) in zip(fits[:-1], np.quantile(fits[:-1, 1:], tails, axis=1).T, strict=True)
        ]

    n = np.log(np.tile(sizes, len(taus)))
    per_tau = per_spread = None
    if len(taus) > 1:
        per_images, per_tau = slope(logs, n, np.log(np.repeat(taus, len(sizes))))
        per_spread = slope(logs, n, np.log(np.repeat(spreads, len(sizes))))[1]
    else:
        (per_images,) = slope(logs, n)
    by_tau = {t: slope(logs[:, i], np.log(np.array(sizes, float)))[0] for i, t in enumerate(taus)}
    return GapFit(quantity, per_images, per_tau, per_spread, by_tau, len(seeds))
