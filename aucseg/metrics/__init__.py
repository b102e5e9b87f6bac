"""Streaming metrics on torchmetrics."""

from aucseg.metrics.auc import PixelAUC
from aucseg.metrics.iou import SegmentationIoU

__all__ = ["PixelAUC", "SegmentationIoU"]
