"""Unpack a folder of a zip archive safely."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from aucseg.data.errors import DataError

_MAX_UNPACKED = 64 << 30


def extract_zip_folder(archive: Path, folder: str, into: Path, *, limit: int = _MAX_UNPACKED) -> None:
    """Unpack the files of one folder of a zip archive, and nothing else; as `extract_folder` does for tar.

    ``folder`` is looked for at the top of the archive and one level below it. A name that would lead
    outside, or a link in the folder, refuses the whole archive.

    Args:
        archive: the zip file.
        folder: name of the folder wanted.
        into: where its content goes.
        limit: bytes that it may unpack to.

    Raises:
        DataError: if the archive is damaged, dangerous, too large, or lacks the folder.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as pack:
            members = [(m, _relative(m, folder, archive)) for m in pack.infolist()]
            wanted = [(m, where) for m, where in members if where is not None and not m.is_dir()]
            if sum(m.file_size for m, _ in wanted) > limit:
                raise DataError(
                    f"refused: {folder}/ unpacks to more than {limit} bytes",
                    file=archive,
                    remedy="fetch it again from its publisher",
                )
            for member, where in wanted:
                path = into / where
                path.parent.mkdir(parents=True, exist_ok=True)
                with pack.open(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"cannot unpack ({type(error).__name__}: {error})",
            file=archive,
            remedy="delete it and fetch it again",
        ) from error
    if not wanted:
        raise DataError(f"holds no folder {folder}/", file=archive, remedy="check the address it came from")


def _relative(member: zipfile.ZipInfo, folder: str, archive: Path) -> Path | None:
    """Where a member goes below the wanted folder; None if it is not in it."""
    parts = PurePosixPath(member.filename).parts
    # orig_filename is what the archive says; ZipFile turns backslashes into slashes on Windows only.
    if member.filename.startswith("/") or ".." in parts or "\\" in member.orig_filename:
        raise DataError(
            f"refused: the archive holds {member.filename!r}, which leads outside its folder",
            file=archive,
            remedy="fetch it again from its publisher",
        )
    if folder not in parts[:2]:
        return None
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(
            f"refused: {member.filename!r} is a link",
            file=archive,
            remedy="fetch it again from its publisher",
        )
    return Path(*parts[parts.index(folder) + 1 :])
