"""A batch that is copied when it is first written to."""

from __future__ import annotations

import torch
from torch import Tensor

from aucseg.memory.paste import Crop, paste


class Canvas:
    """A batch to paste into, and what tail classes each of its images holds.

    Args:
        images: (B, C, H, W), never written to.
        target: (B, H, W), never written to.
        held: for each image the tail classes that it holds.
        ignore_index: the void label.
    """

    def __init__(self, images: Tensor, target: Tensor, held: list[set[int]], ignore_index: int) -> None:
        self.images, self.target, self.held = images, target, held
        self.ignore_index = ignore_index
        self.size: tuple[int, int] = (target.shape[1], target.shape[2])
        self._own = False

    def __len__(self) -> int:
        return len(self.held)

    @property
    def device(self) -> torch.device:
        """Where the batch is."""
        return self.images.device

    def paste(self, index: int, crop: Crop, label: int, top: int, left: int) -> Tensor:
        """Paste an object into an image; the first time the batch is copied.

        Args:
            index: of the image.
            crop: the object.
            label: its class.
            top: row of its first row.
            left: column of its first column.

        Returns:
            (h, w), boolean: the pixels of the object that were written.
        """
        if not self._own:
            self.images, self.target, self._own = self.images.clone(), self.target.clone(), True
        written = paste(self.images[index], self.target[index], crop, label, top, left, self.ignore_index)
        self.held[index].add(label)
        return written
