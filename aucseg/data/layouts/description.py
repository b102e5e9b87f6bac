"""``aucseg.yaml``: a folder of one's own that says where its images and masks lie.

``aucseg data init`` writes it; it can be written by hand as well::

    layout: patterns                      # or per_class, labelme, coco
    images: "{split}/images/{name}.jpg"   # {name} of an item, {split} for its folder, * for anything
    masks: "{split}/masks/{name}.png"
    splits: {train: train, val: valid}    # what {split} stands for; itself, if left out
    overlap: order                        # further lines are options of the layout

A list ``splits/NAME.txt`` makes a split of the items that it names, or takes these of the folder's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aucseg.data.classes import ClassTable
from aucseg.data.files import read_text
from aucseg.errors import DataError, did_you_mean

FILE = "aucseg.yaml"

Found = dict[tuple[str, str], Path]
"""Files by split word (empty without the field) and name."""

_KEYS = ("layout", "images", "masks", "splits")


@dataclass(frozen=True)
class Description:
    """What ``aucseg.yaml`` says.

    Args:
        layout: one of ``aucseg.data.layouts.described.LAYOUTS``.
        images: where the images lie, with ``{name}`` and, if need be, ``{split}``.
        masks: where the masks lie, or the annotations.
        splits: what ``{split}`` stands for in each split.
        options: options of the layout.
    """

    layout: str
    images: str
    masks: str
    splits: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def folder(self, split: str) -> str:
        """What ``{split}`` stands for in a split."""
        return self.splits.get(split, split)


@dataclass(frozen=True)
class Kind:
    """A way in which folders hold images and masks.

    Args:
        title: what it is, in a few words.
        sides: the images and the masks of a folder, by split word and name. A mask may be a place that is no
            file, as long as ``read`` knows it.
        read: from a description and a class table, the function that decodes a mask to ids of
            ``classes.csv``, (H, W) uint8; it travels to other processes.
        parts: from a description and a class table, the function that gives the files of a mask by name; None
            if each mask is one file.
        options: the values of each option, the default first.
        fields: of the pattern of the masks, those it must have.
        may: those it may have, besides ``{split}``.
    """

    title: str
    sides: Callable[[Path, Description, Sequence[str]], tuple[Found, Found]]
    read: Callable[[Description, ClassTable], Callable[[Path], np.ndarray]]
    parts: Callable[[Description, ClassTable], Callable[[Path], Mapping[str, Path]]] | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: tuple[str, ...] = ("name",)
    may: tuple[str, ...] = ()


def option(description: Description, kind: Kind, name: str) -> str:
    """The value of an option, its default if it is not given."""
    return description.options.get(name, kind.options[name][0])


def read_description(root: Path, kinds: Mapping[str, Kind]) -> Description:
    """What the ``aucseg.yaml`` of a folder says.

    Args:
        root: the folder.
        kinds: the layouts by name.

    Raises:
        DataError: if it is missing, no such file, or says what cannot be.
    """
    from aucseg.data.yaml import MOST_BYTES, read_yaml  # for folders that have the file

    path = root / FILE
    try:
        content = read_yaml(read_text(path, limit=MOST_BYTES), what="description")
    except DataError as error:
        raise DataError(error.what, file=path, remedy=error.remedy) from None
    if not isinstance(content, dict) or not all(isinstance(content.get(key), str) for key in _KEYS[:3]):
        raise DataError(
            "does not say layout, images and masks", file=path, remedy="`aucseg data init FOLDER` writes it"
        )
    if content["layout"] not in kinds:
        raise DataError(
            f"unknown layout {content['layout']!r}", file=path, remedy=did_you_mean(content["layout"], kinds)
        )
    kind = kinds[content["layout"]]
    options = {key: content[key] for key in content if key not in _KEYS}
    for key, value in options.items():
        if key not in kind.options:
            known = did_you_mean(str(key), (*_KEYS, *kind.options))
            raise DataError(f"layout {content['layout']!r} has no {key!r}", file=path, remedy=known)
        if value not in kind.options[key]:
            raise DataError(
                f"{key} is {value!r}", file=path, remedy=f"use one of {', '.join(kind.options[key])}"
            )
    splits = content.get("splits") or {}
    if not isinstance(splits, dict) or not all(isinstance(s, str) for each in splits.items() for s in each):
        raise DataError(
            f"splits is {splits!r}", file=path, remedy="write a folder for each split: {train: training}"
        )
    return Description(content["layout"], content["images"], content["masks"], splits, options)


def description_text(description: Description, title: str) -> str:
    """The text of an ``aucseg.yaml``.

    Args:
        description: what it says.
        title: what the layout is, for a comment.
    """
    import yaml

    content: dict[str, Any] = {key: getattr(description, key) for key in _KEYS[:3]}
    if description.splits:
        content["splits"] = dict(description.splits)
    content |= description.options
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return f"# {title}; read by aucseg, which also reads classes.csv and splits/\n{text}"
