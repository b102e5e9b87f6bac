"""The package's own layout: images, masks, lists of the splits and a table of the classes::

images/<split>/NAME.jpg        (or .jpeg, .png)
annotations/<split>/NAME.png   8-bit ids, palette or RGB
splits/<split>.txt             one NAME a line, in order; see `listed_items` for what else is understood
classes.csv                    id,name,ignore[,r,g,b][,group]
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from aucseg.data.classes import ClassTable, read_classes
from aucseg.data.labels import train_id_table
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.listing import (
    IMAGE_SUFFIXES,
    Item,
    Listing,
    find_files,
    list_stems,
    listed_items,
    match_names,
    read_names,
)
from aucseg.data.reading import read_ids
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError


@dataclass(frozen=True, eq=False)
class OwnLayout(Layout):
    """The package's own layout; what is not in a split's list is no item of it."""

    def listing(self, root: Path, split: str) -> Listing:
        """The items of a split, by its list.

        Raises:
            DataError: if the list is missing, with the lists that are there, or empty.
        """
        return list_folder(root, split)

    def masks(self, root: Path, split: str) -> tuple[tuple[str, ...], list[Path]]:
        """Names of the items of a split, and their masks or where those belong; no image is looked for.

        Raises:
            DataError: if the list is missing, empty or wrong.
        """
        source = _list_of(root, split)
        side = _Side(root, split, *_KINDS[1])
        items, problems = listed_items(read_names(source), {}, side.files, source, root)
        for problem in side.problems + problems:
            raise problem
        return tuple(i.name for i in items), [i.mask or side.folder / f"{i.name}.png" for i in items]


def is_prepared(root: Path) -> bool:
    """Whether a folder has this layout: split lists and a class table with colours."""
    if not list_splits(root) or not (root / "annotations").is_dir():
        return False
    try:
        read_classes(root)
    except DataError:
        return False
    return True


def own_layout(root: Path, spec: ClassSpec | None = None) -> OwnLayout:
    """The layout of a folder that has this one.

    Args:
        root: the folder.
        spec: the label set to hold the folder to: its names are those of ``classes.csv``, and the train ids
            have its order. Without ``classes.csv`` the masks hold its train ids. None takes that table's.

    Raises:
        DataError: if the folder or its class table is missing or wrong, or has other classes than ``spec``.
    """
    if not root.is_dir():
        raise DataError("no such folder", file=root, remedy="check the path of the data set")
    table: ClassTable | None = None
    if spec is not None and not (root / "classes.csv").is_file():
        label_set, lookup, grouped = spec, train_id_table(spec.num_classes), True
    else:
        table = read_classes(root)
        label_set = spec or table.spec(root.resolve().name)
        table.check_names(label_set)
        lookup, grouped = table.lookup(label_set.names), spec is not None or table.groups() is not None
    return OwnLayout(
        name="folder",
        title="folder of images and masks",
        load_spec=lambda: label_set,
        access=Access("", (), (), ("images/<split>", "annotations/<split>", "splits", "classes.csv")),
        find=lambda place: place,
        splits=list_splits,
        list_split=list_folder,
        read_ids=partial(read_listed, root=root, table=table),
        lookup=lookup,
        grouped=grouped,
        table=table,
    )


def list_splits(root: Path) -> tuple[str, ...]:
    """Names of the splits, by the files in ``splits/``; train, val and test come first."""
    known = {"train": 0, "val": 1, "test": 2}
    return tuple(sorted(list_stems(root / "splits"), key=lambda s: (known.get(s, 3), s)))


def read_split(root: Path, split: str) -> tuple[str, ...]:
    """Names in the list of a split, in their order; no file is looked for.

    Raises:
        DataError: if the folder or the split file is missing, the split is empty, a name repeats or
            would lead outside the folder.
    """
    source = _list_of(root, split)
    items, problems = listed_items(read_names(source), {}, {}, source, root)
    for problem in problems:
        raise problem
    return tuple(item.name for item in items)


def _list_of(root: Path, split: str) -> Path:
    """The list of a split.

    Raises:
        DataError: if the folder or the list is missing, with the lists that are there.
    """
    if not root.is_dir():
        raise DataError("no such folder", file=root, remedy="check the path of the data set")
    path = root / "splits" / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(list_splits(root)) or "none"
        raise DataError(
            "no such split file", file=path, remedy=f"splits found: {there}; a split file holds a name a line"
        )
    return path


def match_split(root: Path, split: str, images: dict[str, Path], masks: dict[str, Path]) -> Listing:
    """The items of a split of any layout that its user has listed in ``splits/<split>.txt``.

    Args:
        root: the folder.
        split: name of the split.
        images: paths by key.
        masks: paths by key.

    Raises:
        DataError: if the list is missing or empty.
    """
    source = _list_of(root, split)
    return match_names(read_names(source), images, masks, source, root)


def list_folder(root: Path, split: str) -> Listing:
    """The items of a split in the package's own layout, by its list.

    Raises:
        DataError: if the list is missing or empty.
    """
    source = _list_of(root, split)
    lines = read_names(source)
    sides = [_Side(root, split, *kind) for kind in _KINDS]
    items, problems = listed_items(lines, sides[0].files, sides[1].files, source, root)
    listing = Listing(problems=problems)
    for item in items:
        found: list[Path | None] = []
        for side, path in zip(sides, (item.image, item.mask), strict=True):
            problem = side.missing(item.name) if path is None else side.twin(path)
            if problem is not None:
                listing.problems.append(problem)
            found.append(path if problem is None else None)
        listing.items.append(Item(item.name, found[0], found[1]))
    for side, used in zip(sides, ({i.image for i in items}, {i.mask for i in items}), strict=True):
        listing.problems += side.problems
        if extra := [name for name, path in side.there.items() if path not in used]:
            listing.warnings.append(
                f"{side.folder}: {len(extra)} files not listed in {split}.txt, the first is {extra[0]}"
            )
    return listing


def image_path(root: Path, split: str, name: str) -> Path:
    """The image of an item that is called so.

    Raises:
        DataError: if there is none, or more than one.
    """
    return _path(root, split, name, *_KINDS[0])


def mask_path(root: Path, split: str, name: str) -> Path:
    """The mask of an item that is called so.

    Raises:
        DataError: if there is none.
    """
    return _path(root, split, name, *_KINDS[1])


def read_listed(path: Path, root: Path, table: ClassTable | None) -> np.ndarray:
    """Decode the mask of an item, as `read_ids`; of one that is not there, say which list names it.

    Args:
        path: the file, below ``annotations``.
        root: the folder of the data set.
        table: its class table.

    Raises:
        DataError: as `read_ids` and `mask_path`.
    """
    try:
        return read_ids(path, table)
    except DataError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            split, _, name = path.relative_to(root / "annotations").as_posix().partition("/")
            mask_path(root, split, name.removesuffix(".png"))
        raise


def _path(root: Path, split: str, name: str, kind: str, folder: str, suffixes: tuple[str, ...]) -> Path:
    # The name is joined as text: with_suffix would cut "frame.0001" short.
    places = [root / folder / split / (name + suffix) for suffix in suffixes]
    if len(found := [place for place in places if place.is_file()]) == 1:
        return found[0]
    side = _Side(root, split, kind, folder, suffixes)
    raise (found and side.twin(found[0])) or side.missing(name)


_KINDS = (("image", "images", IMAGE_SUFFIXES), ("mask", "annotations", (".png",)))


class _Side:
    """The images of a split, or its masks.

    Args:
        root: the folder of the data set.
        split: name of the split.
        kind: ``"image"`` or ``"mask"``, for the messages.
        folder: name of the folder that holds them.
        suffixes: what their names may end in.
    """

    def __init__(self, root: Path, split: str, kind: str, folder: str, suffixes: tuple[str, ...]) -> None:
        self.folder, self.split = root / folder / split, split
        self._kind, self._suffixes = kind, suffixes
        self.there, self.problems = find_files(self.folder, suffixes)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for name, path in self.there.items():
            self._by_stem[name[: -len(path.suffix)]].append(path)
        self.files = {stem: paths[0] for stem, paths in self._by_stem.items()}

    def twin(self, path: Path) -> DataError | None:
        """What is wrong if another file goes by the name of one."""
        stem = path.relative_to(self.folder).as_posix()[: -len(path.suffix)]
        if len(twins := self._by_stem[stem]) < 2:
            return None
        return DataError(f"{twins[1].name} is there too", file=twins[0], remedy="keep one of the two")

    def missing(self, name: str) -> DataError:
        """That an item has no such file, with what lies there in its place."""
        wanted = self.folder / (name + self._suffixes[0])
        nor = f" (nor {', '.join(self._suffixes[1:])})" if len(self._suffixes) > 1 else ""
        told, remedy = "", f"add it or take {name!r} out of splits/{self.split}.txt"
        for stem, path in self._every.items():
            if stem == name:
                told = f"; {path.name} is there"
                remedy = (
                    f"{self._kind}s end in {', '.join(self._suffixes)} here: convert it, or say where the "
                    f"files lie with --images and --masks"
                )
            elif stem.casefold() == name.casefold() and not told:
                told = f"; {path.name} differs in the case of its letters"
        return DataError(f"missing {self._kind}{nor}{told}", file=wanted, remedy=remedy)

    @cached_property
    def _every(self) -> dict[str, Path]:
        """All files that lie there, whatever their names end in, by name without the ending."""
        every, _ = find_files(self.folder, ("",))
        return {name[: len(name) - len(path.suffix)]: path for name, path in every.items()}
