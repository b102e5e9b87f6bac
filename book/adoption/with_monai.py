"""A volume, with MONAI's network and labels (B, 1, D, H, W)."""

import torch
from monai.networks.nets import UNet

from aucseg.losses import AUCSegLoss
from aucseg.metrics import SegmentationIoU

model = UNet(spatial_dims=3, in_channels=1, out_channels=4, channels=(8, 16), strides=(2,))
volumes = torch.rand(2, 1, 16, 16, 16)
target = torch.randint(0, 4, (2, 1, 16, 16, 16))
logits = model(volumes)
loss = AUCSegLoss(num_classes=4)(logits, target)
loss.backward()
iou = SegmentationIoU(4)
iou.update(logits, target)
