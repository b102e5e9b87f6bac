"""Any folder of images and masks, by two patterns: ``imgs/{name}_img.jpg`` and ``gts/{name}_gt.png``."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

from aucseg.data.classes import read_classes
from aucseg.data.layouts.base import Access, Layout
from aucseg.data.layouts.own import list_splits, match_split
from aucseg.data.listing import Listing, find_files, is_clutter, match_keys
from aucseg.data.reading import read_ids
from aucseg.errors import DataError, OptionError, did_you_mean

_FIELDS = re.compile(r"\{(\w*)\}")
_WORDS = {"name": "(?P<name>.+)", "split": "(?P<split>[^/]+)"}

Found = dict[tuple[str, str], Path]
"""Files by split (empty without the field) and name."""


def pattern_layout(root: Path, images: str, masks: str) -> Layout:
    r"""The layout of a folder with a ``classes.csv`` and files named by two patterns.

    ``{name}`` stands for the name of an item, which may contain ``/``; ``{split}`` for the split; ``*`` for
    anything within a folder, as in ``{name}.*`` for images of several endings. The case of an ending does not
    matter, ``\`` is ``/``, and ``./`` may come first. The items of a split are those of
    ``splits/<split>.txt``; without such lists, all files that fit, and without ``{split}`` in the patterns
    they form the split ``all``. A file that fits both patterns belongs to the more telling one: with
    ``{name}.png`` and ``{name}_mask.png``, ``a_mask.png`` is the mask of ``a`` and no image.

    Args:
        root: the folder.
        images: pattern of the images, relative to it.
        masks: pattern of the masks: ids, palette or colours of ``classes.csv``.

    Raises:
        DataError: if the class table is missing or wrong.
        ValueError: for a pattern without ``{name}``, with another field, or one that leads out of the folder;
            and for two that mean the same files.
    """
    patterns = _checked(images), _checked(masks)
    if patterns[0] == patterns[1]:
        raise OptionError(f"images and masks have the same pattern {images!r}: they would be the same files")
    table = read_classes(root)
    return Layout(
        name="folder",
        title="folder of images and masks",
        load_spec=partial(table.spec, root.resolve().name),
        access=Access("", (), (), (images, masks, "classes.csv")),
        find=lambda place: place,
        splits=lambda place: _splits(place, patterns),
        list_split=lambda place, split: _list(place, split, patterns),
        read_ids=partial(read_ids, table=table),
        lookup=table.lookup(),
        grouped=table.groups() is not None,
        table=table,
    )


def _checked(pattern: str) -> str:
    """A pattern as the names of files are told from it: with ``/``, and from the root on."""
    path = re.sub(r"/+", "/", pattern.replace("\\", "/"))
    while path.startswith("./"):
        path = path[2:]
    fields = _FIELDS.findall(path)
    absolute = path.startswith("/") or re.match(r"\w:", path)
    if (
        fields.count("name") != 1
        or not set(fields) <= set(_WORDS)
        or ".." in PurePosixPath(path).parts
        or absolute
    ):
        raise OptionError(
            f"a pattern is a relative path with {{name}} once and, if need be, {{split}}, got {pattern!r}"
        )
    return path


def _splits(root: Path, patterns: tuple[str, str]) -> tuple[str, ...]:
    listed = list_splits(root)
    if listed or "{split}" not in patterns[0]:
        return listed or ("all",)
    return tuple(dict.fromkeys(split for split, _ in _sides(root, patterns)[0]))


def _sides(root: Path, patterns: tuple[str, str]) -> tuple[Found, Found]:
    """The images and the masks; a file that could be either is what the more telling pattern says.

    Raises:
        DataError: if no file fits one of the patterns, with what there is in its place.
    """
    images, masks = (_matches(root, pattern) for pattern in patterns)
    both = set(images.values()) & set(masks.values())
    # What is left of a pattern without its fields: the longer, the more telling.
    lengths = [len(_FIELDS.sub("", pattern).replace("*", "")) for pattern in patterns]
    if lengths[0] < lengths[1]:
        images = {key: path for key, path in images.items() if path not in both}
    else:
        masks = {key: path for key, path in masks.items() if path not in both}
    for found, pattern in zip((images, masks), patterns, strict=True):
        if not found:
            raise _no_file(root, pattern)
    return images, masks


def _matches(root: Path, pattern: str) -> Found:
    start = root / pattern.partition("{")[0].partition("*")[0].rpartition("/")[0]
    there, problems = find_files(start, ("",))
    if problems:
        raise problems[0]
    regex = _regex(pattern)
    found: Found = {}
    for path in there.values():
        if match := regex.fullmatch(path.relative_to(root).as_posix()):
            key = match.groupdict().get("split", ""), match["name"]
            if key in found:
                raise DataError(
                    f"{path.name} is there too, and {pattern!r} takes both for {match['name']!r}",
                    file=found[key],
                    remedy="keep one of the two, or write the ending into the pattern",
                )
            found[key] = path
    return found


def _regex(pattern: str) -> re.Pattern[str]:
    """What a path from the root on looks like; a second ``{split}`` repeats the first."""
    body, dot, ending = pattern.rpartition(".")
    if "{" in ending or "/" in ending or not dot:
        body, ending = pattern, ""
    parts = _FIELDS.split(body)
    expression = "".join(_WORDS[p] if i % 2 else _literal(p) for i, p in enumerate(parts))
    split = _WORDS["split"]
    first, found, rest = expression.partition(split)
    expression = first + found + rest.replace(split, "(?P=split)")
    return re.compile(expression + (rf"\.(?i:{_literal(ending)})" if ending else ""))


def _literal(text: str) -> str:
    return "[^/]*".join(re.escape(part) for part in text.split("*"))


def _no_file(root: Path, pattern: str) -> DataError:
    """That nothing fits a pattern: the folder that is not there, or a file that lies in it."""
    place = root
    for folder in PurePosixPath(pattern.partition("{")[0].rpartition("/")[0]).parts:
        if not (place / folder).is_dir():
            near = sorted(p.name for p in place.iterdir() if p.is_dir() and not is_clutter(p.name))
            return DataError(
                f"no file fits {pattern!r}: there is no folder {folder!r}",
                file=place,
                remedy=did_you_mean(folder, near) if near else "correct the pattern",
            )
        place /= folder
    there, _ = find_files(place, ("",))
    example = next((path.relative_to(root).as_posix() for path in there.values()), None)
    told = "the folder is empty" if example is None else f"there is {example!r}"
    return DataError(f"no file fits {pattern!r}: {told}", file=root, remedy="correct the pattern")


def _list(root: Path, split: str, patterns: tuple[str, str]) -> Listing:
    images, masks = (_of_split(side, split) for side in _sides(root, patterns))
    if (root / "splits" / f"{split}.txt").is_file():
        return match_split(root, split, images, masks)
    return match_keys(images, masks)


def _of_split(found: Found, split: str) -> dict[str, Path]:
    return {name: path for (its, name), path in found.items() if its in ("", split)}
