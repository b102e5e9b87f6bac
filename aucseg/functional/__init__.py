"""Pure tensor maths: no state, no input or output."""

from aucseg.functional.auc import auc_risk
from aucseg.functional.moments import ClassMoments, class_moments

__all__ = ["ClassMoments", "auc_risk", "class_moments"]
