"""What may go wrong by a user's input, and how it is told: what, where, and what to do about it."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Something that whoever runs the package can mend: the command line prints it as one line.

    Every error that is meant for a user derives from this class; any other exception is a bug, and keeps its
    traceback. The message reads ``FILE: WHAT; REMEDY``; a user's name and password in an address are left
    out, because messages end up in logs.

    Args:
        what: the defect, with the value that was found.
        file: the file or folder it was found in.
        remedy: what the reader can do.

    Attributes:
        what, file, remedy: the parts of the message; ``file`` as text, both others ``None`` if not given.
    """

    def __init__(self, what: str, *, file: str | Path | None = None, remedy: str | None = None) -> None:
        self.what = without_password(what)
        self.file = None if file is None else without_password(str(file))
        self.remedy = None if remedy is None else without_password(remedy)
        parts = [f"{self.file}: " if self.file else "", self.what, f"; {self.remedy}" if self.remedy else ""]
        # One string in args: a DataLoader worker hands an exception on by its message alone.
        super().__init__("".join(parts))


def without_password(text: str) -> str:
    """A text with ``***`` for what stands before the host of an address: a user's name and password.

    Args:
        text: any, with addresses in it.

    Returns:
        ``"https://***@host/data"`` of ``"https://anna:s3cret@host/data"``.
    """
    # Up to the last @ of the host's part: passwords may hold one themselves. A Path has one slash of the two;
    # a single letter before it is a drive.
    return re.sub(r"(://|\b[A-Za-z][A-Za-z0-9+.-]+:/)[^/\s]*@", r"\1***@", text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a question, or all known names if none is near.

    Args:
        name: what was given.
        known: what could have been given.

    Returns:
        ``"did you mean 'unet'?"`` or ``"known: fpn, unet"``.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def how_many(number: int, thing: str, things: str | None = None) -> str:
    """A number and what it counts, in the singular where it is one.

    Args:
        number: how many.
        thing: what one of them is called.
        things: what several are called; ``thing`` with an s if not given.

    Example:
        >>> how_many(1, "class", "classes"), how_many(1200, "image")
        ('1 class', '1200 images')
    """
    return f"{number} {thing if number == 1 else things or thing + 's'}"


class DataError(UserError, ValueError):
    """Something is wrong with the data on disk: which file, what, and what to do about it."""


class OptionError(UserError, ValueError):
    """A choice that cannot be had: an unknown name, a value out of range, options that exclude others."""


class MissingFileError(UserError, FileNotFoundError):
    """A file that was named is not there."""


class MissingExtraError(UserError, ImportError):
    """A part of the package was asked for, and what that part needs is not installed."""


class HubError(UserError, ConnectionError):
    """A hub on the network has something that cannot be fetched now."""


@contextmanager
def file_errors(
    file: str | Path,
    doing: str,
    *,
    remedy: str = "check the path, its permissions and the space on the disk",
    kind: type[UserError] = DataError,
) -> Iterator[None]:
    """Tell what the operating system refuses, or a text that is none, as an error for the user.

    Args:
        file: the file or folder at hand; the one that the system names goes before it.
        doing: what was tried, as in ``"cannot be read"``.
        remedy: what the reader can do.
        kind: class of the error.

    Raises:
        UserError: of that kind, for an :class:`OSError` or a :class:`UnicodeDecodeError` inside the block.

    Example:
        >>> with file_errors("masks/7.png", "cannot be read", remedy="unpack it again"):
        ...     raise PermissionError(13, "Permission denied")
        Traceback (most recent call last):
        ...
        aucseg.errors.DataError: masks/7.png: cannot be read (Permission denied); unpack it again
    """
    try:
        yield
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise kind(f"{doing} ({error.reason})", file=file, remedy="write it as UTF-8 text") from error
    except OSError as error:
        raise kind(
            f"{doing} ({error.strerror or error})", file=error.filename or file, remedy=remedy
        ) from error


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say which extra of the package brings what cannot be imported.

    Args:
        name: the extra, as in ``pip install "aucseg[train]"``.

    Raises:
        MissingExtraError: for a package that is not there; a missing module of our own or of Python is a bug.

    Example:
        >>> with extra("train"):
        ...     import no_such_package
        Traceback (most recent call last):
        ...
        aucseg.errors.MissingExtraError: no_such_package is not installed; run: pip install "aucseg[train]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "aucseg") or package in sys.stdlib_module_names:
            raise
        remedy = f'run: pip install "aucseg[{name}]"'
        raise MissingExtraError(f"{package} is not installed", remedy=remedy) from error
