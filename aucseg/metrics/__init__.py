"""Streaming metrics on torchmetrics."""

from aucseg.metrics.iou import SegmentationIoU

__all__ = ["SegmentationIoU"]
