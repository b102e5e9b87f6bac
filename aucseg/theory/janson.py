"""Janson's decomposition: a sum of dependent numbers as a weighted sum of sums of independent ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.theory.checks import Floats


@dataclass(frozen=True, eq=False)
class JansonSum:
    """A sum of dependent numbers as a weighted sum of sums of independent ones (AUCSeg, Eq. 13).

    Attributes:
        total: the sum.
        parts: sum over each set of the cover, (J,).
        weights: weight of each set, (J,); ``total`` is the sum of weights times parts.
    """

    total: float
    parts: Floats
    weights: Floats


def janson_sum(values: ArrayLike, sets: Sequence[Sequence[int]], weights: ArrayLike) -> JansonSum:
    r"""Janson's decomposition of a sum on a given fractional cover (AUCSeg, Eq. 13).

    .. math:: \sum_i x_i = \sum_j \omega_j \sum_{i \in I_j} x_i

    Args:
        values: x, (m,).
        sets: the sets :math:`I_j` of positions in ``values``, each without repeats.
        weights: :math:`\omega_j` in (0, 1], one for each set.

    Returns:
        The sum and its parts.

    Raises:
        ValueError: if the weights of the sets that hold a position do not add up to one, or the shapes do
            not fit.

    Example:
        >>> janson_sum([1.0, 2.0, 4.0], [(0, 1), (1, 2), (0, 2)], [0.5, 0.5, 0.5]).parts.tolist()
        [3.0, 6.0, 5.0]
    """
    numbers, omega = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if numbers.ndim != 1 or omega.shape != (len(sets),):
        raise ValueError(
            f"values of {numbers.shape} and {omega.shape} weights for {len(sets)} sets do not fit"
        )
    if ((omega <= 0) | (omega > 1)).any():
        raise ValueError(f"weights must be in (0, 1], got {omega[(omega <= 0) | (omega > 1)][0]:g}")
    cover = np.zeros(len(numbers))
    for members, weight in zip(sets, omega, strict=True):
        if len(set(members)) != len(members) or not set(members) <= set(range(len(numbers))):
            raise ValueError(f"set {tuple(members)} repeats a position or leaves 0 to {len(numbers) - 1}")
        cover[list(members)] += weight
    if not np.allclose(cover, 1, rtol=0, atol=1e-9):
        bad = int(np.argmax(np.abs(cover - 1)))
        raise ValueError(f"the weights on position {bad} add up to {cover[bad]:g}, and a cover needs 1")
    parts = np.array([numbers[list(members)].sum() for members in sets])
    return JansonSum(float(omega @ parts), parts, omega)
