"""Names of classes, from the files in which other programs leave them beside the masks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aucseg.data.files import read_rows, read_text
from aucseg.errors import DataError, OptionError

K = TypeVar("K")
Color = tuple[int, int, int]

_VOID = {
    "void",
    "ignore",
    "ignored",
    "unlabeled",
    "unlabelled",
    "undefined",
    "unknown",
    "unclassified",
    "dontcare",
}
_VOID |= {"outofroi", "border", "nolabel", "notlabeled", "notlabelled", "none", "nodata", "invalid"}


def means_void(name: str) -> bool:
    """Whether a class is called what pixels without a label are called.

    Args:
        name: the class.
    """
    return re.sub(r"[^a-z]", "", name.lower()) in _VOID


def means_background(name: str) -> bool:
    """Whether a class is called what is behind all others.

    Args:
        name: the class.
    """
    return re.sub(r"[^a-z]", "", name.lower()) in {"background", "bg"}


@dataclass(frozen=True)
class NameList:
    """Names of classes by what the masks hold.

    Args:
        file: where they were found, for print.
        by_value: by value.
        by_color: by colour.
    """

    file: str
    by_value: Mapping[int, str] = field(default_factory=dict)
    by_color: Mapping[Color, str] = field(default_factory=dict)


def find_names(files: Mapping[str, Path]) -> NameList | None:
    """The names that lie in a folder; several copies, as of each split, must say the same.

    Args:
        files: its files by their names below the folder.

    Raises:
        DataError: if a file is there and cannot be read, or two of a kind differ.
    """
    there: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for name, path in files.items():
        there[name.rpartition("/")[2].lower()].append((name, path))
    for kind, read in _READERS.items():
        found: NameList | None = None
        for name, path in there.get(kind, ()):
            names = read(name, path)
            if found is not None and (found.by_value, found.by_color) != (names.by_value, names.by_color):
                raise DataError(
                    f"and {found.file} name the classes differently", file=path, remedy="keep one of them"
                )
            found = found or names
        if found is not None:
            return found
    return None


def told_names(text: str) -> NameList:
    """The names that a user gives, in the order of the values: separated by commas, or in a file, one a line.

    Args:
        text: the names, or the path of the file.

    Raises:
        OptionError: for a name that is empty or repeats.
        DataError: if the file cannot be read.
    """
    place = Path(text).expanduser()
    listed = read_text(place).splitlines() if place.is_file() else text.split(",")
    names = [each.strip() for each in listed if each.strip() or "," in text]
    if len(set(names)) != len(names) or not all(names) or not names:
        raise OptionError(f"names are separated by commas, none empty and none twice, got {text!r}")
    return NameList("--names", dict(enumerate(names)))


def _roboflow(name: str, path: Path) -> NameList:
    rows = read_rows(path, ("Pixel Value", "Class"))
    return NameList(name, _once(((row.whole("Pixel Value")[0], row["Class"]) for row in rows), path))


def _cvat(name: str, path: Path) -> NameList:
    """Lines ``label:color_rgb:parts:actions``, with ``r,g,b``."""
    found: list[tuple[Color, str]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        label, _, rest = line.partition(":")
        match = re.match(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?::|$)", rest)
        if match is None:
            raise DataError(
                f"line {number} is no label:color_rgb:parts:actions",
                file=path,
                remedy="export the masks again",
            )
        found.append(((int(match[1]), int(match[2]), int(match[3])), label.strip()))
    return NameList(name, by_color=_once(found, path))


def _class_dict(name: str, path: Path) -> NameList:
    rows = read_rows(path, ("name", "r", "g", "b"))
    return NameList(
        name, by_color=_once(((_color(*row.whole("r", "g", "b")), row["name"]) for row in rows), path)
    )


def _label_colors(name: str, path: Path) -> NameList:
    """Lines of red, green, blue and a name."""
    matches = [
        re.fullmatch(r"\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(.+?)\s*", line)
        for line in read_text(path).splitlines()
        if line.strip()
    ]
    if any(match is None for match in matches):
        raise DataError("has a line that is not red, green, blue and a name", file=path, remedy="correct it")
    return NameList(
        name, by_color=_once(((_color(*map(int, m.groups()[:3])), m[4]) for m in matches if m), path)
    )


def _lines(name: str, path: Path) -> NameList:
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    first = -1 if names and names[0] == "__ignore__" else 0  # of LabelMe's lists
    return NameList(name, {value: each for value, each in enumerate(names, first) if value >= 0})


def _color(*values: int) -> Color:
    red, green, blue = values
    return red, green, blue


def _once(pairs: Iterable[tuple[K, str]], path: Path) -> dict[K, str]:
    found: dict[K, str] = {}
    for key, name in pairs:
        if key in found:
            raise DataError(
                f"has {key} twice, as {found[key]!r} and {name!r}", file=path, remedy="correct it"
            )
        found[key] = name
    return found


_READERS: dict[str, Callable[[str, Path], NameList]] = {
    "_classes.csv": _roboflow,
    "labelmap.txt": _cvat,
    "class_dict.csv": _class_dict,
    "label_colors.txt": _label_colors,
    "class_names.txt": _lines,
    "classes.txt": _lines,
    "labels.txt": _lines,
}
"""Files with names of classes, by their own name; the more telling ones first."""
