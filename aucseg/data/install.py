"""Fetch an archive and put what it holds into its place: complete, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from aucseg.data.fetch import Progress, fetch
from aucseg.errors import DataError

Make = Callable[[Path, Path], Path]


def install(
    address: str,
    file_name: str,
    target: Path,
    make: Make,
    *,
    by_hand: str,
    progress: Progress | None = None,
) -> None:
    """Make a folder of an archive.

    An interrupted download goes on where it stopped, from ``downloads`` beside the folder. An archive that
    was fetched is deleted once it is unpacked, or found to be a wrong one; a local one stays.

    Args:
        address: the archive: http, https, ``file:`` or a path.
        file_name: what a fetched archive is called in the meantime.
        target: folder to make; an empty one may be there.
        make: makes the folder below its second argument from the archive, its first, and returns where.
        by_hand: how to do without a network, for the error message.
        progress: called with the bytes so far and the total, None if the server does not tell it.

    Raises:
        DataError: without a network, or for an archive that ``make`` refuses.
    """
    downloads = target.parent / "downloads"
    local = local_path(address)
    if local is not None and not local.is_file():
        raise DataError("no such archive", file=local, remedy="give the path of the downloaded archive")
    try:
        archive = local or fetch(address, downloads / file_name, progress=progress)
    except DataError as error:
        _remove_if_empty(downloads)
        raise DataError(error.what, remedy=f"{error.remedy}\n{by_hand}") from error
    downloads.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=downloads))
    try:
        made = make(archive, work)
        if target.exists():  # an empty folder
            target.rmdir()
        made.replace(target)
    except DataError:
        if local is None:  # a bad archive would only be in the way of the next try
            archive.unlink(missing_ok=True)
        raise
    else:
        if local is None:
            archive.unlink(missing_ok=True)
    finally:
        # A full disk or Ctrl-C keeps the archive: the next call goes on from there.
        shutil.rmtree(work, ignore_errors=True)
        _remove_if_empty(downloads)


def in_the_way(target: Path) -> bool:
    """Whether something is where a folder is to be made; an empty folder is not."""
    return target.exists() and (not target.is_dir() or any(target.iterdir()))


def local_path(address: str) -> Path | None:
    """The path behind a ``file:`` URL or a plain path; None for http and https."""
    parsed = urlparse(address)
    if parsed.scheme in ("http", "https"):
        return None
    if parsed.scheme == "file":
        return Path(url2pathname(parsed.path))
    if "://" in address:
        raise DataError(f"cannot read from {address!r}", remedy="use http, https, file or a path")
    return Path(address)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
