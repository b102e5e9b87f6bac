"""What decoding does not notice: checksums inside PNG files, links that lead away, files of 16 bits."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from aucseg.errors import DataError

_PNG = b"\x89PNG\r\n\x1a\n"


def check_bytes(path: Path, kind: str) -> None:
    """Check a PNG file chunk by chunk.

    Decoders skip the checksums of the pixel data, so that a flipped bit can pass as another class.

    Args:
        path: the file; one that is no PNG passes.
        kind: ``"image"`` or ``"mask"``, for the message.

    Raises:
        DataError: if a chunk is damaged or the file ends early.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return  # the decoder reports it
    if not content.startswith(_PNG):
        return
    at = len(_PNG)
    while at < len(content):
        head = content[at : at + 8]
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        body = content[at + 4 : at + 8 + length]
        check = content[at + 8 + length : at + 12 + length]
        if len(check) < 4 or struct.unpack(">I", check)[0] != zlib.crc32(body):
            what = "ends early" if len(check) < 4 else f"has a damaged chunk {name.decode('latin-1')!r}"
            raise DataError(
                f"unreadable {kind} (the PNG {what}, {len(content)} bytes)",
                file=path,
                remedy="fetch or export the file again",
            )
        at += 12 + length
        if name == b"IEND":
            return
    raise DataError(
        f"unreadable {kind} (the PNG has no end, {len(content)} bytes)",
        file=path,
        remedy="fetch or export the file again",
    )


def check_inside(path: Path, root: Path) -> None:
    """Raise `DataError` if a file is a link, or lies behind one, that leads out of the data set's folder.

    Args:
        path: the file.
        root: the folder; it may itself be reached by a link.
    """
    real, home = os.path.realpath(path), os.path.realpath(root)
    if not real.startswith(home + os.sep):
        raise DataError(
            f"a link leads out of the folder, to {real}", file=path, remedy="copy the file into the folder"
        )


def is_wide(path: Path) -> bool:
    """Whether a PNG file has 16 bits a channel, by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(25)
    except OSError:
        return False
    return head.startswith(_PNG) and len(head) == 25 and head[24] == 16
