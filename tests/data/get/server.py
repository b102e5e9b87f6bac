"""Archives of CamVid as they are published, and a server that breaks off where told."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from aucseg.data.layouts.own import read_split

SPLITS = ("train", "val", "test")


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


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 3 if kind == tarfile.REGTYPE else 0
    return info


class Server:
    """Serves one file; breaks off where told."""

    def __init__(self) -> None:
        self.body = b""
        self.ranges = True
        self.etag = '"one"'
        self.break_after: list[int] = []  # bytes to send before closing, one for each coming request
        self.status: int | None = None
        self.tells_length = True
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
                if outer.tells_length:
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


def left_behind(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) if folder.exists() else []
