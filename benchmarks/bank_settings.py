"""The paper's settings of the memory bank, batches of that size, and the training step they are part of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice

import torch
from measure import patches
from torch import Tensor

from aucseg.losses import AUCSegLoss
from aucseg.memory import TailMemoryBank
from aucseg.models import create_model

# architecture and encoder: what a step is worth measuring with on a device
NETWORKS = {"cpu": ("unet", "resnet18"), "cuda": ("deeplabv3plus", "resnet50")}
VOID = 255


@dataclass(frozen=True)
class Setting:
    """A data set's sizes, and the options of the bank that the paper uses there.

    Attributes:
        name: of the data set.
        num_classes: K.
        tail: number of tail classes, the last ones.
        held: classes in one image.
        batch: images.
        height: rows.
        width: columns.
        sample_ratio: R_S.
        resize_ratio: R_R.
    """

    name: str
    num_classes: int
    tail: int
    held: int
    batch: int
    height: int
    width: int
    sample_ratio: float
    resize_ratio: float

    @property
    def tail_classes(self) -> tuple[int, ...]:
        """Labels of the tail classes."""
        return tuple(range(self.num_classes - self.tail, self.num_classes))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the images of a batch."""
        return self.batch, 3, self.height, self.width

    def bank(self, memory_size: int = 5) -> TailMemoryBank:
        """The bank with the paper's options."""
        return TailMemoryBank(
            self.tail_classes,
            memory_size=memory_size,
            sample_ratio=self.sample_ratio,
            resize_ratio=self.resize_ratio,
            budget=None,
            num_classes=self.num_classes,
            ignore_index=VOID,
            generator=torch.Generator().manual_seed(0),
        )

    def worst_bytes(self, memory_size: int) -> int:
        """Bytes of a full bank whose objects reach from edge to edge: float32 pictures and masks."""
        return memory_size * self.tail * self.height * self.width * (3 * 4 + 1)

    def scattered(self, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches without end of patches of a long tail of classes: the pieces of a class lie far apart."""
        for seed in count():
            target = self._patches(self.num_classes, self.held, seed)
            yield self._noise(seed).to(device), target.to(device)

    def objects(self, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches without end that hold the tail classes in turn, five in an image, each in one piece.

        An object is a rectangle with sides of 1/16 to 1/2 of the image's, on patches of the other classes.
        """
        generator = torch.Generator().manual_seed(0)
        head = self.num_classes - self.tail
        ground, images = self._patches(head, min(self.held, head), 0), self._noise(0).to(device)
        tail = cycle(self.tail_classes)
        while True:
            target = ground.clone()
            for labels in target:
                for label in islice(tail, 5):
                    sides = [_between(side // 16, side // 2, generator) for side in labels.shape]
                    top, left = (
                        _between(0, side - part, generator)
                        for side, part in zip(labels.shape, sides, strict=True)
                    )
                    labels[top : top + sides[0], left : left + sides[1]] = label
            yield images, target.to(device)

    def full_bank(self, memory_size: int, device: str) -> TailMemoryBank:
        """A bank that holds S_M objects of every tail class."""
        bank, batches = self.bank(memory_size), self.objects(device)
        while len(bank) < memory_size * self.tail:
            bank(*next(batches))
        return bank

    def _noise(self, seed: int) -> Tensor:
        return torch.rand(self.shape, generator=torch.Generator().manual_seed(seed))

    def _patches(self, classes: int, held: int, seed: int) -> Tensor:
        patch = max(4, min(self.height, self.width) // 16)
        return patches(
            self.batch, classes, self.height, self.width, seed=seed, present=held, patch=patch, void=VOID
        )


ADE20K = Setting("ade20k", 150, 124, 10, 4, 512, 512, 0.05, 0.4)
CITYSCAPES = Setting("cityscapes", 19, 7, 12, 2, 1024, 1024, 1.0, 1.0)
TINY = Setting("tiny", 10, 6, 5, 2, 64, 64, 0.5, 0.5)


class TrainingStep:
    """Forward and backward of a network with a loss, and an update of its weights.

    SGD with momentum; the momentum is there before the first step, so that one step shows the peak.

    Args:
        num_classes: K.
        device: where; it decides on the network, see ``NETWORKS``.
        auc: AUC with cross entropy, or cross entropy alone.
    """

    def __init__(self, num_classes: int, device: str, *, auc: bool = True) -> None:
        torch.manual_seed(0)
        name, encoder = NETWORKS[device]
        self.network = create_model(name, encoder, num_classes=num_classes).to(device).train()
        self.loss = (
            AUCSegLoss(num_classes, ignore_index=VOID)
            if auc
            else torch.nn.CrossEntropyLoss(ignore_index=VOID)
        )
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-4, momentum=0.9)
        for weight in self.network.parameters():
            weight.grad = torch.zeros_like(weight)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def __call__(self, images: Tensor, target: Tensor) -> None:
        """Take a step on a batch."""
        self.loss(self.network(images), target).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def _between(least: int, most: int, generator: torch.Generator) -> int:
    return int(torch.randint(least, most + 1, (), generator=generator))
