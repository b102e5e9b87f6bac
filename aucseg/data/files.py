"""Files that appear complete, and tables of comma-separated values: the one writer and the one reader."""

from __future__ import annotations

import codecs
import csv
import errno
import io
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from aucseg.errors import DataError, OptionError, UserError, file_errors

N = TypeVar("N", int, float)
_SEPARATORS = (",", ";", "\t")

MOST_TEXT = 2**24
"""Bytes of a table or another small text of a user: 16 MiB are a hundred thousand rows."""
MOST_TABLE = 2**30
"""Bytes of a table with a row for each image, or of a list of names: a million images of 171 classes."""


def path_part(name: str, what: str) -> str:
    """A name of the user's that becomes a folder or a file: the one place where such a name is checked.

    Args:
        name: the name.
        what: what it is the name of, for the message.

    Returns:
        ``name``.

    Raises:
        OptionError: for a name that leads elsewhere (``..``, ``/``, ``C:``), or that some file system cannot
            hold.

    Example:
        >>> path_part("../x", "profile")
        Traceback (most recent call last):
        ...
        aucseg.errors.OptionError: profile '../x' cannot be the name of a file; use letters, digits, - and _
    """
    if (
        not name.strip(" .")
        or name.strip(" .") != name  # "..", hidden files, blanks that nobody sees
        or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name)
        or len(name.encode()) > _LONGEST_NAME
    ):
        found = repr(name if len(name) < 80 else name[:80] + "...")
        raise OptionError(
            f"{what} {found} cannot be the name of a file", remedy="use letters, digits, - and _"
        )
    return name


_LONGEST_NAME = 200  # bytes: file systems hold 255, and an ending comes to it


def probe_folder(folder: str | Path, size: int = 0) -> None:
    """See that a folder can be written to, before hours are spent on what shall go there.

    A file of that size is made in it and taken away again. Folders on the way are made.

    Args:
        folder: the folder.
        size: bytes that will be needed.

    Raises:
        DataError: if the system refuses: a place that is read-only or no folder, a full disk, a quota.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(
            "cannot be written to (File exists)", file=folder, remedy="it is a file: name a folder"
        )
    probe = folder / f"probe.{secrets.token_hex(4)}.part"
    with file_errors(folder, "cannot be written to"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(b"\0")
                if size and hasattr(os, "posix_fallocate"):
                    try:
                        os.posix_fallocate(file.fileno(), 0, size)
                    except OSError as error:
                        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # it cannot tell
                            raise
        finally:
            probe.unlink(missing_ok=True)


def check_place(path: str | Path, columns: Sequence[str], *, overwrite: bool = False) -> None:
    """See that a table may be written to a place, before the work whose result it shall hold.

    What is there already is replaced where it is such a table, and else not without leave.

    Args:
        path: the file.
        columns: the first columns of the table.
        overwrite: replace whatever file is there.

    Raises:
        DataError: if there is another file or a folder, or the system would refuse to write.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError("is a folder", file=path, remedy="name the file to write")
    if path.exists() and not overwrite:
        try:
            with path.open(encoding="utf-8-sig") as file:
                found = file.readline().rstrip("\r\n").split(",")
        except (OSError, UnicodeDecodeError):
            found = []
        if found[: len(columns)] != list(columns):
            raise DataError(
                f"is there already, and is no table of {', '.join(columns[:3])}",
                file=path,
                remedy="choose another name, or move it away",
            )
    probe_folder(path.parent)


def write_file(
    path: str | Path,
    write: Callable[[Path], object],
    *,
    inside: Path | None = None,
    durable: bool = False,
    before: Callable[[], object] = lambda: None,
) -> Path:
    """Write a file so that a reader sees either the whole of it or what was there before.

    It is written under a name of its own beside its place, ``NAME.<random>.part``, and then moved there; two
    processes that write the same file do not meet. An error leaves nothing behind, a killed process a
    ``.part``. Folders on the way are made.

    Args:
        path: where to.
        write: called with the path to write.
        inside: a folder that no link on the way may lead out of.
        durable: return when the disk has it: what is there then survives a loss of power.
        before: called when all is written, before it is moved.

    Returns:
        ``path``.

    Raises:
        DataError: if the system refuses, or a link leads out of ``inside``.

    Example:
        >>> write_file("runs/note.json", lambda part: part.write_text("{}"))  # doctest: +SKIP
    """
    path = Path(path)
    # Looked at before the folders are made: making them would follow the link.
    if inside is not None and not (os.path.realpath(path.parent) + os.sep).startswith(
        os.path.realpath(inside) + os.sep
    ):
        raise DataError("leads out of the folder", file=path, remedy="remove the link")
    with file_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            write(part)
            if durable:
                _sync(part)
            before()
            part.replace(path)
            if durable and os.name == "posix":  # elsewhere a folder cannot be opened
                _sync(path.parent)
        finally:
            part.unlink(missing_ok=True)
    return path


def _sync(path: Path) -> None:
    """Wait until the disk has what was written to a file, or which names a folder holds."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str, *, inside: Path | None = None) -> Path:
    """`write_file` for a text, in UTF-8."""
    return write_file(path, lambda part: part.write_text(text, encoding="utf-8", newline=""), inside=inside)


def write_rows(
    path: str | Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object] | Sequence[object]],
    *,
    inside: Path | None = None,
) -> Path:
    r"""Write a table that `read_rows` reads: UTF-8, commas, lines ending in ``\n``.

    Args:
        path: where to.
        columns: the header.
        rows: a value for each column, by place or by name; a name that a row lacks is an empty cell.
        inside: a folder that no link on the way may lead out of.

    Returns:
        ``path``.

    Raises:
        DataError: if the system refuses, or a link leads out of ``inside``.
    """
    return write_text(path, rows_text(columns, rows), inside=inside)


def rows_text(columns: Sequence[str], rows: Iterable[Mapping[str, object] | Sequence[object]]) -> str:
    """The text of a table as `write_rows` writes it.

    Args:
        columns: the header.
        rows: a value for each column, by place or by name; a name that a row lacks is an empty cell.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row.get(c, "") for c in columns] if isinstance(row, Mapping) else row)
    return table.getvalue()


class Row(dict[str, str]):
    """A row of a table: the text in each column, and where it stands.

    Args:
        cells: text by column.
        file: the table.
        line: its line in the file, from 1.
    """

    def __init__(self, cells: Mapping[str, str], file: Path, line: int) -> None:
        super().__init__(cells)
        self.file, self.line = file, line

    def whole(self, *columns: str) -> tuple[int, ...]:
        """The whole numbers in some columns.

        Raises:
            DataError: if one is none.
        """
        return self._numbers(int, "whole numbers", columns)

    def real(self, *columns: str) -> tuple[float, ...]:
        """The numbers in some columns.

        Raises:
            DataError: if one is none.
        """
        return self._numbers(float, "numbers", columns)

    def error(self, what: str, remedy: str = "correct that line") -> DataError:
        """An error that names this row.

        Args:
            what: goes on after ``"line 7"``.
            remedy: what to do about it.
        """
        return DataError(f"line {self.line}{what}", file=self.file, remedy=remedy)

    def _numbers(self, kind: Callable[[str], N], word: str, columns: tuple[str, ...]) -> tuple[N, ...]:
        try:
            return tuple(kind(self[c]) for c in columns)
        except ValueError:
            found = [self[c] for c in columns]
            raise self.error(f" is not {word} in {','.join(columns)}: {found}") from None


def read_bytes(
    path: str | Path, limit: int, what: str = "such file", *, kind: type[UserError] = DataError
) -> bytes:
    """The content of a file that is small if it is what it should be.

    Args:
        path: the file.
        limit: bytes that it may have.
        what: it should be, for the message.
        kind: class of the error.

    Raises:
        UserError: of that kind, if it has more; no more than that is read of it.
        OSError: as the system has it.
    """
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise kind(
            f"is longer than {limit:,} bytes, as no {what} is",
            file=path,
            remedy="see that it is the right file",
        )
    return content


def read_text(path: str | Path, *, remedy: str | None = None, limit: int = MOST_TEXT) -> str:
    """Read a text as programs on other machines write it: UTF-8, or UTF-16 with its byte order mark.

    No other encoding can be told from the bytes, so none is guessed: what the names in the file would come
    out as, nobody could say.

    Args:
        path: the file.
        remedy: what the reader can do about a file that is missing or cannot be read.
        limit: bytes that it may have.

    Raises:
        DataError: if the file cannot be read, is too long, or is in another encoding, with the line.
    """
    path = Path(path)
    with file_errors(path, "cannot be read", remedy=remedy or "check the path and its permissions"):
        try:
            content = read_bytes(path, limit)
        except FileNotFoundError:
            raise DataError("no such file", file=path, remedy=remedy) from None
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 if wide else content[: error.start].count(b"\n") + 1
        kind = "UTF-16" if wide else "UTF-8"
        raise DataError(
            f"line {line} is not {kind} text ({error.reason})",
            file=path,
            remedy="save it as UTF-8; in a spreadsheet choose 'CSV UTF-8'",
        ) from error
    if "\0" in text:
        raise DataError("is no text (it holds zero bytes)", file=path, remedy="save it as UTF-8 text")
    return text


def read_rows(
    path: str | Path,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    remedy: str | None = None,
    limit: int = MOST_TEXT,
) -> list[Row]:
    """Read a table of comma-separated values with a header, as spreadsheets write it.

    Values may also be separated by semicolons or tabs; the header tells by which. Columns may stand in any
    order, in capitals, and others beside them; blanks around a value are not part of it. Empty lines are
    passed over. A row may be short by columns that need not be there; they are empty then.

    Args:
        path: the file, see :func:`read_text`.
        columns: columns that must be there.
        optional: columns that may be missing; then every row has an empty text for them.
        remedy: what the reader can do about a file that is missing or no such table.
        limit: bytes that it may have; a table with a row for each image wants more than one of classes.

    Raises:
        DataError: if the file cannot be read, is no text, lacks a column or names one twice, or a row has
            too few or too many values.

    Example:
        >>> for row in read_rows("sizes.csv", ["name", "height", "width"]):  # doctest: +SKIP
        ...     height, width = row.whole("height", "width")
    """
    path = Path(path)
    wanted = f"the columns are {','.join(columns)}" + "".join(f"[,{c}]" for c in optional)
    text = read_text(path, remedy=remedy or wanted, limit=limit)
    known = (*columns, *optional)
    headers = {mark: _header(text, mark, known) for mark in _SEPARATORS}
    # A tie goes to the first: a table of one column has no separator.
    mark = max(headers, key=lambda m: (sum(c in headers[m] for c in known), len(headers[m])))
    header = headers[mark]
    reader = _reader(text, mark)
    try:
        next(reader, [])
        for column in columns:
            if column not in header:
                raise DataError(f"no column {column!r}", file=path, remedy=remedy or wanted)
        for column in header:
            if header.count(column) > 1:
                raise DataError(f"two columns {column!r}", file=path, remedy="keep one of them")
        empty = dict.fromkeys(optional, "")
        found = []
        for line in reader:
            cells = [cell.strip() for cell in line]
            if not any(cells):  # spreadsheets leave rows of separators alone
                continue
            given = dict(zip(header, cells, strict=False))
            row = Row({**empty, **dict.fromkeys(header, ""), **given}, path, reader.line_num)
            absent = header[len(cells) :]
            if any(cells[len(header) :]) or any(c in columns for c in absent):
                raise row.error(f" has {len(cells)} values for {len(header)} columns")
            found.append(row)
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num} is not comma-separated values ({error})",
            file=path,
            remedy=wanted,
        ) from error
    return found


def _reader(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)


def _header(text: str, separator: str, known: Sequence[str]) -> list[str]:
    """The columns of a table if its values are separated so; a known one by its name in any capitals."""
    try:
        found = [cell.strip() for cell in next(_reader(text, separator), [])]
    except csv.Error:
        return []
    for column in known:
        if column not in found:
            found = [column if cell.casefold() == column.casefold() else cell for cell in found]
    return found
