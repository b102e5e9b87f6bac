"""The one exception of the data room."""

from __future__ import annotations

from pathlib import Path


class DataError(ValueError):
    """Something is wrong with the data on disk: which file, what, and what to do about it.

    Args:
        what: the defect, with the value that was found.
        file: the file or folder it was found in.
        remedy: what the reader can do.
    """

    def __init__(self, what: str, *, file: str | Path | None = None, remedy: str | None = None) -> None:
        # One string in args: a DataLoader worker hands an exception on by its message alone.
        super().__init__("".join([f"{file}: " if file else "", what, f"; {remedy}" if remedy else ""]))
        self.what = what
        self.file = None if file is None else str(file)
        self.remedy = remedy
