"""Files that appear complete, and never outside their folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from aucseg.errors import DataError


def publish(out: Path, relative: Path, write: Callable[[Path], object]) -> None:
    """Write a file below ``out`` so that it appears when it is complete.

    Args:
        out: the folder.
        relative: the file's place in it.
        write: writes the path that it is given.

    Raises:
        DataError: if a link leads the place out of the folder.
    """
    path = out / relative
    home = os.path.realpath(out)
    # Looked at before the folders are made: making them would follow the link.
    if not (os.path.realpath(path.parent) + os.sep).startswith(home + os.sep):
        raise DataError("leads out of the folder", file=path, remedy="remove the link")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # may be a link; writing would follow it
    write(part)
    part.replace(path)


def publish_text(out: Path, relative: Path, text: str) -> None:
    """`publish` for a text."""
    publish(out, relative, lambda part: part.write_text(text, encoding="utf-8"))
