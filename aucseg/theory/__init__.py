"""What the papers prove, as calculators on plain numbers and arrays."""

from aucseg.theory.contrastive import Theorem2, logistic_auc, theorem2, weighted_contrastive

__all__ = ["Theorem2", "logistic_auc", "theorem2", "weighted_contrastive"]
