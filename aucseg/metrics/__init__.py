"""Streaming metrics on torchmetrics."""

from aucseg.metrics.auc import PixelAUC
from aucseg.metrics.cityscapes import CityscapesIoU
from aucseg.metrics.iou import SegmentationIoU
from aucseg.metrics.saliency import SaliencyMeasures

__all__ = ["CityscapesIoU", "PixelAUC", "SaliencyMeasures", "SegmentationIoU"]
