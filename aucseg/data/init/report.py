"""The images and masks of a folder, and what is said of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aucseg.data.init.values import Value
from aucseg.data.layouts.described import LAYOUTS
from aucseg.data.layouts.description import Description
from aucseg.errors import DataError


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Args:
        word: the word for a split in their folders' names, empty if there is none.
        name: what both are called below that.
        image: the image.
        mask: its mask, or the place of it.
    """

    word: str
    name: str
    image: Path
    mask: Path


class Found:
    """The images and masks of a folder, joined by their names.

    Args:
        root: the folder.
        description: where they lie.
        names: the classes, where each has a mask of its own.
    """

    def __init__(self, root: Path, description: Description, names: Sequence[str]) -> None:
        self.root, self.description = root, description
        images, masks = LAYOUTS[description.layout].sides(root, description, names)
        self.together = any(word for word, _ in images) and any(word for word, _ in masks)
        by_key: dict[tuple[str, str], list[tuple[str, Path]]] = defaultdict(list)
        for (word, name), path in masks.items():
            by_key[word if self.together else "", name].append((word, path))
        self.pairs: list[Pair] = []
        self.alone: list[Path] = []
        for (word, name), path in images.items():
            here = by_key.pop((word if self.together else "", name), [])
            if len(here) > 1:
                raise DataError(
                    f"{here[0][1]} and {here[1][1]} are both masks of it", file=path, remedy="give patterns"
                )
            if here:
                self.pairs.append(Pair(word or here[0][0], name, path, here[0][1]))
            else:
                self.alone.append(path)
        self.masks_alone = [path for places in by_key.values() for _, path in places]
        # Of a split whose folder holds no mask at all nothing is amiss.
        self.one_sided = "{split}" in description.images + description.masks and not self.together
        if not self.pairs:
            raise DataError(
                f"no image in {description.images!r} has a mask in {description.masks!r}",
                file=root,
                remedy="give --images and --masks",
            )


@dataclass
class InitReport:
    """What a folder was taken for, and what was written.

    Args:
        root: the folder.
        description: where its images and masks lie.
        own: whether that is the package's own layout, for which there is no ``aucseg.yaml``.
        images: number of images with a mask, of each ending and mode.
        sizes: how many of each height and width.
        modes: how many masks are stored in each way.
        values: what the masks hold, and what it was taken for.
        names: the file with the names of the classes, if there is one.
        splits: names of the items of each split.
        split_origin: where the splits come from.
        held: how many images of each split hold each class, by split, in the order of the classes.
        files: text of each file that is missing, by its name.
        written: the files that were written.
        kept: the files that were there and stay as they are.
        notes: what is worth knowing.
        problems: what `verify` will find.
    """

    root: Path
    description: Description
    own: bool = False
    images: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    values: tuple[Value, ...] = ()
    names: str = ""
    splits: dict[str, list[str]] = field(default_factory=dict)
    split_origin: str = ""
    held: dict[str, list[int]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The layout in words."""
        return LAYOUTS[self.description.layout].title

    @property
    def classes(self) -> list[Value]:
        """The values that are classes, in the order of their train ids."""
        return [value for value in self.values if not value.row.ignore]

    @property
    def share(self) -> dict[int, float]:
        """Share of the pixels that each value has, by its id."""
        total = sum(value.pixels for value in self.values)
        return {value.row.id: value.pixels / max(total, 1) for value in self.values}

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types, for JSON."""
        return {
            "root": str(self.root),
            "layout": self.description.layout,
            "title": self.title,
            "images": self.description.images,
            "masks": self.description.masks,
            "endings": dict(self.images),
            "sizes": {f"{h}x{w}": n for (h, w), n in self.sizes.most_common()},
            "modes": dict(self.modes),
            "names": self.names,
            "values": [
                {
                    "value": value.told,
                    "id": value.row.id,
                    "name": value.row.name,
                    "ignore": value.row.ignore,
                    "share": self.share[value.row.id],
                    "images": value.images,
                    "why": value.why,
                }
                for value in self.values
            ],
            "splits": {split: len(names) for split, names in self.splits.items()},
            "split_origin": self.split_origin,
            "held": self.held,
            "files": self.files,
            "written": [str(path) for path in self.written],
            "kept": self.kept,
            "notes": self.notes,
            "problems": self.problems,
        }
