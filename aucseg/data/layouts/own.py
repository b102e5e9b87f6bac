"""The package's own layout: images, masks, lists of the splits and a table of the classes::

images/<split>/NAME.jpg        (or .jpeg, .png)
annotations/<split>/NAME.png   8-bit ids, palette or RGB
splits/<split>.txt             one NAME a line, in order
classes.csv                    id,name,ignore[,r,g,b][,group]
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from aucseg.data.classes import ClassTable, read_classes
from aucseg.data.labels import train_id_table
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.listing import IMAGE_SUFFIXES, Item, Listing, find_files, read_names
from aucseg.data.reading import read_ids
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, file_errors


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
        """Names of the items of a split, and where their masks belong; nothing is looked at but the list.

        Raises:
            DataError: if the list is missing, empty or wrong.
        """
        names = read_split(root, split)
        return names, [root / "annotations" / split / f"{name}.png" for name in names]


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
    if spec is not None and not (root / "classes.csv").is_file():
        label_set, reader, grouped = spec, partial(read_listed, root=root, table=None), True
        lookup = train_id_table(spec.num_classes)
    else:
        table = read_classes(root)
        label_set = spec or table.spec(root.resolve().name)
        table.check_names(label_set)
        reader, lookup = partial(read_listed, root=root, table=table), table.lookup(label_set.names)
        grouped = spec is not None or table.groups() is not None
    return OwnLayout(
        name="folder",
        title="folder of images and masks",
        load_spec=lambda: label_set,
        access=Access("", (), (), ("images/<split>", "annotations/<split>", "splits", "classes.csv")),
        find=lambda place: place,
        splits=list_splits,
        list_split=list_folder,
        read_ids=reader,
        lookup=lookup,
        grouped=grouped,
    )


def list_splits(root: Path) -> tuple[str, ...]:
    """Names of the splits, by the files in ``splits/``; train, val and test come first."""
    known = {"train": 0, "val": 1, "test": 2}
    found = [p.stem for p in (root / "splits").glob("*.txt")]
    return tuple(sorted(found, key=lambda s: (known.get(s, 3), s)))


def read_split(root: Path, split: str) -> tuple[str, ...]:
    """Names of the items of a split, in their order.

    Raises:
        DataError: if the folder or the split file is missing, the split is empty, a name repeats or
            would lead outside the folder.
    """
    names, problems = list_names(root, split)
    if problems:
        raise problems[0]
    return names


def list_names(root: Path, split: str) -> tuple[tuple[str, ...], list[DataError]]:
    """Names of a split's items that can be used, in their order, each once; and what is wrong with others.

    Raises:
        DataError: if the folder or the split file is missing, or the split is empty.
    """
    if not root.is_dir():
        raise DataError("no such folder", file=root, remedy="check the path of the data set")
    path = root / "splits" / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(list_splits(root)) or "none"
        raise DataError(
            "no such split file", file=path, remedy=f"splits found: {there}; a split file holds a name a line"
        )
    names, problems = [], []
    for name, times in Counter(read_names(path)).items():
        if times > 1:
            problems.append(DataError(f"{name!r} stands there {times} times", file=path, remedy="keep one"))
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            problems.append(
                DataError(f"{name!r} leads outside the folder", file=path, remedy="use plain names")
            )
        else:
            names.append(name)
    return tuple(names), problems


def list_folder(root: Path, split: str) -> Listing:
    """The items of a split in the package's own layout, by its list.

    Raises:
        DataError: if the list is missing or empty.
    """
    names, problems = list_names(root, split)
    listing = Listing(problems=problems)
    for name in names:
        found: list[Path | None] = []
        for find in (image_path, mask_path):
            try:
                with file_errors(root, "cannot be read"):
                    found.append(find(root, split, name))
            except DataError as error:
                found.append(None)
                listing.problems.append(error)
        listing.items.append(Item(name, found[0], found[1]))
    listed = set(names)
    for kind, suffixes in (("images", IMAGE_SUFFIXES), ("annotations", (".png",))):
        folder = root / kind / split
        there, problems = find_files(folder, suffixes)
        listing.problems += problems
        extra = sorted(name for name in there if name[: -len(Path(name).suffix)] not in listed)
        if extra:
            listing.warnings.append(
                f"{folder}: {len(extra)} files not listed in {split}.txt, the first is {extra[0]}"
            )
    return listing


def image_path(root: Path, split: str, name: str) -> Path:
    """The image of an item.

    Raises:
        DataError: if there is none, or more than one.
    """
    # The name is joined as text: with_suffix would cut "frame.0001" short.
    candidates = [root / "images" / split / (name + suffix) for suffix in IMAGE_SUFFIXES]
    found = [p for p in candidates if p.is_file()]
    if not found:
        raise DataError(
            f"missing image (nor {', '.join(IMAGE_SUFFIXES[1:])}){_other_case(candidates)}",
            file=candidates[0],
            remedy=f"add it or take {name!r} out of splits/{split}.txt",
        )
    if len(found) > 1:
        raise DataError(f"{found[1].name} is there too", file=found[0], remedy="keep one of the two")
    return found[0]


def mask_path(root: Path, split: str, name: str) -> Path:
    """The mask of an item.

    Raises:
        DataError: if there is none.
    """
    path = root / "annotations" / split / f"{name}.png"
    if not path.is_file():
        raise DataError(
            f"missing mask{_other_case([path])}",
            file=path,
            remedy=f"add it or take {name!r} out of splits/{split}.txt",
        )
    return path


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


def _other_case(candidates: list[Path]) -> str:
    """Name a file beside the wanted ones that differs from them in the case of its letters only."""
    wanted = {p.name.casefold() for p in candidates}
    place = candidates[0].parent
    try:
        near = next((p.name for p in sorted(place.iterdir()) if p.name.casefold() in wanted), None)
    except OSError:  # the folder itself is missing, or may not be read
        return ""
    return f"; {near} differs in the case of its letters" if near else ""
