"""Keeping a data set in memory."""

from __future__ import annotations

import hashlib
from typing import Any

from torch.utils.data import Dataset

from aucseg.data.spec import ClassSpec


class CachedDataset(Dataset[Any]):
    """A data set whose items are made once and then kept in memory; optionally only its first ones.

    Args:
        dataset: any data set of this package; whoever reads an item must not write to it.
        num_images: how many of its images to show, ``None`` for all.
        keep: ``False`` makes each item anew, for data sets that are larger than the memory.

    Raises:
        ValueError: if ``num_images`` is below 1 or above the data set's length.
    """

    def __init__(self, dataset: Any, *, num_images: int | None = None, keep: bool = True) -> None:
        count = len(dataset) if num_images is None else num_images
        if not 1 <= count <= len(dataset):
            raise ValueError(f"num_images must be from 1 to {len(dataset)}, got {num_images}")
        self.dataset = dataset
        self.num_images = count
        self.keep = keep
        self.spec: ClassSpec = dataset.spec
        self._items: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, index: int) -> Any:
        """Item ``index``, an image and its mask."""
        if not 0 <= index < self.num_images:
            raise IndexError(f"index {index} is outside the {self.num_images} images")
        if not self.keep:
            return self.dataset[index]
        if index not in self._items:
            self._items[index] = self.dataset[index]
        return self._items[index]

    def fingerprint(self) -> str:
        """Identity of the content: that of the data set, and how much of it is shown."""
        whole: str = self.dataset.fingerprint()
        if self.num_images == len(self.dataset):
            return whole
        return hashlib.sha256(f"{whole}:{self.num_images}".encode()).hexdigest()
