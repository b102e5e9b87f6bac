"""What identifies the files of a data set: their content, read once and then known by their times."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aucseg import paths
from aucseg.data.files import write_text
from aucseg.data.layouts.base import one_file
from aucseg.data.threads import default_workers
from aucseg.errors import UserError, file_errors

KEPT_FROM = 1_000  # files: fewer are read again sooner than a list of them is worth a file
# A file may change twice within one tick of the clock of its file system, 2 s at most: what was read within
# that time after a change is not known by its times.
_TICK = 3.0

_Stamp = tuple[int, ...]
_KNOWN: dict[str, tuple[_Stamp, str]] = {}


def hash_files(files: Iterable[Path]) -> list[str]:
    """Hex sha256 of the content of each file.

    A file is read once: as long as its size, the times of its content and of its entry, and its place on the
    disk stay what they were, so does its hash. It is kept in this process and, of a data set of a thousand
    files or more, in a file under ``runs/hashes``.

    Raises:
        DataError: for a file that is missing or cannot be read.
    """
    files = list(files)
    kept = _kept(files) if len(files) >= KEPT_FROM else None
    if kept is not None and str(files[0]) not in _KNOWN:
        _KNOWN.update(_read(kept))
    with ThreadPoolExecutor(default_workers()) as pool:
        found = list(pool.map(_hash, files))
    if kept is not None and any(fresh for _, fresh in found):
        with contextlib.suppress(UserError):  # it only saves time
            write_text(kept, json.dumps({str(f): _KNOWN[str(f)] for f in files if str(f) in _KNOWN}))
    return [digest for digest, _ in found]


def hash_items(
    files: Sequence[tuple[Path, Path]], parts: Callable[[Path], Mapping[str, Path]] = one_file
) -> list[tuple[str, str]]:
    """Hashes of image and mask of each item; a drawn mask has one of all its files and of what each says.

    Args:
        files: image and mask of each item.
        parts: the files that a mask is made of, as `Layout.parts` gives them.

    Raises:
        DataError: for a file that is missing or cannot be read.
    """
    masks = [parts(mask) for _, mask in files]
    # Of annotations, one file holds many masks.
    paths = list(
        dict.fromkeys(
            path for (image, _), mask in zip(files, masks, strict=True) for path in (image, *mask.values())
        )
    )
    hashes = dict(zip(paths, hash_files(paths), strict=True))
    found = []
    for (image, place), mask in zip(files, masks, strict=True):
        if list(mask) == [""]:
            found.append((hashes[image], hashes[place]))
        else:
            content = json.dumps([[name, hashes[path]] for name, path in mask.items()])
            found.append((hashes[image], hashlib.sha256(content.encode()).hexdigest()))
    return found


def fingerprint(
    classes: Sequence[str],
    labels: Iterable[int],
    items: Mapping[str, tuple[Sequence[str], Sequence[tuple[Path, Path]]]],
    parts: Callable[[Path], Mapping[str, Path]] = one_file,
    **more: Any,
) -> str:
    """Hex sha256 of the content of some splits; where their folder lies and when it was written is no part.

    Args:
        classes: class names, one for each train id.
        labels: train id of each value of a mask file.
        items: of each split, the names of its items and image and mask of each.
        parts: the files that a mask is made of, as `Layout.parts` gives them.
        more: what else makes other data of the same files, as plain values.

    Raises:
        DataError: for a file that is missing or cannot be read.
    """
    hashes = iter(hash_items([pair for _, files in items.values() for pair in files], parts))
    content = {
        "classes": list(classes),
        "labels": [int(value) for value in labels],
        "splits": {
            split: [[name, *next(hashes)] for name, _ in zip(names, files, strict=True)]
            for split, (names, files) in items.items()
        },
        **more,
    }
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _hash(path: Path) -> tuple[str, bool]:
    """The hash of a file, and whether it had to be read."""
    with file_errors(path, "cannot be read"):
        before = path.stat()
        stamp = (before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino)
        known = _KNOWN.get(str(path))
        if known is not None and known[0] == stamp:
            return known[1], False
        now = time.time()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    if max(before.st_mtime, before.st_ctime) < now - _TICK:
        _KNOWN[str(path)] = (stamp, digest)
    return digest, True


def _kept(files: Sequence[Path]) -> Path:
    place = hashlib.sha256(os.path.commonpath([path.absolute() for path in files]).encode()).hexdigest()
    return paths.runs() / "hashes" / f"{place[:16]}.json"


def _read(file: Path) -> dict[str, tuple[_Stamp, str]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {str(path): (tuple(map(int, stamp)), str(digest)) for path, (stamp, digest) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # none, or not ours: read the files themselves
        return {}
