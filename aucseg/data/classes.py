"""``classes.csv``: what the values of a mask file mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aucseg.data.files import Row, read_rows
from aucseg.data.spec import GROUPS, ClassSpec
from aucseg.errors import DataError, did_you_mean

VOID = 255
NOT_A_LABEL = -1


@dataclass(frozen=True)
class ClassRow:
    """One row of ``classes.csv``: what one value of a mask file means."""

    id: int
    name: str
    color: tuple[int, int, int]
    ignore: bool
    group: str | None = None


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
        table = np.full(256, NOT_A_LABEL, np.int16)
        table[VOID] = VOID
        for row in self.rows:
            table[row.id] = VOID if row.ignore else order[row.name]
        return table

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
    """Read ``classes.csv``: columns id, name, r, g, b, ignore and, optional, group.

    Raises:
        DataError: if the file is missing, or a row has a bad or repeated id or name.
    """
    path = root / "classes.csv"
    if not path.is_file():
        raise DataError(
            "no such file", file=path, remedy="write it with the columns id,name,r,g,b,ignore, or pass a spec"
        )
    table = read_rows(path, ("id", "name", "r", "g", "b", "ignore"), optional=("group",))
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
    return classes


def _row(row: Row) -> ClassRow:
    id_, red, green, blue, ignore = row.whole("id", "r", "g", "b", "ignore")
    name = row["name"].strip()
    if not all(0 <= n <= 255 for n in (id_, red, green, blue)) or ignore not in (0, 1) or not name:
        raise row.error(
            f": {list(row.values())}", "id, r, g and b are 0 to 255, ignore is 0 or 1, name is not empty"
        )
    return ClassRow(id_, name, (red, green, blue), ignore == 1, row["group"].strip() or None)
