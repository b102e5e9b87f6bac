"""Download a file so that it can be taken up again."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from aucseg.errors import DataError

Progress = Callable[[int, int | None], None]
_CHUNK = 1 << 18


def fetch(
    url: str,
    target: Path,
    *,
    attempts: int = 4,
    pause: float = 1.0,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` to ``target``, or go on where an earlier call stopped.

    The bytes so far are in ``target.part`` and what the server called them in ``target.part.json``. A
    server that does not honour ranges, or whose file changed, makes it start from the beginning.

    Args:
        url: http or https.
        target: the file to write; it appears when it is complete.
        attempts: tries before giving up; bytes that arrived are kept between them.
        pause: seconds before the second try, doubled for each further one.
        timeout: seconds without a byte that end a try.
        progress: called with the bytes so far and the total, None if the server does not tell it.

    Raises:
        DataError: if the server refuses, or all tries fail.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"cannot download {url!r}", remedy="give an http or https address or a local file")
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    note = target.with_name(target.name + ".part.json")
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _fetch_once(url, part, note, timeout, progress)
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code in (401, 403, 404, 410, 451)
            if refused or attempt == attempts - 1:
                kept = f"; {part.stat().st_size} bytes are kept in {part}" if part.is_file() else ""
                tries = f"{attempt + 1} {'try' if attempt == 0 else 'tries'}"
                raise DataError(
                    f"could not download {url} ({error}; {tries}{kept})",
                    remedy="check the network and run it again: it goes on where it stopped",
                ) from error
        else:
            part.replace(target)
            note.unlink(missing_ok=True)
            return target
    raise ValueError(f"attempts is at least 1, got {attempts}")


def _fetch_once(url: str, part: Path, note: Path, timeout: float, progress: Progress | None) -> None:
    known = _read_note(note)
    have = part.stat().st_size if part.is_file() and known.get("url") == url else 0
    headers = {"User-Agent": "aucseg", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known.get("validator"):
            headers["If-Range"] = known["validator"]
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # nothing after what is here: complete, or another file by now
            if error.headers.get("Content-Range", "") == f"bytes */{have}":
                return
            part.unlink()
        raise
    with response:
        start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        resumed = response.status == 206 and start is not None and int(start[1]) == have
        if response.status == 206 and not resumed:
            part.unlink(missing_ok=True)
            raise ConnectionError("the server sent another range than the one asked for")
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if not resumed:
            etag = response.headers.get("ETag", "")
            # Only a strong validator may stand in If-Range.
            validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
            part.unlink(missing_ok=True)
            note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")
        with part.open("ab") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, total)
    if total is not None and have != total:
        raise ConnectionError(f"the connection closed after {have} of {total} bytes")


def _read_note(note: Path) -> dict[str, str]:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # without a readable note the download starts again
    return content if isinstance(content, dict) else {}
