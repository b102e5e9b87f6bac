"""Files appear complete or not at all; tables say which line and column is wrong."""

from __future__ import annotations

import csv
import os
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from aucseg.data.files import (
    check_place,
    path_part,
    probe_folder,
    read_rows,
    write_file,
    write_rows,
    write_text,
)
from aucseg.errors import DataError, OptionError

COLUMNS = ("name", "height")


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way.csv"
    rows = [["a,b", 3], ['say "x"', 4], ["two\nlines", 5], ["Straße", 6]]
    assert write_rows(path, COLUMNS, rows) == path
    read = read_rows(path, COLUMNS)
    assert [(r["name"], *r.whole("height")) for r in read] == [tuple(row) for row in rows]
    assert [r.line for r in read] == [2, 3, 5, 6]
    with path.open(newline="", encoding="utf-8") as file:  # the oracle
        assert [dict(r) for r in read] == list(csv.DictReader(file))
    assert path.read_bytes().startswith(b'name,height\n"a,b",3\n')
    write_rows(path, COLUMNS, [{"height": 7, "more": 1}])
    assert path.read_text() == "name,height\n,7\n"


def test_what_is_forgiven(tmp_path: Path) -> None:
    """A byte order mark, columns in another order, other columns, empty lines, absent optional cells."""
    path = tmp_path / "table.csv"
    path.write_bytes(
        "\ufeffheight,extra,name,group\r\n3,x,sky\r\n\r\n4,y,road,head\r\n5,z,car,,,\r\n".encode()
    )
    rows = read_rows(path, COLUMNS, optional=("group", "note"))
    assert [(r["name"], r["group"], r["note"], r["extra"]) for r in rows] == [
        ("sky", "", "", "x"),
        ("road", "head", "", "y"),
        ("car", "", "", "z"),
    ]
    assert [r.line for r in rows] == [2, 4, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le with mark"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [("name", "height"), ("NAME", " Height ")])
def test_tables_as_spreadsheets_write_them(
    tmp_path: Path, encoding: str, separator: str, header: tuple[str, str]
) -> None:
    path = tmp_path / "table.csv"
    lines = [header, ("Straße", " 3"), (f'"a{separator} b"', "4 "), ("", "")]
    text = "\r\n".join(separator.join(line) for line in lines)
    if encoding.endswith("mark"):
        path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    else:
        path.write_bytes(text.encode(encoding))
    rows = read_rows(path, COLUMNS, optional=("group",))
    assert [(r["name"], *r.whole("height"), r["group"]) for r in rows] == [
        ("Straße", 3, ""),
        (f"a{separator} b", 4, ""),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"no column 'name'; the columns are name,height\[,group\]"),
        (b"name,size\na,1\n", "no column 'height'; the columns are"),
        (b"name,height,name\na,1,b\n", "two columns 'name'; keep one"),
        (b"name,height\na\n", "line 2 has 1 values for 2 columns; correct that line"),
        (b"name,height\na,1\nb,2,3\n", "line 3 has 3 values for 2 columns"),
        (b"name,height\n\xff,1\n", r"line 2 is not UTF-8 text \(invalid start byte\); save it as UTF-8"),
        (b"\xff\xfen\x00a", r"line 1 is not UTF-16 text \(truncated data\)"),
        ("name,height\na,1\n".encode("utf-16-le"), "is no text .it holds zero bytes.; save it as UTF-8"),
        (b"name;height\na\n", "line 2 has 1 values for 2 columns"),
        (b"Name,NAME,height\na,1,b\n", "two columns 'name'; keep one"),
        (b'name,height\n"a' + b"b" * 200_000 + b'",1\n', "line 2 is not comma-separated values"),
    ],
)
def test_bad_tables(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"table\.csv: " + message) as caught:
        read_rows(path, COLUMNS, optional=("group",))
    assert caught.value.file == str(path)


def test_a_file_that_is_no_table_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A class table of one line of 600 MB took 3.5 GB and a minute and a half."""
    path = tmp_path / "classes.csv"
    with path.open("wb") as sparse:
        sparse.write(b"name,height\na,")
        sparse.truncate(600_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"classes\.csv: is longer than 16,777,216 bytes.*right file"):
            read_rows(path, COLUMNS)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_missing_tables_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: no such file; the columns are name,height"):
        read_rows(tmp_path / "none.csv", COLUMNS)
    with pytest.raises(DataError, match=r"none\.csv: no such file; count again"):
        read_rows(tmp_path / "none.csv", COLUMNS, remedy="count again")
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path, COLUMNS)


def test_cells_that_are_no_numbers(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "table.csv", COLUMNS, [["a", "1.5"], ["b", "much"]])
    first, second = read_rows(path, COLUMNS)
    assert first.real("height") == (1.5,)
    with pytest.raises(
        DataError, match=r"table\.csv: line 2 is not whole numbers in height: .*1\.5.*; correct"
    ):
        first.whole("height")
    with pytest.raises(DataError, match=r"line 3 is not numbers in height: \['much'\]"):
        second.real("height")


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a" / "note.txt", "old")

    def half(part: Path) -> None:
        part.write_text("ne")
        assert path.read_text() == "old"
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_file(path, half)
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["note.txt"]

    def beside_another(part: Path) -> None:
        write_text(path, "theirs")
        part.write_text("ours")

    write_file(path, beside_another)
    assert path.read_text() == "ours"
    assert [p.name for p in path.parent.iterdir()] == ["note.txt"]


def _full(part: Path) -> None:
    raise OSError(28, "No space left on device")


def test_what_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"note\.txt: cannot be written \(No space left on device\)"):
        write_file(tmp_path / "note.txt", _full)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        write_text(tmp_path / "file" / "note.txt", "text")


def test_no_link_leads_out(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "images").symlink_to(outside, target_is_directory=True)
    with pytest.raises(DataError, match="leads out of the folder; remove the link"):
        write_text(out / "images" / "deep" / "note.txt", "text", inside=out)
    assert list(outside.iterdir()) == []
    (out / "note.txt").symlink_to(outside / "victim.txt")
    write_text(out / "note.txt", "text", inside=out)  # takes the link's place
    assert not (out / "note.txt").is_symlink()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["laptop", "train.v2", "a b", "Straße", "-x", "x" * 200])
def test_name_that_may_become_a_file(name: str) -> None:
    assert path_part(name, "profile") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "../../x",
        "a/b",
        "a\\b",
        "C:",
        "a\nb",
        "a\x00",
        " a",
        "a ",
        "a.",
        ".a",
        "*",
        "x" * 201,
    ],
)
def test_name_that_leads_elsewhere(name: str) -> None:
    with pytest.raises(OptionError, match=r"split '.*' cannot be the name of a file; use letters"):
        path_part(name, "split")


def test_folder_is_probed_and_left_as_it_was(tmp_path: Path) -> None:
    probe_folder(tmp_path / "new" / "deep", 100_000)
    assert list((tmp_path / "new" / "deep").iterdir()) == []
    with pytest.raises(DataError, match=r"cannot be written to \(.*\); check the path"):
        probe_folder(tmp_path / "new", 2**60)  # more than any disk has
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["deep"]
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match="cannot be written to"):
            probe_folder(place)


def test_durable_file_is_on_the_disk_before_the_old_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    order: list[str] = []
    sync = os.fsync
    monkeypatch.setattr("os.fsync", lambda handle: (order.append(f"sync, {path.read_text()}"), sync(handle)))
    note = partial(order.append, "before")
    write_file(path, lambda part: part.write_text("new"), durable=True, before=note)
    assert order == ["sync, old", "before", "sync, new"]  # of the file, and of the folder


def test_a_table_replaces_a_table_of_its_kind_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "made" / "gap.csv"
    check_place(path, COLUMNS)  # nothing is there
    assert list(path.parent.iterdir()) == []
    write_rows(path, (*COLUMNS, "more"), [("a", 1, 2)])
    check_place(path, COLUMNS)
    before = path.read_bytes()
    for other in (b"name;height\n", b"height,name\n", b"my thesis", b"", b"\xff\xfe\x00"):
        path.write_bytes(other)
        with pytest.raises(DataError, match=r"gap\.csv: is there already, and is no table of name, height;"):
            check_place(path, COLUMNS)
        check_place(path, COLUMNS, overwrite=True)
        assert path.read_bytes() == other != before
    with pytest.raises(DataError, match=r"made: is a folder; name the file"):
        check_place(path.parent, COLUMNS, overwrite=True)
    with pytest.raises(DataError, match="cannot be written to"):
        check_place(path / "below.csv", COLUMNS)
