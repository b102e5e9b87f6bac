"""The package's own layout: images, masks, lists of the splits and a table of the classes::

images/<split>/NAME.jpg        (or .jpeg, .png)
annotations/<split>/NAME.png   8-bit ids, palette or RGB
splits/<split>.txt             one NAME a line, in order
classes.csv                    id,name,r,g,b,ignore[,group]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aucseg.data.classes import read_classes
from aucseg.data.layout import list_splits, read_split
from aucseg.data.layouts.base import Access, Layout, train_id_table
from aucseg.data.listing import Listing, list_folder
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
        label_set, reader, grouped = spec, partial(read_ids, table=None), True
        lookup = train_id_table(spec.num_classes)
    else:
        table = read_classes(root)
        label_set = spec or table.spec(root.resolve().name)
        table.check_names(label_set)
        reader, lookup = partial(read_ids, table=table), table.lookup(label_set.names)
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
