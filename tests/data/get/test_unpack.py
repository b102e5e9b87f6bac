"""One folder of an archive comes out, and nothing dangerous with it."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aucseg.data.get.unpack import extract_folder
from aucseg.errors import DataError
from tests.data.get.server import left_behind, pack, tar_member


def test_only_the_wanted_folder_is_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    links = (tar_member("SegNet-x/elsewhere", tarfile.SYMTYPE, "/etc"),)
    archive.write_bytes(pack({"CamVid/a/b.txt": b"1", "Other/c.txt": b"2", "Other/CamVid/d": b"3"}, links))
    extract_folder(archive, "CamVid", tmp_path / "out")
    assert left_behind(tmp_path / "out") == ["a", "a/b.txt"]
    archive.write_bytes(pack({"CamVid/a.txt": b"1"}, top=""))
    extract_folder(archive, "CamVid", tmp_path / "flat")
    assert left_behind(tmp_path / "flat") == ["a.txt"]


def zip_member(name: str, mode: int = stat.S_IFREG | 0o644) -> Callable[[zipfile.ZipFile], None]:
    def add(pack: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("x")
        info.filename = name
        info.external_attr = mode << 16
        pack.writestr(info, "data")

    return add


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (zip_member("../evil"), "leads outside"),
        (zip_member("set/../../evil"), "leads outside"),
        (zip_member("/evil"), "leads outside"),
        (zip_member("set\\..\\evil"), "leads outside"),
        (zip_member("set/link", stat.S_IFLNK | 0o777), "is a link"),
        (lambda pack: None, "holds no folder set/"),
    ],
)
def test_dangerous_zip_members(tmp_path: Path, add: Callable[[zipfile.ZipFile], None], message: str) -> None:
    file = tmp_path / "in" / "x.zip"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w") as pack:
        pack.writestr("other/a.txt", "a")
        add(pack)
    with pytest.raises(DataError, match=message):
        extract_folder(file, "set", tmp_path / "out")
    assert {p.name for p in tmp_path.rglob("*")} == {"in", "x.zip", "out"}


def test_damaged_and_huge_zips(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as pack:
        pack.writestr("top/set/a/b.txt", "a" * 1000)
        pack.writestr("top/set/", "")
    extract_folder(file, "set", tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_text() == "a" * 1000
    with pytest.raises(DataError, match="unpacks to more than 999 bytes"):
        extract_folder(file, "set", tmp_path / "out2", limit=999)
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    for bad in (b"junk", bytes(content), bytes(content[:200])):
        file.write_bytes(bad)
        with pytest.raises(DataError, match="cannot unpack"):
            extract_folder(file, "set", tmp_path / "out3")
