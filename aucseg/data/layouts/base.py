"""What the package knows of a published data set, and the set once its folder is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aucseg.data.classes import ClassTable
from aucseg.data.listing import Listing
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Access:
    """How one comes by a data set.

    Args:
        terms: terms of use and what to cite.
        addresses: official pages or files.
        steps: what to do with them, in order.
        wanted: the folders that must be there afterwards.
    """

    terms: str
    addresses: tuple[str, ...]
    steps: tuple[str, ...]
    wanted: tuple[str, ...]


def one_file(mask: Path) -> dict[str, Path]:
    """The parts of a mask that is a file itself; see `Layout.parts`."""
    return {"": mask}


@dataclass(frozen=True, eq=False)
class Layout:
    """A published data set: its label set, where its files lie, what the values of its masks mean.

    Args:
        name: name of the data set.
        title: the same in words.
        load_spec: gives its label set.
        access: how one comes by it.
        find: the folder that holds the layout, in the given one or a level below; None if it is not there.
        splits: names of the splits in that folder.
        list_split: the items of a split of that folder.
        read_ids: decodes a mask to values, (H, W) uint8.
        lookup: train id of each value, 255 for void, -1 for none, (256,) int16.
        grouped: whether head, middle and tail of the label set are published, or its user's, and not to be
            found by counting.
        unused: names of its published list that no annotation uses.
        table: the class table of a folder of one's own; None for a published label set.
        parts: the files that a mask is made of, each by what it says of the mask. Mostly the mask is a file;
            where it is drawn from annotations, or from one file for each class, its place is none.
        settings: what else decides how masks are drawn.
    """

    name: str
    title: str
    load_spec: Callable[[], ClassSpec]
    access: Access
    find: Callable[[Path], Path | None]
    splits: Callable[[Path], tuple[str, ...]]
    list_split: Callable[[Path, str], Listing]
    read_ids: Callable[[Path], np.ndarray]
    lookup: np.ndarray
    grouped: bool = True
    unused: tuple[str, ...] = ()
    table: ClassTable | None = None
    parts: Callable[[Path], Mapping[str, Path]] = one_file
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> ClassSpec:
        """The label set."""
        return self.load_spec()

    def locate(self, root: Path) -> Path:
        """The folder that holds the layout.

        Raises:
            DataError: if there is none, with the folders wanted.
        """
        if not root.is_dir():
            raise DataError("no such folder", file=root, remedy="check the path of the data set")
        found = self.find(root)
        if found is None or not self.splits(found):
            raise DataError(
                f"not in the layout of {self.name!r}",
                file=root,
                remedy=f"wanted: {', '.join(self.access.wanted)}",
            )
        return found

    def listing(self, root: Path, split: str) -> Listing:
        """The items of a split.

        Args:
            root: the folder that `locate` found.
            split: its name.

        Raises:
            DataError: if there is no such split.
        """
        known = self.splits(root)
        if split not in known:
            raise DataError(
                f"{self.name!r} has no split {split!r} here", file=root, remedy=did_you_mean(split, known)
            )
        return self.list_split(root, split)

    def items(self, root: Path, split: str) -> tuple[list[str], list[tuple[Path, Path]]]:
        """Names of the items of a split, and image and mask of each.

        Args:
            root: the folder that `locate` found.
            split: its name.

        Raises:
            DataError: if there is no such split, nothing in it, or a file is missing.
        """
        listing = self.listing(root, split)
        files = listing.files()
        if not files:
            raise DataError(
                f"no item in split {split!r}", file=root, remedy="check that the files are unpacked"
            )
        return [item.name for item in listing.items], files

    def masks(self, root: Path, split: str) -> tuple[Sequence[str], list[Path]]:
        """Names of the items of a split, and the mask of each; no file is opened.

        Args:
            root: the folder that `locate` found.
            split: its name.

        Raises:
            DataError: as `items`.
        """
        names, files = self.items(root, split)
        return names, [mask for _, mask in files]


def find_training_split(splits: Sequence[str], named: str | None = None, *, of: str) -> str:
    """The split that trains: the one that is named, else ``"train"``, else the only one there is.

    It is never guessed: which classes are head and tail, and all that follows from it, hangs on it.

    Args:
        splits: the splits that are there.
        named: the one that the user names.
        of: what the data set is called, for the message.

    Raises:
        DataError: if there is no such split, or there are several and none is called ``"train"``.
    """
    if named is not None:
        if named in splits:
            return named
        raise DataError(f"no split {named!r} to train on", file=of, remedy=did_you_mean(named, splits))
    if "train" in splits or len(splits) == 1:
        return "train" if "train" in splits else splits[0]
    if not splits:
        raise DataError(
            "no split to train on", file=of, remedy="list the names of its items in splits/train.txt"
        )
    raise DataError(
        f"no split is called 'train' among {', '.join(splits)}",
        file=of,
        remedy="say which one trains, with --train-split or train_split=",
    )


def first_folder(root: Path, *candidates: str) -> Path | None:
    """The first of some folders below ``root`` that is there; ``""`` stands for ``root`` itself."""
    return next((root / c for c in candidates if (root / c).is_dir()), None)


def holding(*needed: str, inside: tuple[str, ...] = ("",)) -> Callable[[Path], Path | None]:
    """A `Layout.find`: the folder, among ``inside``, that holds all needed folders.

    Args:
        *needed: folders that must be there.
        inside: where to look: ``""`` for the given folder itself, or names of folders in it.
    """

    def find(root: Path) -> Path | None:
        places = (root / name for name in inside)
        return next((p for p in places if all((p / n).is_dir() for n in needed)), None)

    return find
