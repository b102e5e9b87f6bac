"""A data set in a folder of images and masks."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np

from aucseg.data.classes import NOT_A_LABEL, VOID, ClassTable
from aucseg.data.dataset import ImageAndMask, ImageMaskDataset, resize_item
from aucseg.data.layout import image_path, mask_path, read_split
from aucseg.data.reading import check_size, read_ids
from aucseg.data.resolve import resolve_spec
from aucseg.data.spec import ClassSpec

__all__ = ["FolderDataset", "ImageAndMask", "resize_item", "resolve_spec"]


class FolderDataset(ImageMaskDataset):
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
        check_size(size)
        self.root = Path(root)
        names = read_split(self.root, split)
        table, resolved = resolve_spec(self.root, spec)
        files = [(image_path(self.root, split, name), mask_path(self.root, split, name)) for name in names]
        reader = partial(read_ids, table=table)
        super().__init__(
            split, names, files, resolved, reader, _lookup(table, resolved), size=size, cache=cache
        )


def _lookup(table: ClassTable | None, spec: ClassSpec) -> np.ndarray:
    if table is not None:
        return table.lookup(spec.names)
    lookup = np.full(256, NOT_A_LABEL, np.int16)
    lookup[: spec.num_classes] = np.arange(spec.num_classes)
    lookup[VOID] = VOID
    return lookup
