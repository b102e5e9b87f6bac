"""Losses for long-tailed segmentation, all called as ``loss(logits, target)``."""

from aucseg.functional.logits import class_counts
from aucseg.losses.accumulation import lightning_accumulation, transformers_accumulation, two_passes
from aucseg.losses.adjusted import BalancedSoftmaxLoss, LDAMLoss, LogitAdjustedLoss, VSLoss
from aucseg.losses.auc import AUCLoss
from aucseg.losses.aucseg import AUCSegLoss
from aucseg.losses.base import PixelwiseLoss, SegmentationLoss
from aucseg.losses.blv import BLVLoss
from aucseg.losses.boundary import boundary_loss, boundary_targets
from aucseg.losses.cross_entropy import (
    WeightedCrossEntropyLoss,
    class_weights,
    cross_entropy,
    ohem_cross_entropy,
)
from aucseg.losses.focal import FocalLoss
from aucseg.losses.gcl import GCLLoss
from aucseg.losses.micro_batches import micro_batched
from aucseg.losses.multilabel import MultilabelLoss
from aucseg.losses.overlap import DiceLoss, JaccardLoss, LovaszSoftmaxLoss
from aucseg.losses.pat import PATLoss
from aucseg.losses.presence import class_presence, presence_cross_entropy
from aucseg.losses.queue import SumQueue
from aucseg.losses.region import RegionBranch, RegionRebalanceLoss, SimplexClassifier
from aucseg.losses.seesaw import SeesawLoss

__all__ = [
    "AUCLoss",
    "AUCSegLoss",
    "BLVLoss",
    "BalancedSoftmaxLoss",
    "DiceLoss",
    "FocalLoss",
    "GCLLoss",
    "JaccardLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "LovaszSoftmaxLoss",
    "MultilabelLoss",
    "PATLoss",
    "PixelwiseLoss",
    "RegionBranch",
    "RegionRebalanceLoss",
    "SeesawLoss",
    "SegmentationLoss",
    "SimplexClassifier",
    "SumQueue",
    "VSLoss",
    "WeightedCrossEntropyLoss",
    "boundary_loss",
    "boundary_targets",
    "class_counts",
    "class_presence",
    "class_weights",
    "cross_entropy",
    "lightning_accumulation",
    "micro_batched",
    "ohem_cross_entropy",
    "presence_cross_entropy",
    "transformers_accumulation",
    "two_passes",
]
