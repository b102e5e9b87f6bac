r"""Region Rebalance: what accuracy says about IoU (Eq. 1 to 3, Remark 1, supplement B and C).

The identity :math:`\frac{1}{\text{IoU}} = \frac{1}{\text{Acc}} + \frac{\text{FP}}{\text{TP}}` is exact.
"Linear in 1/Acc with FP/TP a constant" is an assumption: :math:`\frac{\text{FP}}{\text{TP}} =
\frac{\text{FP}}{\text{Acc} \cdot n_y}` changes with the accuracy unless FP grows in proportion to TP. With FP
fixed instead, :math:`\frac{1}{\text{IoU}} = \frac{1 + \text{FP}/n_y}{\text{Acc}}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aucseg.theory.checks import Floats, check_positive


@dataclass(frozen=True)
class Overlap:
    """IoU, accuracy and FP/TP of a class.

    Attributes:
        iou: TP / (TP + FN + FP), in [0, 1].
        accuracy: TP / (TP + FN), in [0, 1].
        false_ratio: FP / TP; infinite without a true positive.
    """

    iou: float
    accuracy: float
    false_ratio: float


@dataclass(frozen=True)
class Remark1:
    """The condition of Remark 1 and what it decides.

    Attributes:
        left: FP after minus (1 + K) FP before, pixels.
        right: K n_y, pixels.
        holds: left <= right, which is the same as ``after.iou >= before.iou``.
        improves: left < right, which is the same as ``after.iou > before.iou``.
        before: the class before.
        after: the class after.
    """

    left: float
    right: float
    holds: bool
    improves: bool
    before: Overlap
    after: Overlap


def overlap(true_positives: float, false_negatives: float, false_positives: float) -> Overlap:
    """IoU, accuracy and FP/TP from counts (Region Rebalance, Eq. 1 to 3).

    Args:
        true_positives: TP, pixels.
        false_negatives: FN, pixels.
        false_positives: FP, pixels.

    Raises:
        ValueError: if a count is negative or the class has no pixel (TP + FN = 0).

    Example:
        >>> overlap(6, 4, 2).iou
        0.5
    """
    counts = [float(value) for value in (true_positives, false_negatives, false_positives)]
    if min(counts) < 0 or not np.isfinite(counts).all():
        raise ValueError(f"counts of pixels must be finite and at least 0, got TP, FN, FP = {counts}")
    tp, fn, fp = counts
    if tp + fn == 0:
        raise ValueError("the class has no pixel (TP + FN = 0): its accuracy is not defined")
    return Overlap(tp / (tp + fn + fp), tp / (tp + fn), fp / tp if tp else float("inf"))


def remark1(
    true_positives: float,
    false_negatives: float,
    false_positives: float,
    gain: float,
    false_positives_after: float,
) -> Remark1:
    r"""Region Rebalance, Remark 1: does an accuracy of (1 + K) A come with a larger IoU?

    .. math:: \text{IoU}^r \ge \text{IoU} \iff \text{FP}^r - (1 + K) \text{FP} \le K n_y

    with :math:`n_y = \text{TP} + \text{FN}`, a count of pixels. The paper says that it guarantees an
    improvement; with equality the IoU stays the same, and no accuracy goes above 1, so K <= 1/A - 1.

    Args:
        true_positives: TP before, pixels, above 0.
        false_negatives: FN before, pixels.
        false_positives: FP before, pixels.
        gain: K, from 0 to FN/TP.
        false_positives_after: FP after, pixels.

    Raises:
        ValueError: if a count is negative, TP is 0, or K is outside its range.

    Example:
        >>> remark1(50, 50, 10, 0.2, 32).improves
        False
    """
    tp, fn = float(check_positive("true_positives", true_positives)), false_negatives
    before = overlap(tp, fn, false_positives)
    most = fn / tp
    # K is often computed from two accuracies: a hair above its limit is rounding
    if not 0 <= gain <= most * (1 + 1e-12):
        raise ValueError(f"K is {gain:g}, and an accuracy of {before.accuracy:g} can grow by 0 to {most:g}")
    n_y = tp + fn
    after_tp = min(tp * (1 + gain), n_y)
    after = overlap(after_tp, n_y - after_tp, false_positives_after)
    left, right = false_positives_after - (1 + gain) * false_positives, gain * n_y
    return Remark1(left, right, left <= right, left < right, before, after)


def iou_from_accuracy(accuracy: ArrayLike, false_ratio: ArrayLike) -> Floats:
    r"""IoU as a function of accuracy at a constant b = FP/TP: the curves of Figure 8.

    .. math:: \text{IoU} = \frac{\text{Acc}}{1 + b\,\text{Acc}}

    Args:
        accuracy: in [0, 1].
        false_ratio: b, at least 0.

    Returns:
        The IoU, of the shape that both broadcast to.

    Raises:
        ValueError: for a value outside its range.
    """
    acc, b = _unit("accuracy", accuracy), np.asarray(false_ratio, np.float64)
    if not (np.isfinite(b) & (b >= 0)).all():
        raise ValueError(f"false_ratio is a ratio of counts, finite and at least 0; got {b.min():g}")
    return np.asarray(acc / (1 + b * acc))


def iou_slope(accuracy: ArrayLike, false_ratio: ArrayLike) -> Floats:
    r"""How much IoU a little accuracy is worth at a constant b = FP/TP: :math:`(1 + b\,\text{Acc})^{-2}`.

    The supplement says that for b in [0, 1] optimising Acc equals optimising IoU. Both grow together for
    every b, but at Acc = 0.6 the slope is 1, 0.59 and 0.39 for b = 0, 0.5 and 1, and 0.13 for b = 3.

    Args:
        accuracy: in [0, 1].
        false_ratio: b, at least 0.

    Raises:
        ValueError: for a value outside its range.
    """
    iou_from_accuracy(accuracy, false_ratio)
    return np.asarray((1 + np.asarray(false_ratio, np.float64) * np.asarray(accuracy, np.float64)) ** -2.0)


def false_ratio(iou: ArrayLike, accuracy: ArrayLike) -> Floats:
    r"""FP/TP from IoU and accuracy: :math:`\frac{1}{\text{IoU}} - \frac{1}{\text{Acc}}` (Eq. 3).

    Args:
        iou: in (0, 1].
        accuracy: in (0, 1], nowhere below the IoU.

    Raises:
        ValueError: for a value outside its range, or an IoU above its accuracy.
    """
    low, high = _unit("iou", iou), _unit("accuracy", accuracy)
    if (low == 0).any() or (high == 0).any():
        raise ValueError("FP/TP is not finite without a true positive; leave out classes with an IoU of 0")
    if (low > high * (1 + 1e-12)).any():
        raise ValueError("an IoU is above its accuracy, and FP cannot be negative; are the two of one run?")
    return np.asarray(np.maximum(1 / low - 1 / high, 0))


def _unit(name: str, values: ArrayLike) -> Floats:
    numbers = np.asarray(values, np.float64)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(
            f"{name} must be in [0, 1], not percent; got values from {numbers.min():g} to {numbers.max():g}"
        )
    return numbers
