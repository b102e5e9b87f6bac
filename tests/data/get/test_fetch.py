"""Downloads that break off, go on, start again or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from aucseg.data.get.fetch import fetch
from aucseg.errors import DataError
from tests.data.get.server import Server, left_behind


def test_a_later_call_goes_on_where_the_first_gave_up(server: Server, tmp_path: Path) -> None:
    server.body = bytes(range(256)) * 40
    target = tmp_path / "file"
    server.break_after = [3000]
    with pytest.raises(DataError, match=r"1 try; 3000 bytes are kept in .*file\.part.*goes on where"):
        fetch(server.url, target, attempts=1)
    assert not target.exists()
    assert fetch(server.url, target).read_bytes() == server.body
    assert server.log[-1] == ("bytes=3000-", 206)
    assert left_behind(tmp_path) == ["file"]


@pytest.mark.parametrize("why", ["no ranges", "changed", "other url", "no note"])
def test_resume_starts_again_when_it_must(server: Server, tmp_path: Path, why: str) -> None:
    server.body = b"a" * 5000
    target = tmp_path / "file"
    server.break_after = [3000]
    with pytest.raises(DataError):
        fetch(server.url, target, attempts=1)
    url = server.url
    if why == "no ranges":
        server.ranges = False
    elif why == "changed":
        server.body, server.etag = b"b" * 6000, '"two"'
    elif why == "other url":
        url += "?mirror"
    else:
        (tmp_path / "file.part.json").write_text("{broken")
    assert fetch(url, target).read_bytes() == server.body


@pytest.mark.parametrize("extra", [b"", b"zz"])
def test_a_part_that_is_already_complete_or_too_long(server: Server, tmp_path: Path, extra: bytes) -> None:
    server.body = b"a" * 5000
    server.break_after = [100]
    with pytest.raises(DataError):
        fetch(server.url, tmp_path / "file", attempts=1)
    (tmp_path / "file.part").write_bytes(server.body + extra)
    assert fetch(server.url, tmp_path / "file").read_bytes() == server.body


def test_refusals_are_not_repeated(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match=r"HTTP Error 404.*1 try"):
        fetch(server.url, tmp_path / "file")
    assert len(server.log) == 1
    server.status = 503
    with pytest.raises(DataError, match=r"HTTP Error 503.*4 tries"):
        fetch(server.url, tmp_path / "file")
    assert len(server.log) == 5


@pytest.mark.parametrize("told", [True, False])
def test_a_file_above_the_limit_is_refused(server: Server, tmp_path: Path, told: bool) -> None:
    server.body, server.tells_length = b"a" * 5000, told
    assert fetch(server.url, tmp_path / "fits", limit=5000).stat().st_size == 5000
    with pytest.raises(DataError, match=r"refused: http.* has more than 4999 bytes; check the address"):
        fetch(server.url, tmp_path / "file", limit=4999)
    assert len(server.log) == 2  # not tried again
    assert left_behind(tmp_path) == ["fits"]


def test_bad_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="attempts is at least 1, got 0"):
        fetch("http://127.0.0.1:9/none", tmp_path / "file", attempts=0)
