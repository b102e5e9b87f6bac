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
from scipy.stats import wilcoxon

from aucseg.errors import OptionError
from aucseg.theory.checks import Floats, check_positive, check_shares


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


@dataclass(frozen=True, eq=False)
class RatioTest:
    """The assumption of a constant FP/TP, held against two measurements of the same classes.

    Attributes:
        names: the classes compared, (C,).
        before: FP/TP of the first measurement, (C,).
        after: FP/TP of the second, (C,).
        predicted: IoU of the second if FP/TP had stayed that of the first, (C,), in [0, 1].
        iou: IoU of the second, (C,), in [0, 1].
        gains: change of the accuracy, (C,).
        same_sign: share of the classes with a changed accuracy whose IoU changed in the same direction.
        error: mean absolute difference of ``predicted`` and ``iou``, in IoU.
        change: median factor by which FP/TP changed, over classes where it is above 0 both times.
        p_value: of no change, Wilcoxon's signed rank test on the logarithm of the factors; nan below six.
        left_out: classes without a true positive in one of the measurements, where FP/TP is not finite.
    """

    names: tuple[str, ...]
    before: Floats
    after: Floats
    predicted: Floats
    iou: Floats
    gains: Floats
    same_sign: float
    error: float
    change: float
    p_value: float
    left_out: tuple[str, ...]


def overlap(true_positives: float, false_negatives: float, false_positives: float) -> Overlap:
    """IoU, accuracy and FP/TP from counts (Region Rebalance, Eq. 1 to 3).

    Args:
        true_positives: TP, pixels.
        false_negatives: FN, pixels.
        false_positives: FP, pixels.

    Raises:
        OptionError: if a count is negative or the class has no pixel (TP + FN = 0).

    Example:
        >>> overlap(6, 4, 2).iou
        0.5
    """
    counts = [float(value) for value in (true_positives, false_negatives, false_positives)]
    if min(counts) < 0 or not np.isfinite(counts).all():
        raise OptionError(f"counts of pixels must be finite and at least 0, got TP, FN, FP = {counts}")
    tp, fn, fp = counts
    if tp + fn == 0:
        raise OptionError("the class has no pixel (TP + FN = 0): its accuracy is not defined")
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
        OptionError: if a count is negative, TP is 0, or K is outside its range.

    Example:
        >>> remark1(50, 50, 10, 0.2, 32).improves
        False
    """
    tp, fn = float(check_positive("true_positives", true_positives)), false_negatives
    before = overlap(tp, fn, false_positives)
    most = fn / tp
    # K is often computed from two accuracies: a hair above its limit is rounding
    if not 0 <= gain <= most * (1 + 1e-12):
        raise OptionError(f"K is {gain:g}, and an accuracy of {before.accuracy:g} can grow by 0 to {most:g}")
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
        OptionError: for a value outside its range.
    """
    acc, b = check_shares("accuracy", accuracy), np.asarray(false_ratio, np.float64)
    if not (np.isfinite(b) & (b >= 0)).all():
        raise OptionError(f"false_ratio is a ratio of counts, finite and at least 0; got {b.min():g}")
    return np.asarray(acc / (1 + b * acc))


def iou_slope(accuracy: ArrayLike, false_ratio: ArrayLike) -> Floats:
    r"""How much IoU a little accuracy is worth at a constant b = FP/TP: :math:`(1 + b\,\text{Acc})^{-2}`.

    The supplement says that for b in [0, 1] optimising Acc equals optimising IoU. Both grow together for
    every b, but at Acc = 0.6 the slope is 1, 0.59 and 0.39 for b = 0, 0.5 and 1, and 0.13 for b = 3.

    Args:
        accuracy: in [0, 1].
        false_ratio: b, at least 0.

    Raises:
        OptionError: for a value outside its range.
    """
    iou_from_accuracy(accuracy, false_ratio)
    return np.asarray((1 + np.asarray(false_ratio, np.float64) * np.asarray(accuracy, np.float64)) ** -2.0)


def false_ratio(iou: ArrayLike, accuracy: ArrayLike) -> Floats:
    r"""FP/TP from IoU and accuracy: :math:`\frac{1}{\text{IoU}} - \frac{1}{\text{Acc}}` (Eq. 3).

    Args:
        iou: in (0, 1].
        accuracy: in (0, 1], nowhere below the IoU.

    Raises:
        OptionError: for a value outside its range, or an IoU above its accuracy.
    """
    low, high = check_shares("iou", iou), check_shares("accuracy", accuracy)
    if (low == 0).any() or (high == 0).any():
        raise OptionError("FP/TP is not finite without a true positive; leave out classes with an IoU of 0")
    if (low > high * (1 + 1e-12)).any():
        raise OptionError("an IoU is above its accuracy, and FP cannot be negative; are the two of one run?")
    return np.asarray(np.maximum(1 / low - 1 / high, 0))


def constant_ratio_test(
    names: tuple[str, ...],
    iou_before: ArrayLike,
    accuracy_before: ArrayLike,
    iou: ArrayLike,
    accuracy: ArrayLike,
) -> RatioTest:
    """Is FP/TP constant from one run to another, class by class, as Eq. 3 is read in the paper?

    Classes may be nan where one of the runs has no value for them; they are left out and named, as are those
    without a true positive.

    Args:
        names: the classes, (C,).
        iou_before: IoU of the first run, (C,).
        accuracy_before: accuracy of the first run, (C,).
        iou: IoU of the second run, (C,).
        accuracy: accuracy of the second run, (C,).

    Returns:
        FP/TP of both, the IoU that a constant one predicts, and how far that is off.

    Raises:
        ValueError: for shapes that do not fit.
        OptionError: for a value outside its range, or no class to compare.
    """
    table = np.array([np.asarray(v, np.float64) for v in (iou_before, accuracy_before, iou, accuracy)])
    if table.shape != (4, len(names)):
        raise ValueError(f"{len(names)} names but values of shape {table.shape[1:]}")
    used = np.isfinite(table).all(0) & (table > 0).all(0)
    if not used.any():
        raise OptionError("no class has a true positive in both runs: there is no FP/TP to compare")
    before = false_ratio(table[0, used], table[1, used])
    after = false_ratio(table[2, used], table[3, used])
    gains, moved = table[3, used] - table[1, used], table[2, used] - table[0, used]
    predicted = iou_from_accuracy(table[3, used], before)
    both = (before > 0) & (after > 0)
    logs = np.log(after[both] / before[both])
    changed = gains != 0
    return RatioTest(
        names=tuple(name for name, yes in zip(names, used, strict=True) if yes),
        before=before,
        after=after,
        predicted=predicted,
        iou=table[2, used],
        gains=gains,
        same_sign=float((gains * moved > 0)[changed].mean()) if changed.any() else float("nan"),
        error=float(np.abs(predicted - table[2, used]).mean()),
        change=float(np.exp(np.median(logs))) if len(logs) else float("nan"),
        p_value=float(wilcoxon(logs).pvalue) if np.count_nonzero(logs) >= 6 else float("nan"),
        left_out=tuple(name for name, yes in zip(names, used, strict=True) if not yes),
    )
