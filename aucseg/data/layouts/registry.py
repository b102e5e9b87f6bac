"""Every data set by name: which are known, where they lie, and what lies in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from aucseg.data.classes import read_classes
from aucseg.data.layout import list_splits
from aucseg.data.layouts.ade20k import ADE20K
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.ccp import CCP
from aucseg.data.layouts.cityscapes import CITYSCAPES
from aucseg.data.layouts.coco_stuff import COCO_STUFF, COCO_STUFF_10K
from aucseg.data.layouts.patterns import own_layout, pattern_layout
from aucseg.data.layouts.salient import ECSSD, HKU_IS, PASCAL_S
from aucseg.data.layouts.voc import VOC
from aucseg.data.places import find_root
from aucseg.errors import DataError, OptionError, did_you_mean

# In this order a folder is taken for one of them: the more telling layouts first.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (CITYSCAPES, ADE20K, COCO_STUFF, COCO_STUFF_10K, VOC, CCP, ECSSD, HKU_IS, PASCAL_S)
}


def list_datasets() -> tuple[str, ...]:
    """Names that `open_dataset` knows."""
    return ("camvid", *LAYOUTS, "folder")


def find_layout(name: str) -> Layout:
    """A published layout by name.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in LAYOUTS:
        raise OptionError(f"no layout {name!r}; {did_you_mean(name, LAYOUTS)}")
    return LAYOUTS[name]


def is_prepared(root: Path) -> bool:
    """Whether a folder has the layout of `FolderDataset`: split lists and a class table with colours."""
    if not list_splits(root) or not (root / "annotations").is_dir():
        return False
    try:
        read_classes(root)
    except DataError:
        return False
    return True


def detect(root: str | os.PathLike[str]) -> Layout | None:
    """The published layout that a folder has; None for that of `FolderDataset` and for any other.

    The three salient-object sets look alike where their folders are called ``images`` and ``masks``: the
    folder's own name decides, else the first.

    Args:
        root: the folder.
    """
    folder = Path(root)
    if not folder.is_dir() or is_prepared(folder):
        return None
    fitting = [x for x in LAYOUTS.values() if (place := x.find(folder)) is not None and x.splits(place)]
    wanted = folder.resolve().name.lower().replace("-", "_")
    return next((x for x in fitting if x.name == wanted), fitting[0] if fitting else None)


def locate(name: str, root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a known data set, by name and, if need be, by path; see `find_root`.

    Args:
        name: one of `list_datasets` but ``"folder"``.
        root: where the caller says it is.

    Raises:
        DataError: if it is not there.
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in list_datasets():
        raise OptionError(f"unknown data set {name!r}; {did_you_mean(name, list_datasets())}")
    layout = LAYOUTS.get(name)
    return find_root(name, root, holds=None if layout is None else lambda p: layout.find(p) is not None)


def named_layout(
    name: str,
    root: str | os.PathLike[str] | None = None,
    images: str | None = None,
    masks: str | None = None,
) -> tuple[Layout, Path]:
    """The layout of a data set and its folder, whether it is published, prepared, or one of the user's.

    Args:
        name: one of `list_datasets`.
        root: its folder; searched for if None.
        images: pattern of the images, for ``"folder"``; see `pattern_layout`.
        masks: pattern of the masks.

    Raises:
        DataError: if the folder is missing or not in the layout.
        ValueError: for an unknown name, or patterns that do not fit.
    """
    if (images is None) != (masks is None) or (images is not None and name != "folder"):
        raise OptionError("images and masks are patterns for 'folder', given both or not at all")
    if name == "folder":
        if root is None:
            raise OptionError("data set 'folder' needs root: the folder that holds images and masks")
        place = Path(root)
        if not place.is_dir():
            raise DataError("no such folder", file=place, remedy="check the path of the data set")
        if images is None or masks is None:
            return own_layout(place), place
        return pattern_layout(place, images, masks), place
    place = locate(name, root)
    if name == "camvid" or is_prepared(place):
        return own_layout(place), place
    return LAYOUTS[name], LAYOUTS[name].locate(place)
