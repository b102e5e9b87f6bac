"""Numbers that say how long a tail is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from aucseg.data.spec import GROUPS
from aucseg.errors import OptionError


def imbalance_factor(counts: ArrayLike) -> float:
    r"""Most over least frequent class, Region Rebalance, Sec. 3.3.2.

    .. math:: \beta = N_\text{max} / N_\text{min}

    Of pixels it is the pixel imbalance factor (PIF) of Figure 5b, of the images that hold a class the region
    imbalance factor (RIF): Eq. 7 counts one region for each class of an image, however many pieces it is in.

    Args:
        counts: pixels, images or regions of each class, (K,).

    Returns:
        The factor, at least 1; infinite if a class does not occur.

    Raises:
        ValueError: if there is no class, or no class occurs.
    """
    values = _counts(counts)
    return float(values.max() / values.min()) if values.min() else float("inf")


def head_to_rest_ratio(counts: ArrayLike, groups: Sequence[str]) -> float:
    r"""Mean ratio of a head class to another class, r_m of AUCSeg Eq. 43, Table 11.

    .. math:: r_m = \frac{1}{|C_h| \, |\overline{C_h}|} \sum_{a \in C_h} \sum_{b \notin C_h} \frac ab
              = \operatorname{mean}_{a \in C_h} a \; \cdot \; \operatorname{mean}_{b \notin C_h} \frac 1b

    Args:
        counts: pixels of each class, or their shares, (K,).
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class.

    Returns:
        The ratio; infinite if a class does not occur.

    Raises:
        ValueError: if there is not one group for each class, or all or none are head.
    """
    values = _counts(counts)
    head = _members(groups, "head", len(values))
    if head.all() or not head.any():
        raise OptionError(f"{head.sum()} of {len(head)} classes are head; r_m compares them with the others")
    if not values[~head].all():
        return float("inf")
    return float(values[head].mean() * (1 / values[~head]).mean())


def pixels_where_present(pixels: ArrayLike, images: ArrayLike) -> np.ndarray:
    """Mean pixels of each class over the images that hold it, (K,); nan for a class in none.

    Args:
        pixels: pixels of each class, (K,).
        images: images that hold each class, (K,).
    """
    held = np.asarray(images, float)
    return np.divide(np.asarray(pixels, float), held, out=np.full(held.shape, np.nan), where=held > 0)


def lorenz_curve(counts: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Share of all pixels that the rarest classes hold together.

    Args:
        counts: pixels, images or regions of each class, (K,).

    Returns:
        Fraction of the classes, rarest first, and fraction of the pixels that they hold, each (K + 1,) from 0
        to 1. The diagonal would be classes of equal size.

    Raises:
        ValueError: if there is no class, or no class occurs.
    """
    values = np.sort(_counts(counts))
    held = np.append(0.0, np.cumsum(values)) / values.sum()
    return np.linspace(0, 1, len(values) + 1), held


def gini(counts: ArrayLike) -> float:
    r"""Gini index: twice the area between the Lorenz curve and the diagonal.

    .. math:: G = \frac{\sum_{i,j} |n_i - n_j|}{2 K \sum_i n_i}

    Args:
        counts: pixels, images or regions of each class, (K,).

    Returns:
        0 for classes of equal size, 1 - 1/K if one class holds all.

    Raises:
        ValueError: if there is no class, or no class occurs.
    """
    classes, held = lorenz_curve(counts)
    return float(1 - 2 * np.trapezoid(held, classes))


def pearson(frequency: ArrayLike, value: ArrayLike) -> float:
    """Pearson's correlation, Region Rebalance Eq. 6, over the classes for which both are known.

    Args:
        frequency: pixels, images or regions of each class, (K,).
        value: accuracy or IoU of each class, (K,); nan where there is none.

    Returns:
        The coefficient, in [-1, 1]; nan for fewer than two classes or where one side is constant.

    Raises:
        ValueError: if they differ in shape.
    """
    x, y = np.asarray(frequency, float), np.asarray(value, float)
    if x.shape != y.shape:
        raise ValueError(f"{x.shape} frequencies but {y.shape} values")
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def group_members(groups: Sequence[str], num_classes: int) -> dict[str, np.ndarray]:
    """Which classes are head, middle and tail, each (K,) bool.

    Args:
        groups: ``"head"``, ``"middle"`` or ``"tail"`` for each class.
        num_classes: number of classes K.

    Raises:
        ValueError: if there is not one group for each class.
    """
    return {group: _members(groups, group, num_classes) for group in GROUPS}


def _members(groups: Sequence[str], group: str, num_classes: int) -> np.ndarray:
    if len(groups) != num_classes:
        raise ValueError(f"{len(groups)} groups for {num_classes} classes")
    return np.array([g == group for g in groups], bool)


def _counts(counts: ArrayLike) -> np.ndarray:
    values = np.asarray(counts, float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"counts are one number for each class, got shape {values.shape}")
    if values.min() < 0 or values.sum() == 0:
        raise OptionError(f"counts are >= 0 and not all zero, got {values.min():g} to {values.max():g}")
    return values
