"""A LightningModule; the bank is a submodule and travels in the checkpoint."""

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from aucseg.losses import AUCSegLoss, lightning_accumulation
from aucseg.memory import TailMemoryBank
from aucseg.metrics import SegmentationIoU

K, tail = 5, [3, 4]


class Segmentation(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, K, 1))
        self.criterion = AUCSegLoss(num_classes=K, ce_weight=0.25)
        self.bank = TailMemoryBank(tail)
        self.iou = SegmentationIoU(K)

    def training_step(self, batch, index):
        images, target = self.bank(*batch)
        return self.criterion(self.model(images), target)

    def validation_step(self, batch, index):
        images, target = batch
        self.iou.update(self.model(images), target)

    def on_validation_epoch_end(self):
        self.log("mIoU", self.iou.compute()["mIoU"].float())
        self.iou.reset()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


data = TensorDataset(torch.rand(16, 3, 32, 32), torch.randint(0, K, (16, 32, 32)))
module = Segmentation()
trainer = lightning.Trainer(
    max_epochs=1,
    accumulate_grad_batches=4,
    callbacks=[lightning_accumulation()],  # 8 images in a step, 2 at a time, with the exact gradient
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    accelerator="cpu",
)
trainer.fit(module, DataLoader(data, batch_size=2), DataLoader(data, batch_size=8))
