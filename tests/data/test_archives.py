"""Archives of published sets: the right one unpacks, every other is refused and leaves nothing behind."""

from __future__ import annotations

import hashlib
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aucseg.data import open_dataset
from aucseg.data.archives import ARCHIVES, Archive, get_archive, instructions
from aucseg.data.layouts.registry import LAYOUTS
from aucseg.data.unpack import extract_folder
from aucseg.errors import DataError
from tests.data.layouts.writers import WRITERS


def pack(name: str, place: Path) -> tuple[Path, dict[str, Archive]]:
    """The tiny data set as its publisher packs it, with its true checksum."""
    root = WRITERS[name](place / "raw")
    if name == "voc":
        file = place / "voc.tar"
        with tarfile.open(file, "w") as tar:
            tar.add(root / "VOCdevkit", "VOCdevkit")
        algorithm, top = "md5", "VOC2012"
    else:
        file, top, algorithm = place / "ade.zip", "ADEChallengeData2016", "sha1"
        with zipfile.ZipFile(file, "w") as zipped:
            for path in sorted((root / top).rglob("*")):
                zipped.write(path, path.relative_to(root))
    digest = hashlib.new(algorithm, file.read_bytes()).hexdigest()
    return file, {name: Archive("http://nowhere.invalid/x", algorithm, digest, top)}


@pytest.mark.parametrize("name", ["voc", "ade20k"])
def test_get_unpacks_what_can_be_read(name: str, tmp_path: Path) -> None:
    file, archives = pack(name, tmp_path / "there")
    target = get_archive(name, tmp_path / "data" / name, url=str(file), archives=archives)
    before, after = (open_dataset(name, root) for root in (tmp_path / "there" / "raw", target))
    assert before.fingerprint() == after.fingerprint()
    assert file.is_file()  # the user's own copy stays
    assert [p.name for p in (tmp_path / "data").iterdir()] == [name]
    assert get_archive(name, target, url="gone", archives=archives) == target


def test_other_archives_are_refused(tmp_path: Path) -> None:
    file, archives = pack("ade20k", tmp_path / "there")
    with file.open("ab") as content:
        content.write(b"x")
    with pytest.raises(DataError, match="refused: its sha1 is"):
        get_archive("ade20k", tmp_path / "data" / "x", url=str(file), archives=archives)
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(DataError, match="no such archive"):
        get_archive("ade20k", tmp_path / "data" / "x", url="gone.zip", archives=archives)
    (tmp_path / "data" / "y").mkdir()
    (tmp_path / "data" / "y" / "file").write_text("mine")
    with pytest.raises(DataError, match="is in the way and is no ade20k"):
        get_archive("ade20k", tmp_path / "data" / "y", archives=archives)


def member(name: str, mode: int = stat.S_IFREG | 0o644) -> Callable[[zipfile.ZipFile], None]:
    def add(pack: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("x")
        info.filename = name
        info.external_attr = mode << 16
        pack.writestr(info, "data")

    return add


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (member("../evil"), "leads outside"),
        (member("set/../../evil"), "leads outside"),
        (member("/evil"), "leads outside"),
        (member("set\\..\\evil"), "leads outside"),
        (member("set/link", stat.S_IFLNK | 0o777), "is a link"),
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


def test_every_set_can_be_got_or_says_how(tmp_path: Path) -> None:
    for layout in LAYOUTS.values():
        text = instructions(layout, tmp_path / "place")
        for word in (*layout.access.addresses, *layout.access.wanted, str(tmp_path / "place"), "Cite:"):
            assert word in text
        assert all(a.startswith("http") for a in layout.access.addresses)
    assert set(ARCHIVES) == {"voc", "ade20k"}
    for archive in ARCHIVES.values():
        assert len(archive.digest) == hashlib.new(archive.algorithm).digest_size * 2
