"""Fetch an archive, going on where an earlier call stopped, and put what it holds into its place."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from aucseg.errors import DataError, OptionError, file_errors

Progress = Callable[[int, int | None], None]
MAX_BYTES = 64 << 30
"""Bytes that an archive may have, or unpack to, where nothing smaller is said."""

_CHUNK = 1 << 18
_FINAL = (401, 403, 404, 410, 451)


def fetch(
    url: str,
    target: Path,
    *,
    attempts: int = 4,
    pause: float = 1.0,
    timeout: float = 30.0,
    limit: int = MAX_BYTES,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` to ``target`` by `pooch`, or go on where an earlier call stopped.

    The bytes so far are in ``target.part`` and what the server called them in ``target.part.json``. A
    server that does not honour ranges, or whose file changed, makes it start from the beginning.

    Args:
        url: http or https.
        target: the file to write; it appears when it is complete.
        attempts: tries before giving up; bytes that arrived are kept between them.
        pause: seconds before the second try, doubled for each further one.
        timeout: seconds without a byte that end a try.
        limit: bytes that the file may have.
        progress: called with the bytes so far and the total, None if the server does not tell it.

    Raises:
        DataError: if the server refuses, the file is larger than the limit, or all tries fail.
        OptionError: if ``attempts`` is less than 1.
    """
    if attempts < 1:
        raise OptionError(f"attempts is at least 1, got {attempts}")
    if not url.startswith(("http://", "https://")):
        raise DataError(f"cannot download {url!r}", remedy="give an http or https address or a local file")
    if target.is_file():
        return target
    with file_errors(target, "cannot be written"):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target, url, limit, progress)
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            part.go_on(timeout)
        except OSError as error:  # those of requests are such
            code = getattr(getattr(error, "response", None), "status_code", None)
            if code in _FINAL or attempt == attempts - 1:
                kept = f"; {part.size()} bytes are kept in {part.path}" if part.path.is_file() else ""
                tries = f"{attempt + 1} {'try' if attempt == 0 else 'tries'}"
                told = error if code is None else f"HTTP Error {code}"
                raise DataError(
                    f"could not download {url} ({told}; {tries}{kept})",
                    remedy="check the network and run it again: it goes on where it stopped",
                ) from error
        else:
            break
    part.path.replace(target)
    part.note.unlink(missing_ok=True)
    return target


class _Part:
    """What has arrived of a file, for pooch a file to write to; the server is asked for the rest alone."""

    def __init__(self, target: Path, url: str, limit: int, progress: Progress | None) -> None:
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        self.url, self.limit, self.progress = url, limit, progress
        self.have = 0
        self.total: int | None = None
        self.complete = False
        self.file: IO[bytes] | None = None
        self.response: Any = None

    def size(self) -> int:
        """Bytes that are kept."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def go_on(self, timeout: float) -> None:
        """One try to get what is missing; raises `OSError` if it is not all there afterwards."""
        from pooch import HTTPDownloader  # with requests, which those who fetch nothing need not import

        known = self._read_note()
        self.have = self.size() if known.get("url") == self.url else 0
        headers = {"User-Agent": "aucseg", "Accept-Encoding": "identity"}
        if self.have:
            headers["Range"] = f"bytes={self.have}-"
            if known.get("validator"):
                headers["If-Range"] = known["validator"]
        download = HTTPDownloader(
            headers=headers, timeout=timeout, chunk_size=_CHUNK, hooks={"response": self.begin}
        )
        try:
            download(self.url, self, None)
        except OSError:
            if not self.complete:
                raise
        finally:
            if self.file is not None:
                self.file.close()
                self.file = None
            if self.response is not None:
                self.response.close()
        if self.total is not None and self.have != self.total and not self.complete:
            raise ConnectionError(f"the connection closed after {self.have} of {self.total} bytes")

    def begin(self, response: Any, **_: object) -> None:
        """Look at the server's answer before its content comes: whether it goes on where we stopped."""
        self.response = response
        span = response.headers.get("Content-Range", "")
        if response.status_code == 416 and self.have:  # nothing after what is here
            self.complete = span == f"bytes */{self.have}"
            if not self.complete:  # another file by now
                self.path.unlink()
            return
        if response.status_code not in (200, 206):
            return
        start = re.match(r"bytes (\d+)-", span)
        resumed = response.status_code == 206 and start is not None and int(start[1]) == self.have
        if response.status_code == 206 and not resumed:
            self.path.unlink(missing_ok=True)
            raise ConnectionError("the server sent another range than the one asked for")
        # What came of a connection that breaks is kept: we look at the length ourselves.
        response.raw.enforce_content_length = False
        self.have = self.have if resumed else 0
        length = response.headers.get("Content-Length")
        self.total = self.have + int(length) if length else None
        self._check_limit(self.total or 0)
        with file_errors(self.path, "cannot be written"):
            if not resumed:
                etag = response.headers.get("ETag", "")
                # Only a strong validator may stand in If-Range.
                validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
                self.path.unlink(missing_ok=True)
                self.note.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")
            self.file = self.path.open("ab")

    def write(self, chunk: bytes) -> None:
        """Take some bytes; what pooch calls."""
        assert self.file is not None
        self.have += len(chunk)
        self._check_limit(self.have)
        with file_errors(self.path, "cannot be written"):
            self.file.write(chunk)
        if self.progress is not None:
            self.progress(self.have, self.total)

    def flush(self) -> None:
        """Nothing: closing does it. What pooch calls."""

    def _check_limit(self, size: int) -> None:
        if size > self.limit:
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)
            raise DataError(
                f"refused: {self.url} has more than {self.limit} bytes", remedy="check the address"
            )

    def _read_note(self) -> dict[str, str]:
        try:
            content = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # without a readable note the download starts again
        return content if isinstance(content, dict) else {}


def install(
    address: str,
    file_name: str,
    target: Path,
    make: Callable[[Path, Path], Path],
    *,
    by_hand: str,
    limit: int = MAX_BYTES,
    progress: Progress | None = None,
) -> None:
    """Make a folder of an archive: complete, or not at all.

    An interrupted download goes on where it stopped, from ``downloads`` beside the folder. An archive that
    was fetched is deleted once it is unpacked, or found to be a wrong one; a local one stays.

    Args:
        address: the archive: http, https, ``file:`` or a path.
        file_name: what a fetched archive is called in the meantime.
        target: folder to make; an empty one may be there.
        make: makes the folder below its second argument from the archive, its first, and returns where.
        by_hand: how to do without a network, for the error message.
        limit: bytes that a fetched archive may have.
        progress: called with the bytes so far and the total, None if the server does not tell it.

    Raises:
        DataError: without a network, or for an archive that ``make`` refuses.
    """
    downloads = target.parent / "downloads"
    local = local_path(address)
    if local is not None and not local.is_file():
        raise DataError("no such archive", file=local, remedy="give the path of the downloaded archive")
    try:
        archive = local or fetch(address, downloads / file_name, limit=limit, progress=progress)
    except DataError as error:
        _remove_if_empty(downloads)
        raise DataError(error.what, file=error.file, remedy=f"{error.remedy}\n{by_hand}") from error
    downloads.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=downloads))
    try:
        made = make(archive, work)
        if target.exists():  # an empty folder
            target.rmdir()
        made.replace(target)
    except DataError as error:
        # A bad archive would only be in the way of the next try; what the system refuses is not its fault.
        if local is None and getattr(error.__cause__, "errno", None) is None:
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
