"""Which image goes with which mask: the files of one split, and what is wrong with their names."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aucseg.errors import DataError, file_errors

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


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


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a list, one a line; a name may repeat.

    Raises:
        DataError: if the list cannot be read, is no text, or is empty.
    """
    with file_errors(path, "cannot be read", remedy="a split file is UTF-8 text with a name a line"):
        text = path.read_text(encoding="utf-8-sig")
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise DataError("the split is empty", file=path, remedy="write the names of its items, one a line")
    return names


def find_files(folder: Path, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[DataError]]:
    """Files below a folder whose names end so, and the subfolders that cannot be read.

    Suffixes are compared without regard to case. Linked folders are followed, none twice.

    Args:
        folder: where to look; an absent folder holds nothing.
        suffixes: endings in lower case, for example ``("_labelids.png",)``.

    Returns:
        Paths by their name relative to the folder, with ``/``, in the order of the names; and the problems.
    """
    problems: list[DataError] = []
    found: dict[str, Path] = {}
    seen = set()
    walk = os.walk(folder, onerror=lambda e: problems.append(_unreadable(e, folder)), followlinks=True)
    for place, folders, names in walk:
        real = os.path.realpath(place)
        if real in seen:  # a link back to where we were
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            if name.lower().endswith(tuple(suffixes)) and not name.startswith("."):
                path = Path(place, name)
                found[path.relative_to(folder).as_posix()] = path
    if not folder.is_dir():
        problems.clear()
    return dict(sorted(found.items())), problems


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


def match_keys(images: dict[str, Path], masks: dict[str, Path]) -> Listing:
    """Join images and masks by their keys; what has no partner is a problem.

    A partner whose name differs in the case of its letters is named: it would be found on one machine and
    not on another.

    Args:
        images: paths by key, in the order of the items.
        masks: paths by key.
    """
    listing = Listing([Item(key, path, masks.get(key)) for key, path in images.items()])
    kinds = (("image", images, "mask", masks), ("mask", masks, "image", images))
    for kind, have, other_kind, others in kinds:
        folded = {key.casefold(): path for key, path in others.items()}
        for key, path in have.items():
            if key in others:
                continue
            near = folded.get(key.casefold())
            listing.problems.append(
                DataError(
                    f"{kind} without {other_kind}"
                    + (f": {near.name} differs in the case of its letters" if near else ""),
                    file=path,
                    remedy="give both the same name" if near else f"add the {other_kind} or take it out",
                )
            )
    listing.items += [Item(key, None, path) for key, path in masks.items() if key not in images]
    return listing


def match_names(
    names: Iterable[str], images: dict[str, Path], masks: dict[str, Path], source: Path
) -> Listing:
    """The items that a list names; other files are of no concern.

    Args:
        names: keys of the items, in order.
        images: paths by key.
        masks: paths by key.
        source: the list, for the messages.
    """
    listing = Listing()
    for name, times in Counter(names).items():
        if times > 1:
            listing.problems.append(
                DataError(f"{name!r} stands there {times} times", file=source, remedy="keep one")
            )
        item = Item(name, images.get(name), masks.get(name))
        listing.items.append(item)
        for kind, path, there in (("image", item.image, images), ("mask", item.mask, masks)):
            if path is None:
                near = next((p.name for k, p in there.items() if k.casefold() == name.casefold()), None)
                told = f": {near} differs in the case of its letters" if near else ""
                listing.problems.append(
                    DataError(
                        f"missing {kind} of {name!r}{told}",
                        file=source,
                        remedy=f"add the {kind} or take the name out of the list",
                    )
                )
    return listing


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
