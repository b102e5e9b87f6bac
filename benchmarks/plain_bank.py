"""The memory bank as one would first write it down: what TailMemoryBank is compared with."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

Stored = tuple[Tensor, Tensor]


class PlainBank:
    """Algorithm 2 word for word, image by image and class by class.

    Looks for each tail class with a mask of the whole image, keeps whole images with whole masks, resizes
    whole images, and pastes the pixels that the resized mask is made of at a random offset of the image.
    Void stays void.

    Args:
        tail_classes: labels of the tail classes.
        memory_size: S_M.
        sample_ratio: R_S.
        resize_ratio: R_R.
        ignore_index: the void label.
        seed: of its random choices.
    """

    def __init__(
        self,
        tail_classes: Iterable[int],
        *,
        memory_size: int = 5,
        sample_ratio: float = 0.05,
        resize_ratio: float = 0.4,
        ignore_index: int = 255,
        seed: int = 0,
    ) -> None:
        self.memory_size, self.sample_ratio, self.resize_ratio = memory_size, sample_ratio, resize_ratio
        self.ignore_index = ignore_index
        self.stored: dict[int, list[Stored]] = {label: [] for label in tail_classes}
        self.random = random.Random(seed)

    def __call__(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Store the tail classes of a batch, paste a share of those that an image misses.

        Args:
            images: (B, C, H, W).
            target: (B, H, W).

        Returns:
            New images and target.
        """
        missing: list[list[int]] = []
        for image, labels in zip(images, target, strict=True):
            missing.append([])
            for label in self.stored:
                mask = labels == label
                if mask.any():
                    self._store(label, (image.clone(), mask))
                else:
                    missing[-1].append(label)
        images, target = images.clone(), target.clone()
        for image, labels, absent in zip(images, target, missing, strict=True):
            count = math.ceil(len(absent) * self.sample_ratio - 1e-9)
            for label in self.random.sample(absent, count):
                if self.stored[label]:
                    self._paste(image, labels, label, *self.random.choice(self.stored[label]))
        return images, target

    def nbytes(self) -> int:
        """Bytes of images and masks."""
        return sum(part.nbytes for stored in self.stored.values() for pair in stored for part in pair)

    def _store(self, label: int, new: Stored) -> None:
        if len(self.stored[label]) < self.memory_size:
            self.stored[label].append(new)
        else:
            self.stored[label][self.random.randrange(self.memory_size)] = new

    def _paste(self, image: Tensor, labels: Tensor, label: int, source: Tensor, mask: Tensor) -> None:
        height, width = labels.shape
        size = max(1, round(height * self.resize_ratio)), max(1, round(width * self.resize_ratio))
        small = F.interpolate(source[None], size=size, mode="bilinear", antialias=True)[0]
        kept = F.interpolate(mask[None, None].float(), size=size, mode="nearest-exact")[0, 0] > 0
        rows, columns = kept.nonzero(as_tuple=True)
        top, left = (
            self.random.randrange(whole - part + 1) for whole, part in zip((height, width), size, strict=True)
        )
        free = labels[rows + top, columns + left] != self.ignore_index
        rows, columns = rows[free], columns[free]
        image[:, rows + top, columns + left] = small[:, rows, columns]
        labels[rows + top, columns + left] = torch.tensor(label, device=labels.device, dtype=labels.dtype)
