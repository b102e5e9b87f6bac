r"""Any folder of images and masks, by two patterns: ``imgs/{name}_img.jpg`` and ``gts/{name}_gt.png``.

``{name}`` stands for the name of an item, which may contain ``/``; ``{split}`` for the split; ``{class}``,
where each class has a mask of its own, for the class; ``*`` for anything within a folder, and as an ending,
as in ``{name}.*``, for that of any picture. The case of an ending does not matter, ``\`` is ``/``, and ``./``
may come first. A file that fits both patterns belongs to the more telling one: with ``{name}.png`` and
``{name}_mask.png``, ``a_mask.png`` is the mask of ``a`` and no image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from aucseg.data.classes import ClassTable
from aucseg.data.layouts.description import Description, Found, Kind
from aucseg.data.listing import PICTURE_SUFFIXES, Listing, find_files, is_clutter, once
from aucseg.data.reading import read_ids
from aucseg.errors import DataError, OptionError, did_you_mean

_FIELDS = re.compile(r"\{(\w*)\}")


def checked(pattern: str, what: str, fields: Sequence[str], may: Sequence[str] = ()) -> str:
    """A pattern as the names of files are told from it: with ``/``, and from the root on.

    Args:
        pattern: as its user wrote it.
        what: whose it is, for the message.
        fields: those that it must have once; ``{split}`` it may have.
        may: others that it may have once.

    Raises:
        OptionError: for a pattern that lacks a field, has another one, or leads out of the folder.
    """
    path = re.sub(r"/+", "/", pattern.replace("\\", "/"))
    while path.startswith("./"):
        path = path[2:]
    found = _FIELDS.findall(path)
    absolute = path.startswith("/") or re.match(r"\w:", path)
    if (
        any(found.count(each) != 1 for each in fields)
        or any(found.count(each) > 1 for each in may)
        or not set(found) <= {*fields, *may, "split"}
        or ".." in PurePosixPath(path).parts
        or absolute
    ):
        wanted = " and ".join(f"{{{each}}} once" for each in fields)
        more = " or ".join(f"{{{each}}}" for each in (*may, "split"))
        raise OptionError(
            f"a pattern is a relative path with {wanted + ' and, ' if wanted else ''}if need be, {more}, "
            f"got {pattern!r} for {what}"
        )
    return path


def sides(root: Path, description: Description, names: Sequence[str]) -> tuple[Found, Found]:
    """The images and the masks; a file that could be either is what the more telling pattern says.

    Args:
        root: the folder.
        description: its patterns.
        names: names of the classes; masks of all classes have no need of them.

    Raises:
        DataError: if no file fits one of the patterns, with what there is in its place, or two are one item.
    """
    return apart(root, description, matches(root, description.images), matches(root, description.masks))


def apart(root: Path, description: Description, images: Found, masks: Found) -> tuple[Found, Found]:
    """Images and masks without the files that fit the pattern of the other side better.

    Args:
        root: the folder.
        description: its patterns.
        images: what fits that of the images.
        masks: what fits that of the masks.

    Raises:
        DataError: if one side is empty.
    """
    both = set(images.values()) & set(masks.values())
    # What is left of a pattern without its fields: the longer, the more telling.
    patterns = description.images, description.masks
    lengths = [len(_FIELDS.sub("", pattern).replace("*", "")) for pattern in patterns]
    if lengths[0] < lengths[1]:
        images = {key: path for key, path in images.items() if path not in both}
    else:
        masks = {key: path for key, path in masks.items() if path not in both}
    for found, pattern in zip((images, masks), patterns, strict=True):
        if not found:
            raise no_file(root, pattern)
    return images, masks


def matches(root: Path, pattern: str) -> Found:
    """The files that fit a pattern.

    Args:
        root: the folder.
        pattern: the pattern, without ``{class}``.

    Raises:
        DataError: for two files of one split and name, and for a folder that cannot be read.
    """
    return once((str(root), pattern), lambda: _matches(root, pattern))


def _matches(root: Path, pattern: str) -> Found:
    found: Found = {}
    for match, path in fitting(root, pattern):
        key = match.groupdict().get("split", ""), match["name"]
        if key in found:
            raise DataError(
                f"{path.name} is there too, and {pattern!r} takes both for {match['name']!r}",
                file=found[key],
                remedy="keep one of the two, or write the ending into the pattern",
            )
        found[key] = path
    return found


def fitting(root: Path, pattern: str, classes: Sequence[str] = ()) -> Iterator[tuple[re.Match[str], Path]]:
    """The files that fit a pattern, and what its fields stand for in each.

    Args:
        root: the folder.
        pattern: the pattern.
        classes: what ``{class}`` may stand for; anything within a folder if empty.

    Raises:
        DataError: for a folder that cannot be read.
    """
    folder, slash, _ = pattern.partition("{")[0].partition("*")[0].rpartition("/")
    there, problems = find_files(root / folder, ("",))
    if problems:
        raise problems[0]
    regex = _regex(pattern, classes)
    for name, path in there.items():
        if match := regex.fullmatch(folder + slash + name):
            yield match, path


def _regex(pattern: str, classes: Sequence[str]) -> re.Pattern[str]:
    """What a path from the root on looks like; a second ``{split}`` repeats the first."""
    body, dot, ending = pattern.rpartition(".")
    if "{" in ending or "/" in ending or not dot:
        body, ending = pattern, ""
    one_of = "|".join(re.escape(each) for each in sorted(classes, key=len, reverse=True))
    words = {
        "name": "(?P<name>.+?)" if "{class}" in pattern else "(?P<name>.+)",
        "split": "(?P<split>[^/]+)",
        "class": f"(?P<class>{one_of or '[^/]+'})",
    }
    parts = _FIELDS.split(body)
    expression = "".join(words[p] if i % 2 else _literal(p) for i, p in enumerate(parts))
    split = words["split"]
    first, found, rest = expression.partition(split)
    expression = first + found + rest.replace(split, "(?P=split)")
    if ending == "*":
        expression += rf"\.(?i:{'|'.join(suffix[1:] for suffix in PICTURE_SUFFIXES)})"
    elif ending:
        expression += rf"\.(?i:{_literal(ending)})"
    return re.compile(expression)


def _literal(text: str) -> str:
    return "[^/]*".join(re.escape(part) for part in text.split("*"))


def no_file(root: Path, pattern: str) -> DataError:
    """That nothing fits a pattern: the folder that is not there, or a file that lies in it.

    Args:
        root: the folder.
        pattern: the pattern.
    """
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


def name_other_endings(root: Path, split: str, listing: Listing, kind: str, pattern: str) -> None:
    """Say of each file that is missing whether one with another ending is there.

    Args:
        root: the folder.
        split: what ``{split}`` stands for.
        listing: the listing, whose problems are told so.
        kind: ``"image"`` or ``"mask"``.
        pattern: that of the kind.
    """
    alone = [item for item in listing.items if (item.image if kind == "image" else item.mask) is None]
    body, dot, ending = pattern.rpartition(".")
    if not alone or not dot or "/" in ending or "{" in ending:
        return
    any_ending = f"{body}.*"
    try:
        there = of_split(matches(root, any_ending), split)
    except DataError:  # two of one name: no hint is better than a wrong one
        return
    for item in (item for item in alone if item.name in there):
        partner = item.mask if kind == "image" else item.image
        for i, problem in enumerate(listing.problems):
            if problem.file == str(partner) or f"missing {kind} of {item.name!r}" in problem.what:
                listing.problems[i] = DataError(
                    f"{problem.what}; {there[item.name].name} is there",
                    file=problem.file,
                    remedy=f"for {kind}s of several endings write {any_ending!r}",
                )


def of_split(found: Found, split: str) -> dict[str, Path]:
    """The files of a split, by name, and those of no split.

    Args:
        found: files by split word and name.
        split: what ``{split}`` stands for.
    """
    return {name: path for (its, name), path in found.items() if its in ("", split)}


def _read(_: Description, table: ClassTable) -> Callable[[Path], np.ndarray]:
    return partial(read_ids, table=table)


PATTERNS = Kind("images and masks", sides, _read)
