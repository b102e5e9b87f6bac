"""A data set in a folder of images and masks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from aucseg.data.classes import NOT_A_LABEL, VOID, ClassTable, read_classes
from aucseg.data.counts import count_labels, default_workers, read_pixel_share
from aucseg.data.errors import DataError
from aucseg.data.fingerprint import fingerprint_files
from aucseg.data.layout import image_path, list_splits, mask_path, read_split
from aucseg.data.reading import check_same_size, read_ids, read_image, to_train_ids
from aucseg.data.spec import ClassSpec, groups_by_pixel_share

Item = tuple[tv_tensors.Image, tv_tensors.Mask]


class FolderDataset(Dataset[Item]):
    """Images and masks in a folder::

        images/<split>/NAME.jpg        (or .jpeg, .png)
        annotations/<split>/NAME.png   8-bit ids, palette or RGB
        splits/<split>.txt             one NAME a line, in order
        classes.csv                    id,name,r,g,b,ignore[,group]

    An item is ``(image, mask)``: ``tv_tensors.Image`` uint8 (3, H, W) and ``tv_tensors.Mask`` uint8
    (H, W) of train ids with void = 255. Train ids follow the order of ``classes.csv``, or of ``spec``.

    Args:
        root: the folder.
        split: name of a file in ``splits/``.
        spec: the label set; its names must be the ones of ``classes.csv``. If None it is made from that
            file: groups from the column ``group``, else by the training pixel shares, which come from
            ``class_stats.csv`` or, without it, from reading every training mask.
        size: (height, width) to resize to: images bilinear with antialiasing, masks by the nearest pixel
            centre.
        cache: decode and resize everything now and keep it as uint8 in memory. Loader workers that are
            forked share it, and a bad file shows before training starts.

    Raises:
        DataError: for a folder, split, class table or file that is missing or wrong.
        ValueError: if ``size`` is not two positive integers.

    Example:
        >>> train = FolderDataset("data/camvid", "train", size=(120, 160))  # doctest: +SKIP
        >>> image, mask = train[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str,
        spec: ClassSpec | None = None,
        *,
        size: tuple[int, int] | None = None,
        cache: bool = False,
    ) -> None:
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"size is (height, width) in pixels, both positive, got {size!r}")
        self.root = Path(root)
        self.split = split
        self.size = size
        self.names = read_split(self.root, split)
        self._table, self.spec = resolve_spec(self.root, spec)
        self._lookup = _lookup(self._table, self.spec)
        self.files = [
            (image_path(self.root, split, name), mask_path(self.root, split, name)) for name in self.names
        ]
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

    def __getitem__(self, index: int) -> Item:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} out of range for {len(self)} items of {self.split!r}")
        if self._cache is None:
            image, mask = self._load(index)
        else:  # a copy: whoever draws on an item must not draw on the cache
            image, mask = (t.clone() for t in self._cache[index])
        return tv_tensors.Image(image), tv_tensors.Mask(mask)

    def __iter__(self) -> Iterator[Item]:
        return (self[i] for i in range(len(self)))

    def fingerprint(self) -> str:
        """Hex sha256 of the content: class names, labels, item names and the bytes of every file.

        Moving the folder or another ``size`` does not change it.
        """
        if self._fingerprint is None:
            self._fingerprint = fingerprint_files(
                self.spec, self._lookup, self.names, self.files, workers=default_workers()
            )
        return self._fingerprint

    def _load(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image_file, mask_file = self.files[index]
        pixels, ids = read_image(image_file), read_ids(mask_file, self._table)
        check_same_size(pixels, ids, image_file, mask_file)
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        mask = torch.from_numpy(to_train_ids(ids, self._lookup, mask_file))
        return (image, mask) if self.size is None else resize_pair(image, mask, self.size)


def resize_pair(
    image: torch.Tensor, mask: torch.Tensor, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Resize an image (3, H, W) and its mask (H, W), both uint8, to ``size`` = (height, width).

    The mask takes the pixel at each new centre ("nearest exact"), where a bilinear image looks too;
    plain "nearest" takes the upper left one and would shift the mask by half a pixel.
    """
    image = F.resize(image, list(size), interpolation=InterpolationMode.BILINEAR, antialias=True)
    mask = F.resize(mask[None], list(size), interpolation=InterpolationMode.NEAREST_EXACT)[0]
    return image, mask


def resolve_spec(root: Path, spec: ClassSpec | None) -> tuple[ClassTable | None, ClassSpec]:
    """The class table of a folder and the label set it is read with.

    Args:
        root: the folder.
        spec: the label set to hold the folder to, or None to make one from it.

    Raises:
        DataError: if the folder has no class table and no spec is given, or the two disagree.
    """
    if spec is not None and not (root / "classes.csv").is_file():
        return None, spec
    table = read_classes(root)
    if spec is not None:
        table.check_names(spec)
        return table, spec
    shares: tuple[float, ...] = read_pixel_share(root, table) or ()
    images: tuple[float, ...] = ()
    groups = table.groups()
    if groups is None:
        if not shares:
            if "train" not in list_splits(root):
                raise DataError(
                    "no groups: there is no column group, no class_stats.csv and no splits/train.txt",
                    file=table.file,
                    remedy="add the column group with head, middle or tail for each class",
                )
            counts = count_labels(root, "train", table)
            shares = tuple(float(s) for s in counts.pixel_share)
            images = tuple(float(s) for s in counts.image_share)
        groups = groups_by_pixel_share(shares)
    names, colors = zip(*((r.name, r.color) for r in table.classes), strict=True)
    return table, ClassSpec(root.resolve().name, names, colors, groups, images, shares)


def _lookup(table: ClassTable | None, spec: ClassSpec) -> np.ndarray:
    if table is not None:
        return table.lookup(spec.names)
    lookup = np.full(256, NOT_A_LABEL, np.int16)
    lookup[: spec.num_classes] = np.arange(spec.num_classes)
    lookup[VOID] = VOID
    return lookup
