"""Which image goes with which mask: the files of one split, and what is wrong with their names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from aucseg.data.files import MOST_TABLE, read_text
from aucseg.errors import DataError, file_errors

K = TypeVar("K")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
# What a name in a list may end in without being part of the item's name.
PICTURE_SUFFIXES = (*IMAGE_SUFFIXES, ".bmp", ".tif", ".tiff", ".webp", ".gif")
_ENDINGS = (*PICTURE_SUFFIXES, ".mat", ".npy")
# Of Windows, macOS, and the network drives of Synology and QNAP; all else of the kind begins with a dot.
_CLUTTER = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)


def is_clutter(name: str) -> bool:
    """Whether a file or folder so called was left by a program and belongs to no data set.

    That is whatever begins with a dot (``._a.jpg`` and ``.DS_Store`` of macOS, ``.ipynb_checkpoints`` of
    Jupyter, ``.thumbnails``), and what Windows and network drives put into every folder. Every listing
    passes it over.

    Args:
        name: the last part of its path.

    Example:
        >>> [is_clutter(name) for name in ("Thumbs.db", ".ipynb_checkpoints", "a.jpg")]
        [True, True, False]
    """
    return name.startswith(".") or name.casefold() in _CLUTTER


@dataclass(frozen=True)
class Item:
    """The two files of an item; ``None`` for one that is missing, of which the listing says why.

    Args:
        name: name of the item, unique in its split.
        image: the image.
        mask: its mask.
    """

    name: str
    image: Path | None
    mask: Path | None


@dataclass
class Listing:
    """The items of a split in their order, and the defects of the listing itself.

    Args:
        items: the items of the split; an incomplete one has its defect among the problems.
        problems: what makes the split unusable as it is.
        warnings: what is worth knowing and stops nothing.
    """

    items: list[Item] = field(default_factory=list)
    problems: list[DataError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def files(self) -> list[tuple[Path, Path]]:
        """Image and mask of every item.

        Raises:
            DataError: if there is a problem; it names the first one and counts the others.
        """
        if self.problems:
            first, more = self.problems[0], len(self.problems) - 1
            told = f" (and {more} more problems: `aucseg data verify` lists all)" if more else ""
            raise DataError(first.what + told, file=first.file, remedy=first.remedy)
        return [(p.image, p.mask) for p in self.items if p.image is not None and p.mask is not None]


# Bytes; the longest path that Linux takes has 4,096, which UTF-16 doubles.
_LONGEST_LINE = 2**16


def check_lines(path: Path, remedy: str = "write the names of its items, one a line") -> None:
    """Refuse a list whose lines cannot be names, before all of it is in memory.

    Args:
        path: the list; one that is missing is let pass, reading it tells.
        remedy: what the reader can do.

    Raises:
        DataError: with the number of the line.
    """
    if not path.is_file():
        return  # which reading it tells
    with file_errors(path, "cannot be read"), path.open("rb") as file:
        number = 1
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE and not line.endswith(b"\n") and b"\r" not in line:
                raise DataError(
                    f"line {number} is longer than {_LONGEST_LINE:,} bytes, which no name is",
                    file=path,
                    remedy=remedy,
                )
            number += 1


def read_names(path: Path) -> tuple[str, ...]:
    """The lines of a list, one for each item, as they stand there; one may repeat.

    Raises:
        DataError: if the list cannot be read, is no text, is empty, or has a line longer than any path.
    """
    check_lines(path)
    text = read_text(path, remedy="a split file is UTF-8 text with a name a line", limit=MOST_TABLE)
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise DataError("the split is empty", file=path, remedy="write the names of its items, one a line")
    return names


def list_stems(folder: Path) -> tuple[str, ...]:
    """Names of the lists in a folder, ``<name>.txt``, without their ending.

    Args:
        folder: where to look; an absent folder holds none.
    """
    return tuple(sorted(p.stem for p in folder.glob("*.txt") if not is_clutter(p.name)))


def find_files(folder: Path, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[DataError]]:
    """Files below a folder whose names end so, and the subfolders that cannot be read.

    Suffixes are compared without regard to case. Linked folders are followed, unless they lead back to where
    the walk came from. What programs leave behind (:func:`is_clutter`) is passed over.

    Args:
        folder: where to look; an absent folder holds nothing.
        suffixes: endings in lower case, for example ``("_labelids.png",)``.

    Returns:
        Paths by their name relative to the folder, with ``/``, in the order of the names; and the problems.
    """
    start, endings = str(folder), tuple(suffixes)
    walks = _WALKS.get() or _Walks()
    if start not in walks.folders:
        problems: list[DataError] = []
        below = len(start.rstrip(os.sep)) + 1
        there = _walk(start, (), problems) if folder.is_dir() else ()
        # By their texts: a `Path` is taken to pieces in the time in which a small mask is half decoded.
        names = sorted(((path[below:].replace(os.sep, "/"), path) for path in there), key=itemgetter(0))
        walks.folders[start] = {name: walks.path(path) for name, path in names}, problems
    found, problems = walks.folders[start]
    if "" in endings:
        return dict(found), list(problems)
    return {name: path for name, path in found.items() if name.lower().endswith(endings)}, list(problems)


@contextmanager
def walk_once() -> Iterator[None]:
    """Walk through no folder twice inside the block, in which nothing is added to one."""
    token = _WALKS.set(_WALKS.get() or _Walks())
    try:
        yield
    finally:
        _WALKS.reset(token)


def once(key: Hashable, find: Callable[[], dict[K, Path]]) -> dict[K, Path]:
    """What is found among the files of folders; inside of :func:`walk_once` it is looked for once.

    Args:
        key: what is looked for, and where.
        find: looks for it.
    """
    walks = _WALKS.get()
    if walks is None:
        return find()
    if key not in walks.kept:
        walks.kept[key] = find()
    return dict(walks.kept[key])


class _Walks:
    """What is in the folders that were walked through, and what was found among it."""

    def __init__(self) -> None:
        self.folders: dict[str, tuple[dict[str, Path], list[DataError]]] = {}
        self.kept: dict[Hashable, dict[Any, Path]] = {}
        self._paths: dict[str, Path] = {}

    def path(self, text: str) -> Path:
        """The path of a file; of folders within one another, one for both."""
        if text not in self._paths:
            self._paths[text] = Path(text)
        return self._paths[text]


_WALKS: ContextVar[_Walks | None] = ContextVar("walks", default=None)


def _walk(place: str, above: tuple[str, ...], problems: list[DataError]) -> Iterator[str]:
    """The files below a place.

    Args:
        place: a folder.
        above: the real paths of the folders on the way to it.
        problems: takes the folders that cannot be read.
    """
    real = os.path.normcase(os.path.realpath(place))
    if any(_holds(real, each) for each in above):  # a link back to a folder that we are in
        return
    try:
        with os.scandir(place) as entries:
            there = [(each.name, each.is_dir(), each.path) for each in entries if not is_clutter(each.name)]
    except OSError as error:
        problems.append(_unreadable(error, Path(place)))
        return
    for _, is_folder, path in sorted(there):
        if is_folder:
            yield from _walk(path, (*above, real), problems)
        else:
            yield path


def _holds(folder: str, path: str) -> bool:
    """Whether a folder is a path, or one of the folders above it; both are real paths."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def by_stem(
    folder: Path, suffixes: Sequence[str], *, without: Sequence[str] = ()
) -> tuple[dict[str, Path], list[DataError]]:
    """Files below a folder by their name without its ending; two of one name are a problem.

    Args:
        folder: where to look.
        suffixes: endings in lower case; the first that fits is cut off.
        without: endings of files to leave out.
    """
    there, problems = find_files(folder, suffixes)
    found: dict[str, Path] = {}
    for name, path in there.items():
        if without and name.lower().endswith(tuple(without)):
            continue
        ending = next(s for s in suffixes if name.lower().endswith(s))
        stem = name[: -len(ending)]
        if stem in found:
            problems.append(
                DataError(f"{path.name} is there too", file=found[stem], remedy="keep one of the two")
            )
            continue
        found[stem] = path
    return found, problems + _same_but_for_case(found.values(), folder)


def match_folders(
    images: tuple[Path, Sequence[str]],
    masks: tuple[Path, Sequence[str]],
    *,
    without: Sequence[str] = (),
) -> Listing:
    """Join the files of two folders by their names without endings; see :func:`by_stem`, :func:`match_keys`.

    Args:
        images: a folder, and endings in lower case.
        masks: a folder, and endings in lower case.
        without: endings of masks to leave out.
    """
    pictures, problems = by_stem(*images)
    labels, more = by_stem(*masks, without=without)
    listing = match_keys(pictures, labels)
    listing.problems[:0] = problems + more
    return listing


def match_keys(images: dict[str, Path], masks: dict[str, Path]) -> Listing:
    """Join images and masks by their keys; what has no partner is a problem.

    A partner whose name differs in the case of its letters is named: it would be found on one machine and
    not on another.

    Args:
        images: paths by key, in the order of the items.
        masks: paths by key.
    """
    mask_keys = {_composed(key): key for key in masks}
    partners = {key: mask_keys.pop(_composed(key), None) for key in images}
    listing = Listing(
        [
            Item(key, path, masks[m] if (m := partners[key]) is not None else None)
            for key, path in images.items()
        ]
    )
    alone = {key: images[key] for key, partner in partners.items() if partner is None}
    spare = {key: masks[key] for key in mask_keys.values()}
    for kind, have, other_kind, others in (("image", alone, "mask", masks), ("mask", spare, "image", images)):
        folded = {key.casefold(): path for key, path in others.items()}
        for key, path in have.items():
            near = folded.get(key.casefold())
            listing.problems.append(
                DataError(
                    f"{kind} without {other_kind}"
                    + (f": {near.name} differs in the case of its letters" if near else ""),
                    file=path,
                    remedy="give both the same name" if near else f"add the {other_kind} or take it out",
                )
            )
    listing.items += [Item(key, None, path) for key, path in spare.items()]
    return listing


def match_names(
    lines: Iterable[str], images: dict[str, Path], masks: dict[str, Path], source: Path, root: Path
) -> Listing:
    """The items that a list names; other files are of no concern.

    Args:
        lines: the lines of the list, see :func:`listed_items`.
        images: paths by key.
        masks: paths by key.
        source: the list, for the messages.
        root: the folder of the data set.
    """
    items, problems = listed_items(lines, images, masks, source, root)
    listing = Listing(items, problems)
    for item in items:
        for kind, path, there in (("image", item.image, images), ("mask", item.mask, masks)):
            if path is None:
                near = next((p.name for k, p in there.items() if k.casefold() == item.name.casefold()), None)
                told = f": {near} differs in the case of its letters" if near else ""
                listing.problems.append(
                    DataError(
                        f"missing {kind} of {item.name!r}{told}",
                        file=source,
                        remedy=f"add the {kind} or take the name out of the list",
                    )
                )
    return listing


def listed_items(
    lines: Iterable[str], images: Mapping[str, Path], masks: Mapping[str, Path], source: Path, root: Path
) -> tuple[list[Item], list[DataError]]:
    r"""The items that the lines of a list mean, in their order, each once; and what is wrong with others.

    A line is the name of an item, or what other programs write in its place, as long as only one file is
    meant: the name with its ending; the path of the image, relative to the folder or to any folder above it,
    also of another machine; image and mask, separated by a blank, tab, comma or semicolon; with ``\`` for
    ``/``; and with accents composed otherwise than in the names of the files.

    Args:
        lines: the lines.
        images: the files that may be meant, by the key of their item.
        masks: the same of masks.
        source: the list, for the messages.
        root: the folder of the data set.

    Returns:
        The items, with None for a file that is not there; and a problem for each line that repeats or leads
        out of the folder.
    """
    sides = _Files(images, root), _Files(masks, root)
    items: list[Item] = []
    problems: list[DataError] = []
    times: Counter[str] = Counter()
    for line in lines:
        found = _item_of(line, *sides)
        if found is None:
            if (wrong := _no_item(line, *sides)) is not None:
                problems.append(DataError(wrong, file=source, remedy="use plain names, one a line"))
                continue
            found = Item(line, None, None)
        times[found.name] += 1
        if times[found.name] == 1:
            items.append(found)
    problems += [
        DataError(f"{name!r} stands there {number} times", file=source, remedy="keep one")
        for name, number in times.items()
        if number > 1
    ]
    return items, problems


def _item_of(line: str, images: _Files, masks: _Files) -> Item | None:
    """The item that a line means; None if it names neither an image nor a mask."""
    key = images.key(line) or masks.key(line)
    if key is not None:
        return Item(key, images.paths.get(images.same(key)), masks.paths.get(masks.same(key)))
    for image, mask in _pairs(line):  # names may hold blanks: both sides must be files
        first, second = images.key(image), masks.key(mask)
        if first is not None and second is not None:
            return Item(first, images.paths[first], masks.paths[second])
    return None


def _no_item(line: str, images: _Files, masks: _Files) -> str | None:
    """What is wrong with a line that can be no name; None if the item may just be missing."""
    for image, mask in _pairs(line):
        if images.key(image) is not None and _without_ending(mask) != mask:
            return f"there is no mask {mask!r} here, with which it pairs {image!r}"
        if masks.key(mask) is not None and _without_ending(image) != image:
            return f"there is no image {image!r} here, with which it pairs {mask!r}"
    path = PurePosixPath(line.replace("\\", "/"))
    return f"{line!r} leads outside the folder" if path.is_absolute() or ".." in path.parts else None


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """The ways to read a line as image and mask."""
    for gap in re.finditer(r"[\s,;]+", line):
        yield line[: gap.start()], line[gap.end() :]


class _Files:
    """One side of a listing, by whatever a list may call its files.

    Args:
        paths: the files by the key of their item.
        root: the folder of the data set.
    """

    def __init__(self, paths: Mapping[str, Path], root: Path) -> None:
        self.paths = paths
        self._root = root

    @cached_property  # of lists of plain names nobody asks for it
    def _keys(self) -> dict[str, str]:
        return {_composed(key): key for key in self.paths}

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = defaultdict(list)
        for key, path in self.paths.items():
            for name in dict.fromkeys((path.name, _without_ending(path.name))):
                named[_composed(name)].append(key)
        return named

    def same(self, key: str) -> str:
        """The key of this side that differs from one of the other by nothing but how its accents are kept."""
        return key if key in self.paths else self._keys.get(_composed(key), key)

    def key(self, text: str) -> str | None:
        """The key of the one file that a text means; None if it means none."""
        if text in self.paths:
            return text
        name = re.sub(r"/+", "/", _composed(text.strip("\"'")).replace("\\", "/")).removeprefix("./")
        for wanted in (name, _without_ending(name)):
            if wanted in self._keys:
                return self._keys[wanted]
        *folders, last = name.split("/")
        fitting = [key for key in self._named.get(last, ()) if self._leads_to(folders, key)]
        return fitting[0] if len(fitting) == 1 else None

    def _leads_to(self, folders: Sequence[str], key: str) -> bool:
        """Whether some folders are those of a file, as far as they tell it from all others.

        They do with all that its key has, if nothing else is there; and with all that lies below the root,
        whatever folders of another machine come first.
        """
        above = [_composed(part) for part in self.paths[key].parts[:-1]]
        common = 0
        for ours, theirs in zip(reversed(above), reversed(folders), strict=False):
            if ours != theirs:
                break
            common += 1
        below = len(above) - len(self._root.parts)
        rest = [folder for folder in folders[: len(folders) - common] if folder]
        return common >= key.count("/") and (not rest or common >= below > 0)


def _without_ending(name: str) -> str:
    """A name without the ending of a picture."""
    return name[: -len(ending)] if (ending := next(filter(name.lower().endswith, _ENDINGS), "")) else name


def _composed(text: str) -> str:
    """A text with its accents in one letter: macOS keeps names of files decomposed."""
    return unicodedata.normalize("NFC", text)


def _same_but_for_case(paths: Iterable[Path], folder: Path) -> list[DataError]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.relative_to(folder).as_posix().casefold()].append(path)
    return [
        DataError(
            f"{group[1].name} differs from it in the case of its letters only",
            file=group[0],
            remedy="rename one: some file systems hold only one of the two",
        )
        for group in groups.values()
        if len(group) > 1
    ]


def _unreadable(error: OSError, place: Path) -> DataError:
    """A file or folder that the system does not let us read, as a `DataError`."""
    return DataError(
        f"cannot be read ({error.strerror or type(error).__name__})",
        file=error.filename or place,
        remedy="check that it exists and its permissions",
    )
