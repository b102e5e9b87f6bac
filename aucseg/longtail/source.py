"""The masks of a data set as a scan wants them: names, places, and one function that decodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aucseg.data.classes import VOID, read_classes
from aucseg.data.layout import read_split
from aucseg.data.layouts.base import Layout
from aucseg.data.reading import read_ids
from aucseg.data.spec import ClassSpec

if TYPE_CHECKING:
    from aucseg.data.dataset import ImageMaskDataset


def file_state(path: Any) -> str:
    """Size and time of a file, by which a scan that goes on knows whether it was changed.

    Args:
        path: the file; one that is missing has the state ``"missing"``, and the scan will say so.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - any place that the reader takes, not only a Path
    except OSError:
        return "missing"
    return f"{found.st_size}-{found.st_mtime_ns}"


@dataclass(frozen=True, eq=False)
class MaskSource:
    """Masks that one function decodes.

    What travels to the workers of a cluster is ``places``, ``read`` and ``lookup``, so ``read`` is a function
    of a module or a `functools.partial` of one, and a cluster must see the files under the same paths.

    Args:
        names: name of each mask, for messages.
        places: what ``read`` is called with, mostly the path of the file.
        read: decodes a mask to the values of its file, (H, W) uint8.
        lookup: train id of each of the 256 values, 255 for void, -1 for neither, (256,) int16.
        class_names: class names, one for each train id.
        state: tells whether a place still holds what it held, for a scan that goes on.

    Raises:
        ValueError: if names and places differ in number, or the lookup has another shape.
    """

    names: Sequence[str]
    places: Sequence[Any]
    read: Callable[[Any], np.ndarray]
    lookup: np.ndarray
    class_names: tuple[str, ...]
    state: Callable[[Any], str] = file_state

    def __post_init__(self) -> None:
        if len(self.names) != len(self.places):
            raise ValueError(f"{len(self.names)} names but {len(self.places)} places")
        if self.lookup.shape != (256,):
            raise ValueError(f"lookup has shape {self.lookup.shape}; it maps 256 values")
        if not 1 <= len(self.class_names) <= VOID:
            raise ValueError(f"8-bit masks hold 1 to {VOID} classes, got {len(self.class_names)}")

    def __len__(self) -> int:
        return len(self.places)


def folder_masks(root: str | os.PathLike[str], split: str, spec: ClassSpec | None = None) -> MaskSource:
    """The masks of a folder in the layout of `FolderDataset`; images are not looked at.

    Args:
        root: the folder.
        split: name of a file in ``splits/``.
        spec: the label set, whose order the train ids take; the order of ``classes.csv`` if None.

    Raises:
        DataError: if the folder, its class table or the split is missing or wrong. A mask that is not there
            is a matter of the scan, which reports all of them.
    """
    folder = Path(root)
    table = read_classes(folder)
    if spec is not None:
        table.check_names(spec)
    names = spec.names if spec is not None else tuple(row.name for row in table.classes)
    items = read_split(folder, split)
    places = [folder / "annotations" / split / f"{name}.png" for name in items]
    return MaskSource(items, places, partial(read_ids, table=table), table.lookup(names), names)


def layout_masks(layout: Layout, root: str | os.PathLike[str], split: str) -> MaskSource:
    """The masks of a folder in a published layout; images are not looked at, and PyTorch is not imported.

    Args:
        layout: the layout.
        root: the folder, or the one that it lies in.
        split: name of the split.

    Raises:
        DataError: if the folder is not in the layout, has no such split, or a file is missing.
    """
    names, files = layout.items(layout.locate(Path(root)), split)
    return MaskSource(names, [mask for _, mask in files], layout.read_ids, layout.lookup, layout.spec.names)


def dataset_masks(dataset: ImageMaskDataset) -> MaskSource:
    """The masks of any data set of files, whatever its layout; images are not looked at.

    Args:
        dataset: as :func:`aucseg.data.open_dataset` returns it, at the files' own size.
    """
    places = [mask for _, mask in dataset.files]
    return MaskSource(dataset.names, places, dataset.read_ids, dataset.lookup, dataset.spec.names)


def train_id_lookup(num_classes: int) -> np.ndarray:
    """The lookup of masks that hold train ids already: themselves, 255 void, all else an error.

    Args:
        num_classes: number of classes K.
    """
    lookup = np.full(256, -1, np.int16)
    lookup[:num_classes] = np.arange(num_classes)
    lookup[VOID] = VOID
    return lookup
