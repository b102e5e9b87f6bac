"""Unpack one folder of an archive safely."""

from __future__ import annotations

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from aucseg.data.get.fetch import MAX_BYTES
from aucseg.errors import DataError

_AGAIN = "fetch it again from its publisher"


def extract_folder(archive: Path, folder: str, into: Path, *, limit: int = MAX_BYTES) -> None:
    """Unpack the regular files of one folder of a tar or zip archive, and nothing else.

    ``folder`` is looked for at the top of the archive and one level below it. A name that would lead
    outside, or a link or device in the folder, refuses the whole archive.

    Args:
        archive: zip by its ending, else tar, plain or compressed.
        folder: name of the folder wanted.
        into: where its content goes.
        limit: bytes that it may unpack to.

    Raises:
        DataError: if the archive is damaged, dangerous, too large, or lacks the folder.
    """
    into.mkdir(parents=True, exist_ok=True)
    extract = _extract_zip if archive.suffix.lower() == ".zip" else _extract_tar
    try:
        found = extract(archive, folder, into, limit)
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise DataError(
            f"cannot unpack ({type(error).__name__}: {error})",
            file=archive,
            remedy="delete it and fetch it again",
        ) from error
    if not found:
        raise DataError(f"holds no folder {folder}/", file=archive, remedy="check the address it came from")


def _extract_tar(archive: Path, folder: str, into: Path, limit: int) -> int:
    """Unpack from a tar archive as it is read, since looking through it twice would take twice as long."""
    found = unpacked = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            where = _inside(member.name, member.name, folder, archive)
            if where is None or member.isdir():
                continue
            if not member.isreg():
                raise DataError(
                    f"refused: {member.name!r} is a link or a device", file=archive, remedy=_AGAIN
                )
            found, unpacked = found + 1, unpacked + member.size
            _check_limit(unpacked, limit, folder, archive)
            member.name = where.as_posix()
            tar.extract(member, into, filter="data")
    return found


def _extract_zip(archive: Path, folder: str, into: Path, limit: int) -> int:
    with zipfile.ZipFile(archive) as pack:
        # orig_filename is what the archive says; ZipFile turns backslashes into slashes on Windows only
        placed = [(m, _inside(m.filename, m.orig_filename, folder, archive)) for m in pack.infolist()]
        wanted = [(m, where) for m, where in placed if where is not None and not m.is_dir()]
        for member, _ in wanted:
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"refused: {member.filename!r} is a link", file=archive, remedy=_AGAIN)
        _check_limit(sum(m.file_size for m, _ in wanted), limit, folder, archive)
        for member, where in wanted:
            path = into / where
            path.parent.mkdir(parents=True, exist_ok=True)
            with pack.open(member) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    return len(wanted)


def _inside(name: str, written: str, folder: str, archive: Path) -> PurePosixPath | None:
    """Where a member goes below the wanted folder; None if it is not in it.

    Args:
        name: its name.
        written: the same as the archive writes it.
        folder: the folder wanted.
        archive: the archive, for the message.

    Raises:
        DataError: if the name leads out of the archive's folder.
    """
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in written:
        raise DataError(
            f"refused: the archive holds {name!r}, which leads outside its folder",
            file=archive,
            remedy=_AGAIN,
        )
    return PurePosixPath(*parts[parts.index(folder) + 1 :]) if folder in parts[:2] else None


def _check_limit(size: int, limit: int, folder: str, archive: Path) -> None:
    if size > limit:
        raise DataError(f"refused: {folder}/ unpacks to more than {limit} bytes", file=archive, remedy=_AGAIN)
