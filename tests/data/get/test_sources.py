"""Getting public data sets: from a server that can break off, resume, or hand out a bad archive."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.catalog import DATASETS, complete, open_dataset
from aucseg.data.get import SOURCES, Source, get, instructions
from aucseg.data.get.fetch import fetch
from aucseg.data.layouts.own import read_split
from aucseg.errors import DataError
from tests.data.get.server import SPLITS, Server, left_behind, pack, png, published_files, tar_member
from tests.data.layouts.writers import LAYOUTS, WRITERS

Change = Callable[[dict[str, bytes]], None]


def test_get_gives_a_data_set_that_can_be_read(source: Source, tiny_camvid: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    dest = tmp_path / "new" / "camvid"
    place = get(
        "camvid",
        dest,
        sources={"camvid": source},
        progress=lambda a, b: seen.append((a, b)),
        complete=complete,
    )
    assert place == dest
    ours, original = open_dataset("camvid", dest, "train"), open_dataset("camvid", tiny_camvid, "train")
    assert ours.names == original.names
    assert len(open_dataset("camvid", dest, "test")) == 2
    for (a, am), (b, bm) in zip(ours, original, strict=True):
        assert (a == b).all()
        assert (am == bm).all()
    assert seen[-1][0] == seen[-1][1]
    assert left_behind(tmp_path / "new" / "downloads") == []
    assert "CC BY-NC 4.0" in (dest / "SOURCE.md").read_text()
    assert (dest / "class_stats.csv").is_file()
    # a second time it is only checked
    get("camvid", dest, sources={"camvid": dataclasses.replace(source, url="http://127.0.0.1:9/none")})


def test_interrupted_download_goes_on(source: Source, server: Server, tmp_path: Path) -> None:
    server.break_after = [1000, 2000]
    get("camvid", tmp_path / "d" / "camvid", sources={"camvid": source})
    assert server.log == [(None, 200), ("bytes=1000-", 206), ("bytes=3000-", 206)]


def test_without_a_network_it_says_what_to_do_by_hand(source: Source, tmp_path: Path) -> None:
    lost = dataclasses.replace(source, url="http://127.0.0.1:9/camvid.tar.gz")
    with pytest.raises(DataError) as caught:
        get("camvid", tmp_path / "n" / "camvid", sources={"camvid": lost})
    message = str(caught.value)
    for text in (
        lost.url,
        "By hand",
        "--url camvid.tar.gz",
        "AUCSEG_CAMVID",
        "annotations/<split>",
        "classes.csv",
    ):
        assert text in message
    assert left_behind(tmp_path / "n") == []


@pytest.mark.parametrize("form", ["path", "file url"])
def test_local_archive(source: Source, server: Server, tmp_path: Path, form: str) -> None:
    archive = tmp_path / "by hand.tar.gz"
    archive.write_bytes(server.body)
    url = str(archive) if form == "path" else archive.as_uri()
    get("camvid", tmp_path / "l" / "camvid", sources={"camvid": source}, url=url)
    assert archive.is_file()
    assert server.log == []
    with pytest.raises(DataError, match=r"gone\.tar\.gz: no such archive"):
        get("camvid", tmp_path / "m", sources={"camvid": source}, url=str(tmp_path / "gone.tar.gz"))
    with pytest.raises(DataError, match="cannot read from 'ftp://x/y'"):
        get("camvid", tmp_path / "m", sources={"camvid": source}, url="ftp://x/y")


def other_label(files: dict[str, bytes]) -> None:
    mask = np.array(Image.open(io.BytesIO(files["CamVid/trainannot/train_001.png"])))
    mask[0, 0] = 3
    files["CamVid/trainannot/train_001.png"] = png(mask)


def other_image(files: dict[str, bytes]) -> None:
    files["CamVid/val/val_000.png"] = png(np.full((64, 96, 3), 9, np.uint8))


def broken_mask(files: dict[str, bytes]) -> None:
    files["CamVid/trainannot/train_001.png"] = files["CamVid/trainannot/train_001.png"][:50]


def missing_mask(files: dict[str, bytes]) -> None:
    del files["CamVid/trainannot/train_001.png"]


def fewer_items(files: dict[str, bytes]) -> None:
    files["CamVid/test.txt"] = files["CamVid/test.txt"].splitlines()[0]


def odd_list(files: dict[str, bytes]) -> None:
    files["CamVid/test.txt"] = b"/SegNet/CamVid/test/test_000.png\n"


def no_list(files: dict[str, bytes]) -> None:
    del files["CamVid/test.txt"]


def climbing_list(files: dict[str, bytes]) -> None:
    files["CamVid/test.txt"] = b"../../x.png ../../y.png\n"


def endless_list(files: dict[str, bytes]) -> None:
    """A megabyte of an archive, and some gigabytes of memory if it were read as a line."""
    files["CamVid/test.txt"] = b"a" * 50_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_label, r"refused: annotations/train/train_001\.png: the mask's values differ"),
        (other_image, r"refused: images/val/val_000\.png: the mean colour is .*tolerance 1\.0 of 255"),
        (broken_mask, r"train_001\.png: unreadable mask"),
        (missing_mask, r"train\.txt names .*trainannot/train_001\.png, and the archive does not hold it"),
        (fewer_items, r"splits/test\.txt: other items"),
        (odd_list, r"test\.txt: line 1 is not an image and a mask"),
        (no_list, r"test\.txt: the archive lacks this list"),
        (climbing_list, r"test\.txt: line 1 is not an image and a mask"),
        (endless_list, r"test\.txt: line 1 is longer than 65,536 bytes.*; fetch the archive again"),
    ],
)
def test_changed_content_is_refused(
    source: Source, server: Server, tiny_camvid: Path, tmp_path: Path, change: Change, message: str
) -> None:
    files = published_files(tiny_camvid)
    change(files)
    server.body = pack(files)
    with pytest.raises(DataError, match=message):
        get("camvid", tmp_path / "bad" / "camvid", sources={"camvid": source})
    assert left_behind(tmp_path / "bad") == []


def test_reencoded_images_pass(source: Source, server: Server, tiny_camvid: Path, tmp_path: Path) -> None:
    files = published_files(tiny_camvid)
    for name in [n for n in files if re.fullmatch(r"CamVid/(train|val|test)/.*png", n)]:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(files[name])).save(buffer, "JPEG", quality=92)
        files[name] = buffer.getvalue()
    server.body = pack(files)
    get("camvid", tmp_path / "r" / "camvid", sources={"camvid": source})


def test_a_full_disk_keeps_the_archive(source: Source, server: Server, tmp_path: Path) -> None:
    def no_space(raw: Path, out: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    dest = tmp_path / "f" / "camvid"
    with pytest.raises(OSError, match="No space left"):
        get("camvid", dest, sources={"camvid": dataclasses.replace(source, convert=no_space)})
    assert left_behind(tmp_path / "f") == ["downloads", "downloads/camvid.tar.gz"]
    get("camvid", dest, sources={"camvid": source})
    assert len(server.log) == 1
    assert not (tmp_path / "f" / "downloads").exists()


@pytest.mark.parametrize(
    ("evil", "message"),
    [
        (
            tar_member("SegNet-x/CamVid/../../../evil.txt"),
            r"CamVid/\.\./\.\./\.\./evil\.txt', which leads outside",
        ),
        (tar_member("../evil.txt"), r"'\.\./evil\.txt', which leads outside"),
        (tar_member("/tmp/evil.txt"), "leads outside"),
        (tar_member("SegNet-x/CamVid/..\\evil.txt"), "leads outside"),
        (
            tar_member("SegNet-x/CamVid/link", tarfile.SYMTYPE, "/etc/passwd"),
            "'SegNet-x/CamVid/link' is a link",
        ),
        (tar_member("SegNet-x/CamVid/hard", tarfile.LNKTYPE, "SegNet-x/README.md"), "is a link or a device"),
        (tar_member("SegNet-x/CamVid/fifo", tarfile.FIFOTYPE), "is a link or a device"),
    ],
)
def test_dangerous_members_are_refused(
    source: Source, server: Server, tiny_camvid: Path, tmp_path: Path, evil: tarfile.TarInfo, message: str
) -> None:
    server.body = pack(published_files(tiny_camvid), (evil,))
    with pytest.raises(DataError, match=message):
        get("camvid", tmp_path / "e" / "camvid", sources={"camvid": source})
    assert left_behind(tmp_path / "e") == []
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", "cut", "other"])
def test_damaged_archives(source: Source, server: Server, tmp_path: Path, content: bytes | str) -> None:
    if content == "cut":
        content = server.body[: len(server.body) // 2]
    if content == "other":
        content = pack({"Other/a": b"1"})
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar\.gz: (cannot unpack|holds no folder CamVid/)"):
        get("camvid", tmp_path / "x" / "camvid", sources={"camvid": source}, url=str(archive))
    assert left_behind(tmp_path / "x") == []


def test_something_else_in_the_way(source: Source, tmp_path: Path) -> None:
    dest = tmp_path / "w"
    dest.mkdir()
    (dest / "precious.txt").write_text("mine")
    with pytest.raises(DataError, match="is in the way and is not a complete camvid"):
        get("camvid", dest, sources={"camvid": source})
    assert (dest / "precious.txt").read_text() == "mine"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(open_dataset("camvid", get("camvid", empty, sources={"camvid": source}))) == 4


def test_unknown_name_and_scheme(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set 'cityscape' to get; known: camvid"):
        get("cityscape", tmp_path / "c")
    with pytest.raises(DataError, match="cannot download 'file:///etc/passwd'"):
        fetch("file:///etc/passwd", tmp_path / "c")


def test_get_with_the_shipped_checksums(camvid_pack: Path, tmp_path: Path) -> None:
    """The pack's own files under the published names: all 701 go through the whole way."""
    archive = tmp_path / "camvid.tar.gz"
    with tarfile.open(archive, "w") as tar:
        for split in SPLITS:
            lines = []
            for name in read_split(camvid_pack, split):
                image, mask = f"CamVid/{split}/{name}.png", f"CamVid/{split}annot/{name}.png"
                tar.add(camvid_pack / f"images/{split}/{name}.jpg", f"SegNet-x/{image}")
                tar.add(camvid_pack / f"annotations/{split}/{name}.png", f"SegNet-x/{mask}")
                lines.append(f"/SegNet/{image} /SegNet/{mask}\n")
            info = tarfile.TarInfo(f"SegNet-x/CamVid/{split}.txt")
            info.size = len("".join(lines))
            tar.addfile(info, io.BytesIO("".join(lines).encode()))
    place = DATASETS["camvid"].get(tmp_path / "camvid", url=str(archive))
    assert [len(open_dataset("camvid", place, s)) for s in SPLITS] == [367, 101, 233]
    ours = (place / "class_stats.csv").read_text().splitlines()
    theirs = (camvid_pack / "class_stats.csv").read_text().splitlines()
    assert ours == theirs[:12]


def pack_published(name: str, place: Path) -> tuple[Path, dict[str, Source]]:
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
    source = dataclasses.replace(
        SOURCES[name], url="http://nowhere.invalid/x", folder=top, digest=f"{algorithm}:{digest}"
    )
    return file, {name: source}


@pytest.mark.parametrize("name", ["voc", "ade20k"])
def test_get_unpacks_what_can_be_read(name: str, tmp_path: Path) -> None:
    file, archives = pack_published(name, tmp_path / "there")
    target = get(name, tmp_path / "data" / name, url=str(file), sources=archives)
    before, after = (open_dataset(name, root) for root in (tmp_path / "there" / "raw", target))
    assert before.fingerprint() == after.fingerprint()
    assert file.is_file()  # the user's own copy stays
    assert [p.name for p in (tmp_path / "data").iterdir()] == [name]
    assert get(name, target, url="gone", sources=archives) == target


def test_other_archives_are_refused(tmp_path: Path) -> None:
    file, archives = pack_published("ade20k", tmp_path / "there")
    with file.open("ab") as content:
        content.write(b"x")
    with pytest.raises(DataError, match="refused: its sha1 is"):
        get("ade20k", tmp_path / "data" / "x", url=str(file), sources=archives)
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(DataError, match="no such archive"):
        get("ade20k", tmp_path / "data" / "x", url="gone.zip", sources=archives)
    (tmp_path / "data" / "y").mkdir()
    (tmp_path / "data" / "y" / "file").write_text("mine")
    with pytest.raises(DataError, match="is in the way and is not a complete ade20k"):
        get("ade20k", tmp_path / "data" / "y", sources=archives)


def test_every_set_can_be_got_or_says_how(tmp_path: Path) -> None:
    for layout in LAYOUTS.values():
        text = instructions(layout, tmp_path / "place")
        for word in (*layout.access.addresses, *layout.access.wanted, str(tmp_path / "place"), "Cite:"):
            assert word in text
        assert all(a.startswith("http") for a in layout.access.addresses)
    assert set(SOURCES) == {"camvid", "voc", "ade20k"}
    for name in ("voc", "ade20k"):
        algorithm, digest = SOURCES[name].digest.split(":")
        assert len(digest) == hashlib.new(algorithm).digest_size * 2
