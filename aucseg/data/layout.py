"""The folder layout: ``splits/<split>.txt`` and where an item's two files lie."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from aucseg.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def list_splits(root: Path) -> tuple[str, ...]:
    """Names of the splits, by the files in ``splits/``; train, val and test come first."""
    known = {"train": 0, "val": 1, "test": 2}
    found = [p.stem for p in (root / "splits").glob("*.txt")]
    return tuple(sorted(found, key=lambda s: (known.get(s, 3), s)))


def read_split(root: Path, split: str) -> tuple[str, ...]:
    """Names of the items of a split, in their order.

    Raises:
        DataError: if the folder or the split file is missing, the split is empty, a name repeats or
            would lead outside the folder.
    """
    names, problems = list_names(root, split)
    if problems:
        raise problems[0]
    return names


def list_names(root: Path, split: str) -> tuple[tuple[str, ...], list[DataError]]:
    """Names of a split's items that can be used, in their order, each once; and what is wrong with others.

    Raises:
        DataError: if the folder or the split file is missing, or the split is empty.
    """
    if not root.is_dir():
        raise DataError("no such folder", file=root, remedy="check the path of the data set")
    path = root / "splits" / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(list_splits(root)) or "none"
        raise DataError(
            "no such split file", file=path, remedy=f"splits found: {there}; a split file holds a name a line"
        )
    names, problems = [], []
    for name, times in Counter(read_names(path)).items():
        if times > 1:
            problems.append(DataError(f"{name!r} stands there {times} times", file=path, remedy="keep one"))
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            problems.append(
                DataError(f"{name!r} leads outside the folder", file=path, remedy="use plain names")
            )
        else:
            names.append(name)
    return tuple(names), problems


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a list, one a line; a name may repeat.

    Raises:
        DataError: if the list cannot be read, is no text, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot be read ({error})", file=path, remedy="a split file is UTF-8 text with a name a line"
        ) from error
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise DataError("the split is empty", file=path, remedy="write the names of its items, one a line")
    return names


def image_path(root: Path, split: str, name: str) -> Path:
    """The image of an item.

    Raises:
        DataError: if there is none, or more than one.
    """
    # The name is joined as text: with_suffix would cut "frame.0001" short.
    candidates = [root / "images" / split / (name + suffix) for suffix in IMAGE_SUFFIXES]
    found = [p for p in candidates if p.is_file()]
    if not found:
        raise DataError(
            f"missing image (nor {', '.join(IMAGE_SUFFIXES[1:])}){_other_case(candidates)}",
            file=candidates[0],
            remedy=f"add it or take {name!r} out of splits/{split}.txt",
        )
    if len(found) > 1:
        raise DataError(f"{found[1].name} is there too", file=found[0], remedy="keep one of the two")
    return found[0]


def mask_path(root: Path, split: str, name: str) -> Path:
    """The mask of an item.

    Raises:
        DataError: if there is none.
    """
    path = root / "annotations" / split / f"{name}.png"
    if not path.is_file():
        raise DataError(
            f"missing mask{_other_case([path])}",
            file=path,
            remedy=f"add it or take {name!r} out of splits/{split}.txt",
        )
    return path


def _other_case(candidates: list[Path]) -> str:
    """Name a file beside the wanted ones that differs from them in the case of its letters only."""
    wanted = {p.name.casefold() for p in candidates}
    place = candidates[0].parent
    try:
        near = next((p.name for p in sorted(place.iterdir()) if p.name.casefold() in wanted), None)
    except OSError:  # the folder itself is missing, or may not be read
        return ""
    return f"; {near} differs in the case of its letters" if near else ""
