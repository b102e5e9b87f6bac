"""Losses for long-tailed segmentation, all called as ``loss(logits, target)``."""

from aucseg.losses.auc import AUCLoss

__all__ = ["AUCLoss"]
