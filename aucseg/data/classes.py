"""``classes.csv``: what the values of a mask file mean."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", file=path, remedy="write it as UTF-8 text") from error
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file)
        missing = [c for c in ("id", "name", "r", "g", "b", "ignore") if c not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"no column {missing[0]!r}", file=path, remedy="the columns are id,name,r,g,b,ignore[,group]"
            )
        rows = tuple(_row(r, line, path) for line, r in enumerate(reader, start=2))
    for field in ("id", "name"):
        value, times = Counter(getattr(r, field) for r in rows).most_common(1)[0] if rows else (None, 0)
        if times > 1:
            raise DataError(
                f"{field} {value!r} stands in {times} rows",
                file=path,
                remedy=f"give each row its own {field}",
            )
    table = ClassTable(rows, path)
    if len(table.classes) < 2:
        raise DataError(
            f"{len(table.classes)} rows with ignore=0",
            file=path,
            remedy="a label set needs at least 2 classes",
        )
    if len(table.classes) > VOID:
        raise DataError(f"{len(table.classes)} classes", file=path, remedy="8-bit masks hold at most 255")
    return table


def _row(row: dict[str, str], line: int, path: Path) -> ClassRow:
    try:
        numbers = [int(row[c]) for c in ("id", "r", "g", "b", "ignore")]
    except (TypeError, ValueError):
        raise DataError(
            f"line {line} is not whole numbers in id,r,g,b,ignore: {list(row.values())}",
            file=path,
            remedy="correct that line",
        ) from None
    if any(not 0 <= n <= 255 for n in numbers) or numbers[4] > 1 or not row["name"].strip():
        raise DataError(
            f"line {line}: {list(row.values())}",
            file=path,
            remedy="id, r, g and b are 0 to 255, ignore is 0 or 1, name is not empty",
        )
    group = (row.get("group") or "").strip() or None
    red, green, blue = numbers[1:4]
    return ClassRow(numbers[0], row["name"].strip(), (red, green, blue), numbers[4] == 1, group)
