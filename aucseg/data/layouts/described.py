"""The layouts that ``aucseg.yaml`` may name, and the layout of a folder that has the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aucseg.data.classes import read_classes
from aucseg.data.layouts.base import Access, Layout, one_file
from aucseg.data.layouts.coco import COCO
from aucseg.data.layouts.description import FILE, Description, Found, Kind, read_description
from aucseg.data.layouts.labelme import LABELME
from aucseg.data.layouts.own import list_splits, match_split
from aucseg.data.layouts.patterns import PATTERNS, checked, name_other_endings, of_split
from aucseg.data.layouts.per_class import PER_CLASS
from aucseg.data.listing import Listing, match_keys
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, OptionError

LAYOUTS: dict[str, Kind] = {
    "patterns": PATTERNS,
    "per_class": PER_CLASS,
    "labelme": LABELME,
    "coco": COCO,
}
"""The ways in which a folder may hold images and masks, by the name that ``aucseg.yaml`` gives them."""


def is_described(root: Path) -> bool:
    """Whether a folder says itself how it is laid out."""
    return (root / FILE).is_file()


def described_layout(
    root: Path, spec: ClassSpec | None = None, description: Description | None = None, name: str | None = None
) -> Layout:
    """The layout of a folder with a ``classes.csv`` that is described by ``aucseg.yaml``, or by the caller.

    Args:
        root: the folder.
        spec: the label set to hold the folder to: its names are those of ``classes.csv``, and the train ids
            have its order. None takes that table's.
        description: where the files lie; what ``aucseg.yaml`` says if None.
        name: what the layout is called in print; the description's layout if None.

    Raises:
        DataError: if one of the files is missing or wrong, or has other classes than ``spec``.
        OptionError: for a pattern that lacks a field, has another one, or leads out of the folder.
    """
    description = described_by(root) if description is None else check(description)
    table, kind = read_classes(root), LAYOUTS[description.layout]
    label_set = spec or table.spec(root.resolve().name)
    table.check_names(label_set)
    names = tuple(row.name for row in table.rows)
    return Layout(
        name=name or description.layout,
        title=kind.title,
        load_spec=lambda: label_set,
        access=Access("", (), (), (description.images, description.masks, "classes.csv")),
        find=lambda place: place,
        splits=lambda place: split_names(place, description, names),
        list_split=lambda place, split: list_items(place, split, description, names),
        read_ids=kind.read(description, table),
        lookup=table.lookup(label_set.names),
        grouped=spec is not None or table.groups() is not None,
        table=table,
        parts=one_file if kind.parts is None else kind.parts(description, table),
        settings=dict(description.options),
    )


def pattern_layout(root: Path, images: str, masks: str, spec: ClassSpec | None = None) -> Layout:
    """The layout of a folder with a ``classes.csv`` and files named by two patterns.

    The items of a split are those of ``splits/<split>.txt``; without such lists, all files that fit, and
    without ``{split}`` in the patterns they form the split ``all``.

    Args:
        root: the folder.
        images: pattern of the images, relative to it.
        masks: pattern of the masks: ids, palette or colours of ``classes.csv``; with ``{class}``, of one
            binary mask for each class; of LabelMe's JSON files; or of COCO's, without ``{name}``.
        spec: the label set to hold the folder to.

    Raises:
        DataError: if the class table is missing or wrong.
        OptionError: for a pattern that lacks a field, has another one, or leads out of the folder; and for
            two that mean the same files.
    """
    return described_layout(root, spec, by_patterns(images, masks), "folder")


def by_patterns(images: str, masks: str) -> Description:
    """The description that two patterns amount to.

    Args:
        images: pattern of the images.
        masks: pattern of the masks.

    Raises:
        OptionError: as :func:`pattern_layout`.
    """
    layout = "per_class" if "{class}" in masks else "patterns"
    if masks.lower().endswith(".json"):
        layout = "labelme" if "{name}" in masks else "coco"
    return check(Description(layout, images, masks))


def described_by(root: Path) -> Description:
    """What the ``aucseg.yaml`` of a folder says.

    Args:
        root: the folder.

    Raises:
        DataError: if it is missing, no such file, or says what cannot be.
    """
    description = read_description(root, LAYOUTS)
    try:
        return check(description)
    except OptionError as error:
        raise DataError(error.what, file=root / FILE, remedy="correct it") from None


def check(description: Description) -> Description:
    """A description with its patterns as they are told from the names of files.

    Args:
        description: as its user wrote it.

    Raises:
        OptionError: as :func:`pattern_layout`.
    """
    kind = LAYOUTS[description.layout]
    images = checked(description.images, "the images", ("name",))
    masks = checked(description.masks, "the masks", kind.fields, kind.may)
    if images == masks:
        raise OptionError(f"images and masks have the same pattern {images!r}: they would be the same files")
    return replace(description, images=images, masks=masks)


def split_names(root: Path, description: Description, names: tuple[str, ...]) -> tuple[str, ...]:
    """The splits of a folder: those that the description names and those that lists name, or ``all``.

    Args:
        root: the folder.
        description: what it says of itself.
        names: names of its classes.
    """
    said = dict.fromkeys((*description.splits, *list_splits(root)))
    if not said and "{split}" in description.images + description.masks:
        said = dict.fromkeys(word for word, _ in _sides(root, description, names)[0])
    known = {"train": 0, "val": 1, "test": 2}
    return tuple(sorted(said, key=lambda split: known.get(split, 3))) or ("all",)


def list_items(root: Path, split: str, description: Description, names: tuple[str, ...]) -> Listing:
    """The items of a split.

    Args:
        root: the folder.
        split: its name.
        description: what the folder says of itself.
        names: names of its classes.

    Raises:
        DataError: if nothing fits the patterns, or a list is empty.
    """
    images, masks = (of_split(side, description.folder(split)) for side in _sides(root, description, names))
    listed = (root / "splits" / f"{split}.txt").is_file()
    listing = match_split(root, split, images, masks) if listed else match_keys(images, masks)
    if listing.problems and description.layout == "patterns":
        for kind, pattern in (("image", description.images), ("mask", description.masks)):
            name_other_endings(root, description.folder(split), listing, kind, pattern)
    return listing


def _sides(root: Path, description: Description, names: tuple[str, ...]) -> tuple[Found, Found]:
    return LAYOUTS[description.layout].sides(root, description, names)
