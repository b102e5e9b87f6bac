"""The label set of a folder: its own table, or one that it is held to; groups as published or by counting."""

from __future__ import annotations

from pathlib import Path

from aucseg.data.class_stats import read_pixel_share
from aucseg.data.classes import ClassTable, read_classes
from aucseg.data.layout import list_splits
from aucseg.data.spec import ClassSpec, groups_by_pixel_share
from aucseg.errors import DataError
from aucseg.longtail.counter import count, folder_masks


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
            counts = count(folder_masks(root, "train"))
            shares = tuple(float(s) for s in counts.pixel_share)
            images = tuple(float(s) for s in counts.image_share)
        groups = groups_by_pixel_share(shares)
    names, colors = zip(*((r.name, r.color) for r in table.classes), strict=True)
    return table, ClassSpec(root.resolve().name, names, colors, groups, images, shares)
