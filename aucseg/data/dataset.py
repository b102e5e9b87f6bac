"""What every data set on disk is: image and mask files, a reader of masks, and a table of train ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from aucseg.data.fingerprint import hash_items
from aucseg.data.labels import to_train_ids
from aucseg.data.layouts.base import one_file
from aucseg.data.reading import check_same_size, check_size, read_image
from aucseg.data.spec import ClassSpec
from aucseg.data.threads import default_workers
from aucseg.data.transforms.geometry import resize_image, resize_mask

ImageAndMask = tuple[tv_tensors.Image, tv_tensors.Mask]


class ImageMaskDataset(Dataset[ImageAndMask]):
    """Images and masks by their files.

    An item is ``(image, mask)``: ``tv_tensors.Image`` uint8 (3, H, W) and ``tv_tensors.Mask`` uint8
    (H, W) of train ids with void = 255.

    Args:
        split: name of the split, for messages.
        names: name of each item.
        files: image and mask of each item.
        spec: the label set.
        read_ids: decodes a mask to the values of its file, (H, W) uint8.
        lookup: train id of each of the 256 values, 255 for void, -1 for none, (256,) int16.
        size: (height, width) to resize to: images bilinear with antialiasing, masks by the nearest pixel
            centre.
        parts: the files that a mask is made of, as `Layout.parts` gives them.
        settings: what else decides how masks are drawn.
        cache: decode and resize everything now and keep it as uint8 in memory.

    Raises:
        DataError: with ``cache`` for a file that is missing or wrong.
        ValueError: if ``size`` is not two positive integers.
    """

    def __init__(
        self,
        split: str,
        names: Sequence[str],
        files: Sequence[tuple[Path, Path]],
        spec: ClassSpec,
        read_ids: Callable[[Path], np.ndarray],
        lookup: np.ndarray,
        *,
        size: tuple[int, int] | None = None,
        parts: Callable[[Path], Mapping[str, Path]] = one_file,
        settings: Mapping[str, str] | None = None,
        cache: bool = False,
    ) -> None:
        check_size(size)
        self.split = split
        self.names = tuple(names)
        self.files = list(files)
        self.spec = spec
        self.size = size
        self.read_ids = read_ids
        self.lookup = lookup
        self.parts, self.settings = parts, dict(settings or {})
        self._fingerprint: str | None = None
        self._cache: list[tuple[torch.Tensor, torch.Tensor]] | None = None
        if cache:
            self.load()

    def load(self) -> None:
        """Decode and resize everything now and keep it in memory, as ``cache=True`` does.

        Raises:
            DataError: for the first file that is missing or wrong.
        """
        with ThreadPoolExecutor(default_workers()) as pool:
            self._cache = list(pool.map(self._load, range(len(self))))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> ImageAndMask:
        index = self._index(index)
        if self._cache is None:
            image, mask = self._load(index)
        else:  # a copy: whoever draws on an item must not draw on the cache
            image, mask = (t.clone() for t in self._cache[index])
        return tv_tensors.Image(image), tv_tensors.Mask(mask)

    def __iter__(self) -> Iterator[ImageAndMask]:
        return (self[i] for i in range(len(self)))

    def mask(self, index: int) -> tv_tensors.Mask:
        """The mask of an item alone; its image is not opened.

        Args:
            index: position of the item.

        Raises:
            DataError: if the mask is missing or wrong.
        """
        index = self._index(index)
        if self._cache is not None:
            return tv_tensors.Mask(self._cache[index][1].clone())
        path = self.files[index][1]
        mask = torch.from_numpy(to_train_ids(self.read_ids(path), self.lookup, path))
        return tv_tensors.Mask(mask if self.size is None else resize_mask(mask, self.size))

    def fingerprint(self) -> str:
        """Hex sha256 of the content: class names, labels, item names and the bytes of every file.

        Moving the folder, the times of its files or another ``size`` do not change it.

        Raises:
            DataError: for a file that is missing or cannot be read.
        """
        if self._fingerprint is None:
            hashes = hash_items(self.files, self.parts)
            content = {
                "classes": list(self.spec.names),
                "labels": [int(v) for v in self.lookup],
                "items": [[name, *both] for name, both in zip(self.names, hashes, strict=True)],
                **({"drawn": self.settings} if self.settings else {}),
            }
            text = json.dumps(content, separators=(",", ":"))
            self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return self._fingerprint

    def _index(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} out of range for {len(self)} items of {self.split!r}")
        return index

    def _load(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image_file, mask_file = self.files[index]
        pixels, ids = read_image(image_file), self.read_ids(mask_file)
        check_same_size(pixels.shape, ids.shape, image_file, mask_file)
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        mask = torch.from_numpy(to_train_ids(ids, self.lookup, mask_file))
        return (image, mask) if self.size is None else resize_item(image, mask, self.size)


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
        self.names: tuple[str, ...] = tuple(dataset.names[:count])
        self.size: tuple[int, int] | None = dataset.size
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

    def mask(self, index: int) -> tv_tensors.Mask:
        """The mask of an item alone; its image is neither opened nor drawn."""
        if not 0 <= index < self.num_images:
            raise IndexError(f"index {index} is outside the {self.num_images} images")
        mask: tv_tensors.Mask = self._items[index][1] if index in self._items else self.dataset.mask(index)
        return mask

    def fingerprint(self) -> str:
        """Identity of the content: that of the data set, and how much of it is shown."""
        whole: str = self.dataset.fingerprint()
        if self.num_images == len(self.dataset):
            return whole
        return hashlib.sha256(f"{whole}:{self.num_images}".encode()).hexdigest()


class ChosenDataset(Dataset[Any]):
    """Some of the items of a data set, in an order of one's own.

    Args:
        dataset: any data set of this package.
        indices: which of its items.

    Raises:
        ValueError: if there is none, or one is outside the data set.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, tuple(map(int, indices))
        if not self.indices or not 0 <= min(self.indices) <= max(self.indices) < len(dataset):
            raise ValueError(f"indices are 0 to {len(dataset) - 1}, at least one, got {self.indices[:5]}")
        self.spec: ClassSpec = dataset.spec
        self.names: tuple[str, ...] = tuple(dataset.names[index] for index in self.indices)
        self.size: tuple[int, int] | None = dataset.size

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        """Item ``index`` of those that were chosen."""
        return self.dataset[self.indices[index]]

    def mask(self, index: int) -> tv_tensors.Mask:
        """The mask of an item alone."""
        mask: tv_tensors.Mask = self.dataset.mask(self.indices[index])
        return mask

    def fingerprint(self) -> str:
        """Identity of the content: that of the data set, and which of its items are shown."""
        return hashlib.sha256(f"{self.dataset.fingerprint()}:{self.indices}".encode()).hexdigest()


def resize_item(
    image: torch.Tensor, mask: torch.Tensor, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Resize an image (3, H, W) and its mask (H, W), both uint8, to ``size`` = (height, width)."""
    return resize_image(image, size), resize_mask(mask, size)
