"""Getting CamVid: from a server on this machine that can break off, resume, or hand out a bad archive."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucseg.data import download
from aucseg.data.camvid import CamVid
from aucseg.data.checksums import checksum_row
from aucseg.data.download import Source, get
from aucseg.data.fetch import fetch
from aucseg.data.layout import read_split
from aucseg.data.unpack import extract_folder
from aucseg.errors import DataError

SPLITS = ("train", "val", "test")
Change = Callable[[dict[str, bytes]], None]


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def published_files(root: Path) -> dict[str, bytes]:
    """A folder in our layout as the tutorial publishes it."""
    files = {"README.md": b"hello"}
    for split in SPLITS:
        lines = []
        for name in read_split(root, split):
            image = np.array(Image.open(root / f"images/{split}/{name}.jpg"))
            files[f"CamVid/{split}/{name}.png"] = png(image)
            files[f"CamVid/{split}annot/{name}.png"] = (root / f"annotations/{split}/{name}.png").read_bytes()
            lines.append(f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png")
        files[f"CamVid/{split}.txt"] = ("\n".join(lines) + "\n").encode()
    return files


def pack(files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = (), top: str = "SegNet-x/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


class Server:
    """Serves one file; breaks off where told."""

    def __init__(self) -> None:
        self.body = b""
        self.ranges = True
        self.etag = '"one"'
        self.break_after: list[int] = []  # bytes to send before closing, one for each coming request
        self.status: int | None = None
        self.log: list[tuple[str | None, int]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                start = 0
                if outer.ranges and wanted and self.headers.get("If-Range", outer.etag) == outer.etag:
                    start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
                status = outer.status or (206 if start else 200)
                if start >= len(outer.body) > 0:
                    status = 416
                outer.log.append((wanted, status))
                self.send_response(status)
                self.send_header("ETag", outer.etag)
                if status == 416:
                    self.send_header("Content-Range", f"bytes */{len(outer.body)}")
                if status == 206:
                    self.send_header(
                        "Content-Range", f"bytes {start}-{len(outer.body) - 1}/{len(outer.body)}"
                    )
                data = outer.body[start:] if status in (200, 206) else b""
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: outer.break_after.pop(0)] if outer.break_after else data)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/camvid.tar.gz"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aucseg.data.fetch.time.sleep", lambda seconds: None)


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
    return dataclasses.replace(download.SOURCES["camvid"], url=server.url, checksums=checksums)


def left_behind(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) if folder.exists() else []


def test_get_gives_a_data_set_that_can_be_read(source: Source, tiny_camvid: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    dest = tmp_path / "new" / "camvid"
    place = get("camvid", dest, sources={"camvid": source}, progress=lambda a, b: seen.append((a, b)))
    assert place == dest
    ours, original = CamVid(dest, "train"), CamVid(tiny_camvid, "train")
    assert ours.names == original.names
    assert len(CamVid(dest, "test")) == 2
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


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 3 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    ("evil", "message"),
    [
        (
            member("SegNet-x/CamVid/../../../evil.txt"),
            r"CamVid/\.\./\.\./\.\./evil\.txt', which leads outside",
        ),
        (member("../evil.txt"), r"'\.\./evil\.txt', which leads outside"),
        (member("/tmp/evil.txt"), "leads outside"),
        (member("SegNet-x/CamVid/..\\evil.txt"), "leads outside"),
        (member("SegNet-x/CamVid/link", tarfile.SYMTYPE, "/etc/passwd"), "'SegNet-x/CamVid/link' is a link"),
        (member("SegNet-x/CamVid/hard", tarfile.LNKTYPE, "SegNet-x/README.md"), "is a link or a device"),
        (member("SegNet-x/CamVid/fifo", tarfile.FIFOTYPE), "is a link or a device"),
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


def test_only_the_wanted_folder_is_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    links = (member("SegNet-x/elsewhere", tarfile.SYMTYPE, "/etc"),)
    archive.write_bytes(pack({"CamVid/a/b.txt": b"1", "Other/c.txt": b"2", "Other/CamVid/d": b"3"}, links))
    extract_folder(archive, "CamVid", tmp_path / "out")
    assert left_behind(tmp_path / "out") == ["a", "a/b.txt"]
    archive.write_bytes(pack({"CamVid/a.txt": b"1"}, top=""))
    extract_folder(archive, "CamVid", tmp_path / "flat")
    assert left_behind(tmp_path / "flat") == ["a.txt"]


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
    assert len(CamVid(get("camvid", empty, sources={"camvid": source}))) == 4


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
    place = get("camvid", tmp_path / "camvid", url=str(archive))
    assert [len(CamVid(place, s)) for s in SPLITS] == [367, 101, 233]
    ours = (place / "class_stats.csv").read_text().splitlines()
    theirs = (camvid_pack / "class_stats.csv").read_text().splitlines()
    assert ours == theirs[:12]
