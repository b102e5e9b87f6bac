"""A loop of one's own."""

import torch
from torch import nn

from aucseg.losses import AUCSegLoss
from aucseg.memory import TailMemoryBank
from aucseg.metrics import PixelAUC, SegmentationIoU

K, tail = 5, [3, 4]
model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, K, 1))
loader = [(torch.rand(4, 3, 32, 32), torch.randint(0, K, (4, 32, 32), dtype=torch.uint8)) for _ in range(2)]

criterion = AUCSegLoss(num_classes=K, ce_weight=0.25)
bank = TailMemoryBank(tail)
optimizer = torch.optim.AdamW(model.parameters())

for images, target in loader:  # target: integers of any width, 0 to K - 1, or 255 for void
    images, target = bank(images, target)
    loss = criterion(model(images), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

iou, auc = SegmentationIoU(K), PixelAUC(K, bins=1024)
with torch.no_grad():
    for images, target in loader:
        logits = model(images)
        iou.update(logits, target)
        auc.update(logits.sigmoid(), target)
print(iou.compute()["mIoU"], auc.compute()["auc"])
