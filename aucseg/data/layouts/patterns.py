"""Any folder of images and masks, by two patterns: ``imgs/{name}_img.jpg`` and ``gts/{name}_gt.png``."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

from aucseg.data.classes import read_classes
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.layouts.own import list_splits, read_split
from aucseg.data.listing import Listing, find_files, match_keys, match_names
from aucseg.data.reading import read_ids
from aucseg.errors import DataError, OptionError

_FIELDS = re.compile(r"\{(\w*)\}")


def pattern_layout(root: Path, images: str, masks: str) -> Layout:
    """The layout of a folder with a ``classes.csv`` and files named by two patterns.

    ``{name}`` stands for the name of an item, which may contain ``/``; ``{split}`` for the split. The
    items of a split are those of ``splits/<split>.txt``; without such lists, all files that fit, and without
    ``{split}`` in the patterns they form the split ``all``.

    Args:
        root: the folder.
        images: pattern of the images, relative to it.
        masks: pattern of the masks: ids, palette or colours of ``classes.csv``.

    Raises:
        DataError: if the class table is missing or wrong.
        ValueError: for a pattern without ``{name}``, with another field, or one that leads out of the folder.
    """
    for pattern in (images, masks):
        _check(pattern)
    table = read_classes(root)
    return Layout(
        name="folder",
        title="folder of images and masks",
        load_spec=partial(table.spec, root.resolve().name),
        access=Access("", (), (), (images, masks, "classes.csv")),
        find=lambda place: place,
        splits=lambda place: _splits(place, images),
        list_split=lambda place, split: _list(place, split, images, masks),
        read_ids=partial(read_ids, table=table),
        lookup=table.lookup(),
        grouped=table.groups() is not None,
    )


def _check(pattern: str) -> None:
    fields = _FIELDS.findall(pattern)
    parts = PurePosixPath(pattern).parts
    if fields.count("name") != 1 or not set(fields) <= {"name", "split"} or ".." in parts or parts[0] == "/":
        raise OptionError(
            f"a pattern is a relative path with {{name}} once and, if need be, {{split}}, got {pattern!r}"
        )


def _splits(root: Path, images: str) -> tuple[str, ...]:
    listed = list_splits(root)
    if listed or "{split}" not in images:
        return listed or ("all",)
    return tuple(dict.fromkeys(split for split, _ in _matches(root, images)))


def _matches(root: Path, pattern: str) -> dict[tuple[str, str], Path]:
    """Files that fit a pattern, by split (empty without the field) and name."""
    fixed = pattern.partition("{")[0]
    start = root / fixed.rpartition("/")[0]
    words = {"name": "(?P<name>.+)", "split": "(?P<split>[^/]+)"}
    parts = _FIELDS.split(pattern)
    expression = "".join(words[p] if i % 2 else re.escape(p) for i, p in enumerate(parts))
    # A second {split} must repeat the first.
    expression = expression.replace(words["split"], "\0", 1).replace(words["split"], "(?P=split)")
    regex = re.compile(expression.replace("\0", words["split"]))
    there, problems = find_files(start, ("",))
    if problems:
        raise problems[0]
    found = {}
    for path in there.values():
        if match := regex.fullmatch(path.relative_to(root).as_posix()):
            found[match.groupdict().get("split", ""), match["name"]] = path
    return found


def _list(root: Path, split: str, images: str, masks: str) -> Listing:
    sides = [_of_split(_matches(root, pattern), split) for pattern in (images, masks)]
    source = root / "splits" / f"{split}.txt"
    if source.is_file():
        return match_names(read_split(root, split), sides[0], sides[1], source)
    if not sides[0] and not sides[1]:
        raise DataError(f"no file fits {images!r}", file=root, remedy="correct the pattern")
    return match_keys(sides[0], sides[1])


def _of_split(found: dict[tuple[str, str], Path], split: str) -> dict[str, Path]:
    return {name: path for (its, name), path in found.items() if its in ("", split)}
