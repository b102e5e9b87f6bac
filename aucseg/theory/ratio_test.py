"""Region Rebalance: is FP/TP constant from one network to another, as its reading of Eq. 3 assumes?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from aucseg.theory.checks import Floats
from aucseg.theory.overlap import false_ratio, iou_from_accuracy


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
        ValueError: for shapes that do not fit, a value outside its range, or no class to compare.
    """
    table = np.array([np.asarray(v, np.float64) for v in (iou_before, accuracy_before, iou, accuracy)])
    if table.shape != (4, len(names)):
        raise ValueError(f"{len(names)} names but values of shape {table.shape[1:]}")
    used = np.isfinite(table).all(0) & (table > 0).all(0)
    if not used.any():
        raise ValueError("no class has a true positive in both runs: there is no FP/TP to compare")
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
