"""A data set by name, ready to train on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from aucseg.data.classes import read_classes
from aucseg.data.dataset import ImageMaskDataset
from aucseg.data.folder import FolderDataset
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.registry import LAYOUTS, named_layout
from aucseg.data.resolve import resolve_spec
from aucseg.data.spec import ClassSpec, groups_by_pixel_share, load_spec
from aucseg.longtail.counter import count, layout_masks


def open_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    cache: bool = False,
    images: str | None = None,
    masks: str | None = None,
) -> ImageMaskDataset:
    """A data set of image and mask files by name, in its published or its prepared layout.

    Its items are ``(image, mask)``: ``tv_tensors.Image`` uint8 (3, H, W) and ``tv_tensors.Mask`` uint8 (H, W)
    of train ids, void 255; ``.spec``, ``.files``, ``.names``, ``.mask(index)`` and ``.fingerprint()`` go with
    them.

    Args:
        name: one of `list_datasets`; ``"folder"`` for any folder with a ``classes.csv``.
        root: its folder; searched for if None, see `find_root`.
        split: name of the split: ``"train"``, ``"val"``, ``"test"``, or ``"all"`` for sets without splits.
        size: (height, width) to resize to: images bilinear with antialiasing, masks by the nearest pixel
            centre.
        cache: decode and resize everything now and keep it in memory.
        images: for ``"folder"``: where images lie if not in ``images/<split>``, for example
            ``"imgs/{name}_img.jpg"``; ``{split}`` may stand for the split.
        masks: the same of masks.

    Raises:
        DataError: if the folder is missing or not in the layout, has no such split, or a file is missing.
        ValueError: for an unknown name, or patterns that do not fit.

    Example:
        >>> data = open_dataset("cityscapes", "data/cityscapes", "val", size=(512, 1024))  # doctest: +SKIP
    """
    layout, place = named_layout(name, root, images, masks)
    if name in LAYOUTS and layout is LAYOUTS[name]:
        return _open(layout, place, split, layout.spec, size, cache)
    if name == "folder" and images is not None:
        return _open(layout, place, split, _pattern_spec(place, layout), size, cache)
    spec = None
    if name == "camvid":
        spec = load_spec(name)
    elif name in LAYOUTS:
        spec = _prepared_spec(place, LAYOUTS[name])
    return FolderDataset(place, split, spec, size=size, cache=cache)


def _open(
    layout: Layout, root: Path, split: str, spec: ClassSpec, size: tuple[int, int] | None, cache: bool
) -> ImageMaskDataset:
    names, files = layout.items(root, split)
    return ImageMaskDataset(split, names, files, spec, layout.read_ids, layout.lookup, size=size, cache=cache)


def _prepared_spec(root: Path, layout: Layout) -> ClassSpec:
    """The published label set, with what was counted in the folder where no groups are published."""
    if layout.grouped:
        return layout.spec
    read_classes(root).check_names(layout.spec)
    return replace(resolve_spec(root, None)[1], name=layout.spec.name)


def _pattern_spec(root: Path, layout: Layout) -> ClassSpec:
    """The label set of a folder with other names of files: groups from its table, else by counting."""
    spec = layout.spec
    if layout.grouped:
        return spec
    splits = layout.splits(root)
    counts = count(layout_masks(layout, root, "train" if "train" in splits else splits[0]))
    shares = tuple(float(s) for s in counts.pixel_share)
    images = tuple(float(s) for s in counts.image_share)
    return replace(spec, groups=groups_by_pixel_share(shares), pixel_share=shares, image_share=images)
