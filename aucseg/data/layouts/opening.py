"""A data set by name, ready to train on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from aucseg.data.classes import read_classes
from aucseg.data.errors import DataError
from aucseg.data.folder import FolderDataset, resolve_spec
from aucseg.data.layouts.base import Layout
from aucseg.data.layouts.patterns import pattern_layout
from aucseg.data.layouts.registry import LAYOUTS, is_prepared, list_datasets, locate
from aucseg.data.pairs import PairDataset
from aucseg.data.spec import ClassSpec, groups_by_pixel_share, load_spec
from aucseg.hints import did_you_mean


def open_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    cache: bool = False,
    images: str | None = None,
    masks: str | None = None,
) -> PairDataset:
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
    if name not in list_datasets():
        raise ValueError(f"unknown data set {name!r}; {did_you_mean(name, list_datasets())}")
    if (images is None) != (masks is None) or (images is not None and name != "folder"):
        raise ValueError("images and masks are patterns for 'folder', given both or not at all")
    if name == "folder":
        if root is None:
            raise ValueError("data set 'folder' needs root: the folder that holds images and masks")
        if images is None or masks is None:
            return FolderDataset(root, split, size=size, cache=cache)
        layout = pattern_layout(Path(root), images, masks)
        return _open(layout, Path(root), split, _pattern_spec(Path(root), layout), size, cache)
    place = locate(name, root)
    if name == "camvid":
        return FolderDataset(place, split, load_spec(name), size=size, cache=cache)
    layout = LAYOUTS[name]
    if is_prepared(place):
        return FolderDataset(place, split, _prepared_spec(place, layout.spec), size=size, cache=cache)
    return _open(layout, layout.locate(place), split, layout.spec, size, cache)


def _open(
    layout: Layout, root: Path, split: str, spec: ClassSpec, size: tuple[int, int] | None, cache: bool
) -> PairDataset:
    listing = layout.listing(root, split)
    files = listing.files()
    if not files:
        raise DataError(f"no item in split {split!r}", file=root, remedy="check that the files are unpacked")
    names = [pair.name for pair in listing.pairs]
    return PairDataset(split, names, files, spec, layout.read_ids, layout.lookup, size=size, cache=cache)


def _prepared_spec(root: Path, spec: ClassSpec) -> ClassSpec:
    """The published label set, with what was counted in the folder where nothing is published."""
    if spec.pixel_share:
        return spec
    read_classes(root).check_names(spec)
    return replace(resolve_spec(root, None)[1], name=spec.name)


def _pattern_spec(root: Path, layout: Layout) -> ClassSpec:
    """The label set of a folder with other names of files: groups from its table, else by counting."""
    table = read_classes(root)
    names, colors = zip(*((r.name, r.color) for r in table.classes), strict=True)
    spec = ClassSpec(root.resolve().name, names, colors, table.groups() or ("middle",) * len(names))
    if table.groups() is not None:
        return spec
    splits = layout.splits(root)
    counts = _open(layout, root, "train" if "train" in splits else splits[0], spec, None, False).count()
    shares = tuple(float(s) for s in counts.pixel_share)
    images = tuple(float(s) for s in counts.image_share)
    return replace(spec, groups=groups_by_pixel_share(shares), pixel_share=shares, image_share=images)
