"""A network of segmentation-models-pytorch; one logit for two classes as well."""

import segmentation_models_pytorch as smp
import torch

from aucseg.losses import AUCSegLoss
from aucseg.metrics import SegmentationIoU

images = torch.rand(2, 3, 64, 64)
model = smp.Unet("resnet18", encoder_weights=None, classes=5)
target = torch.randint(0, 5, (2, 1, 64, 64))  # with or without an axis for a channel
loss = AUCSegLoss(num_classes=5)(model(images), target)
loss.backward()

binary = smp.Unet("resnet18", encoder_weights=None, classes=1)
target = torch.rand(2, 64, 64) < 0.1  # booleans for two classes
logits = binary(images)  # (B, 1, H, W)
loss = AUCSegLoss(num_classes=2)(logits, target)
loss.backward()
iou = SegmentationIoU(2, threshold=0.0)  # logits; 0.5 for probabilities
iou.update(logits, target)
