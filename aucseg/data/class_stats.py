"""``class_stats.csv``: pixels and images of each class in each split, kept beside the masks of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from aucseg.data.classes import ClassTable
from aucseg.data.files import read_rows, write_rows
from aucseg.errors import DataError

STATS_FILE = "class_stats.csv"
_REMEDY = "make the file again with `aucseg data stats FOLDER --write`"


class Counted(Protocol):
    """What is written of a split, as a `Tally` has it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, one for each train id."""

    @property
    def pixels(self) -> np.ndarray:
        """Labelled pixels of each class, (K,)."""

    @property
    def images(self) -> np.ndarray:
        """Images that hold each class, (K,)."""

    @property
    def void(self) -> int:
        """Void pixels."""


def read_pixel_share(root: Path, table: ClassTable) -> tuple[float, ...] | None:
    """Training pixel share of each class from ``class_stats.csv``, in [0, 1]; None without that file.

    Args:
        root: the folder.
        table: its class table.

    Raises:
        DataError: if the file is there and lacks the column, a class or a number.
    """
    path = root / STATS_FILE
    if not path.is_file():
        return None
    rows = {row["name"]: row for row in read_rows(path, ("name", "train_pct_labelled"), remedy=_REMEDY)}
    shares = []
    for each in table.classes:
        try:
            shares.append(rows[each.name].real("train_pct_labelled")[0] / 100)
        except (KeyError, DataError):
            raise DataError(
                f"no train_pct_labelled for class {each.name!r}", file=path, remedy=f"{_REMEDY}, or delete it"
            ) from None
    return tuple(shares)


def read_sums(root: Path, table: ClassTable, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and images of each class of a split from ``class_stats.csv``, each (K,) int64.

    Args:
        root: the folder.
        table: its class table.
        split: name of the split.

    Raises:
        DataError: if a class or a number is not there.
    """
    path, columns = root / STATS_FILE, (f"{split}_pixels", f"{split}_images")
    rows = {row["name"]: row for row in read_rows(path, ("name",), optional=columns, remedy=_REMEDY)}
    values = []
    for each in table.classes:
        try:
            values.append(rows[each.name].whole(*columns))
        except (KeyError, DataError):
            raise DataError(
                f"no {' and '.join(columns)} for class {each.name!r}", file=path, remedy=_REMEDY
            ) from None
    pixels, images = np.array(values, np.int64).T
    return pixels, images


def write_stats(root: Path, table: ClassTable, counted: Mapping[str, Counted]) -> Path:
    """Write ``class_stats.csv``: pixels, images and percentages of each class in each split.

    Args:
        root: the folder.
        table: its class table.
        counted: what was counted of each split, of the classes of the table in any order.
    """
    columns = ["id", "name"]
    for split in counted:
        columns += [f"{split}_pixels", f"{split}_images", f"{split}_pct_all", f"{split}_pct_labelled"]
    rows = []
    for each in table.classes:
        cells: list[str | int] = [each.id, each.name]
        for c in counted.values():
            k, labelled = c.names.index(each.name), int(c.pixels.sum())
            cells += [int(c.pixels[k]), int(c.images[k])]
            cells += [f"{100 * c.pixels[k] / max(n, 1):.4f}" for n in (labelled + c.void, labelled)]
        rows.append(cells)
    return write_rows(root / STATS_FILE, columns, rows)
