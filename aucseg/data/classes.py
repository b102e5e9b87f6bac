"""The two tables of a folder.

``classes.csv`` says what the values of its masks mean, ``class_stats.csv`` what was counted of each class in
each split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from aucseg.data.files import Row, read_rows, write_rows
from aucseg.data.labels import VOID, value_table
from aucseg.data.palette import distinct_colors
from aucseg.data.spec import GROUPS, ClassSpec
from aucseg.errors import DataError, did_you_mean

STATS_FILE = "class_stats.csv"
_COUNTED = ("pixels", "images", "pct_all", "pct_labelled")
_COLOR = ("r", "g", "b")
_REMEDY = "make the file again with `aucseg data stats FOLDER --write`"


@dataclass(frozen=True)
class ClassRow:
    """One row of ``classes.csv``: what one value of a mask file means.

    ``colored`` says whether the file gives the colour; one that was made for the row finds nothing in masks.
    """

    id: int
    name: str
    color: tuple[int, int, int]
    ignore: bool
    group: str | None = None
    colored: bool = True


@dataclass(frozen=True)
class ClassTable:
    """All rows of ``classes.csv``.

    Train ids count the rows that are not ignored, in the order of the file; the file's own ids may
    start anywhere in 0 to 255. Ignored rows become void, and so does 255 unless a row claims it.
    """

    rows: tuple[ClassRow, ...]
    file: Path

    @property
    def classes(self) -> tuple[ClassRow, ...]:
        """The rows that are classes, in the order of their train ids."""
        return tuple(r for r in self.rows if not r.ignore)

    def lookup(self, names: tuple[str, ...] | None = None) -> np.ndarray:
        """Table (256,) int16 from a mask file's value to its train id, 255 for void, -1 for neither.

        Args:
            names: class names in train id order; the order of the file if None.
        """
        order = {r.name: i for i, r in enumerate(self.classes)}
        if names is not None:
            order = {name: i for i, name in enumerate(names)}
        return value_table(
            {VOID: VOID, **{row.id: VOID if row.ignore else order[row.name] for row in self.rows}}
        )

    def groups(self) -> tuple[str, ...] | None:
        """Group of each train id from the column ``group``; None without it.

        Raises:
            DataError: for an unknown group, or a class without one where others have theirs.
        """
        groups = tuple(r.group or "" for r in self.classes)
        if not any(groups):
            return None
        for row in self.classes:
            if row.group not in GROUPS:
                raise DataError(
                    f"class {row.name!r} has the group {row.group or ''!r}",
                    file=self.file,
                    remedy=f"use one of {', '.join(GROUPS)}, for all classes or for none",
                )
        return groups

    def spec(self, name: str) -> ClassSpec:
        """The classes as a label set, in the order of the file; all are middle if there are no groups.

        Args:
            name: name of the label set.

        Raises:
            DataError: as :meth:`groups`.
        """
        names, colors = zip(*((r.name, r.color) for r in self.classes), strict=True)
        return ClassSpec(name, names, colors, self.groups() or ("middle",) * len(names))

    def check_names(self, spec: ClassSpec) -> None:
        """Raise `DataError` unless the classes are the ones of ``spec``, in any order."""
        found = tuple(r.name for r in self.classes)
        for name in found:
            if name not in spec.names:
                hint = did_you_mean(name, spec.names)
                raise DataError(f"unknown class name {name!r} for {spec.name!r}", file=self.file, remedy=hint)
        for name in spec.names:
            if name not in found:
                raise DataError(
                    f"class {name!r} of {spec.name!r} is missing",
                    file=self.file,
                    remedy="add its row, with ignore=0",
                )


def read_classes(root: Path) -> ClassTable:
    """Read ``classes.csv``: columns id, name, ignore and, optional, r, g, b and group.

    A row without a colour gets one of :func:`aucseg.data.palette.distinct_colors`; void gets black.

    Raises:
        DataError: if the file is missing, or a row has a bad or repeated id or name.
    """
    path = root / "classes.csv"
    if not path.is_file():
        raise DataError(
            "no such file",
            file=path,
            remedy=f"`aucseg data init {root}` writes it from the masks; its columns are id,name,ignore",
        )
    table = read_rows(path, ("id", "name", "ignore"), optional=(*_COLOR, "group"))
    rows = tuple(_row(row) for row in table)
    for field in ("id", "name"):
        value, times = Counter(getattr(r, field) for r in rows).most_common(1)[0] if rows else (None, 0)
        if times > 1:
            raise DataError(
                f"{field} {value!r} stands in {times} rows",
                file=path,
                remedy=f"give each row its own {field}",
            )
    classes = ClassTable(rows, path)
    if (found := len(classes.classes)) < 2:
        raise DataError(
            f"{found} rows with ignore=0", file=path, remedy="a label set needs at least 2 classes"
        )
    if found > VOID:
        raise DataError(f"{found} classes", file=path, remedy="8-bit masks hold at most 255")
    return ClassTable(_with_colors(rows), path)


def _row(row: Row) -> ClassRow:
    id_, ignore = row.whole("id", "ignore")
    colored = any(row[c].strip() for c in _COLOR)
    red, green, blue = row.whole(*_COLOR) if colored else (0, 0, 0)
    name = row["name"].strip()
    if not all(0 <= n <= 255 for n in (id_, red, green, blue)) or ignore not in (0, 1) or not name:
        raise row.error(
            f": {list(row.values())}", "id, r, g and b are 0 to 255, ignore is 0 or 1, name is not empty"
        )
    if not name.isprintable():
        raise row.error(f": the name {name!a} has characters that cannot be printed", "write plain text")
    return ClassRow(id_, name, (red, green, blue), ignore == 1, row["group"].strip() or None, colored)


def _with_colors(rows: tuple[ClassRow, ...]) -> tuple[ClassRow, ...]:
    """The rows, with a colour for each class that has none and that no other row has."""
    taken = {row.color for row in rows if row.colored}
    free = (color for color in distinct_colors(255) if color not in taken)
    return tuple(
        row if row.colored or row.ignore else replace(row, color=next(free, (1, 1, 1))) for row in rows
    )


def write_classes(
    root: Path, spec: ClassSpec, groups: Sequence[str] | None, *, ignored: Mapping[int, str] | None = None
) -> Path:
    """Write ``classes.csv`` of a folder whose masks hold train ids.

    Args:
        root: the folder.
        spec: names and colours of the classes.
        groups: the column ``group``; None for no such column.
        ignored: name of each value that stands for void.
    """
    rows: list[list[object]] = [
        [k, name, *color, 0, *([groups[k]] if groups else [])]
        for k, (name, color) in enumerate(zip(spec.names, spec.colors, strict=True))
    ]
    rows += [[value, name, 0, 0, 0, 1, *([""] if groups else [])] for value, name in (ignored or {}).items()]
    columns = ["id", "name", "r", "g", "b", "ignore", *(["group"] if groups else [])]
    return write_rows(root / "classes.csv", columns, rows, inside=root)


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


def read_class_names(root: Path) -> tuple[str, ...] | None:
    """The names in a ``classes.csv`` of any form; None without the file, and none if it has no such column.

    Args:
        root: the folder.
    """
    path = root / "classes.csv"
    if not path.is_file():
        return None
    try:
        return tuple(row["name"] for row in read_rows(path, ("name",)))
    except DataError:
        return ()


def read_pixel_share(root: Path, table: ClassTable, split: str = "train") -> tuple[float, ...] | None:
    """Pixel share of each class in a split from ``class_stats.csv``, in [0, 1].

    Args:
        root: the folder.
        table: its class table.
        split: name of the split, mostly the one that trains.

    Returns:
        None without that file, and if it says nothing of the split.

    Raises:
        DataError: if the file is there and says something of the split, but lacks a class or a number.
    """
    path, columns = root / STATS_FILE, (f"{split}_pixels", f"{split}_pct_labelled")
    if not path.is_file():
        return None
    found = read_rows(path, ("name",), optional=columns, remedy=_REMEDY)
    # Pixels are exact; a table that another program made may have percentages alone.
    column = next((c for c in columns if any(row[c] for row in found)), None)
    if column is None:
        return None
    rows, values = {row["name"]: row for row in found}, []
    for each in table.classes:
        try:
            values.append(rows[each.name].real(column)[0])
        except (KeyError, DataError):
            raise DataError(
                f"no {column} for class {each.name!r}", file=path, remedy=f"{_REMEDY}, or delete it"
            ) from None
    whole = max(sum(values), 1) if column == columns[0] else 100
    return tuple(value / whole for value in values)


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

    Raises:
        DataError: if a file of that name is there which this function has not written.
    """
    path = root / STATS_FILE
    if path.is_file() and not _is_ours(path):
        raise DataError(
            "has other columns than this command writes, and is not overwritten",
            file=path,
            remedy="give the file another name",
        )
    columns = ["id", "name"]
    for split in counted:
        columns += [f"{split}_{what}" for what in _COUNTED]
    rows = []
    for each in table.classes:
        cells: list[str | int] = [each.id, each.name]
        for c in counted.values():
            k, labelled = c.names.index(each.name), int(c.pixels.sum())
            cells += [int(c.pixels[k]), int(c.images[k])]
            cells += [f"{100 * c.pixels[k] / max(n, 1):.4f}" for n in (labelled + c.void, labelled)]
        rows.append(cells)
    return write_rows(path, columns, rows)


def _is_ours(path: Path) -> bool:
    """Whether a table has the columns that `write_stats` writes, and no others."""
    try:
        rows = read_rows(path, ("id", "name"))
    except DataError:
        return False
    columns = list(rows[0]) if rows else []
    kinds = [column.rpartition("_")[2] for column in columns[2:]]
    wanted = [what.rpartition("_")[2] for what in _COUNTED]
    return columns[:2] == ["id", "name"] and kinds == wanted * (len(kinds) // len(wanted))
