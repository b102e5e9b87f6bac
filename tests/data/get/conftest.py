"""A server on this machine, and CamVid's source with the tiny archive that it serves."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from aucseg.data.get import SOURCES, Source
from aucseg.data.get.camvid import check_published, checksum_row
from aucseg.data.layouts.own import read_split
from tests.data.get.server import SPLITS, Server, pack, published_files


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aucseg.data.get.fetch.time.sleep", lambda seconds: None)


@pytest.fixture
def source(tiny_camvid: Path, server: Server, tmp_path: Path) -> Source:
    """CamVid's source, but for the tiny archive on the local server."""
    checksums = tmp_path / "checksums.csv"
    rows = [checksum_row(tiny_camvid, s, n) for s in SPLITS for n in read_split(tiny_camvid, s)]
    with checksums.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    server.body = pack(published_files(tiny_camvid))
    check = partial(check_published, checksums=checksums)
    return dataclasses.replace(SOURCES["camvid"], url=server.url, check=check)
