"""A made data set called tiny, its archive, and a server on this machine that drops, lies and serves hostile things."""

import contextlib
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pix2pix.datasets import fetch
from pix2pix.datasets.catalogue import DATASETS, Dataset
from pix2pix.datasets.download import download
from pix2pix.errors import DataError

COUNTS = {"train": 3, "val": 1, "test": 2}


def picture(seed: int, width: int = 64) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


FILES = {
    f"tiny/{split}/{number}.jpg": picture(100 * index + number)
    for index, (split, count) in enumerate(COUNTS.items())
    for number in range(1, count + 1)
}


def archive(files: dict[str, bytes] = FILES, *extra: tarfile.TarInfo) -> bytes:
    """A .tar.gz of `files`, then of `extra`: members without content that no well-meaning person would send."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return buffer.getvalue()


ARCHIVE = archive()
SLACK = 20  # times what is expected; more is refused


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


class Server(ThreadingHTTPServer):
    """Serves `body`. Each entry of `drops` ends one answer after so many bytes; the other fields are its vices."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/tiny.tar.gz"
        self.body, self.etag, self.date, self.length = ARCHIVE, '"one"', None, "true"
        self.drops: list[int] = []
        self.statuses: list[int] = []
        self.ranges, self.if_range, self.sent = True, True, 0
        self.stall = threading.Event()  # cleared: a dropped connection stays open, and silent
        self.stall.set()
        self.requests: list[tuple[str | None, str | None]] = []  # Range and If-Range of each


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted, version = self.server, self.headers["Range"], self.headers["If-Range"]
        server.requests.append((wanted, version))
        status, start = server.statuses.pop(0) if server.statuses else 200, 0
        current = version in (server.etag, server.date) or not server.if_range
        if status == 200 and wanted and server.ranges and current:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(server.body) else 416
        data = server.body[start:] if status < 400 else b""
        self.send_response(status)
        length = len(data) if server.length == "true" or status >= 400 else server.length
        span = f"bytes {start}-{len(server.body) - 1}/{len(server.body)}" if status == 206 else None
        headers = {"ETag": server.etag, "Last-Modified": server.date, "Content-Length": length, "Content-Range": span}
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        dropped = bool(server.drops)
        data = data[: server.drops.pop(0)] if dropped else data
        server.sent += len(data)
        with contextlib.suppress(ConnectionError):  # the client may have seen enough
            self.wfile.write(data)
        if dropped:
            server.stall.wait()


@contextmanager
def serving(monkeypatch) -> Iterator[Server]:
    """A server of the data set, which is in the catalogue meanwhile."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "BACKOFF", 0.001)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setitem(DATASETS, "tiny", tiny(server.url))
        yield server
        server.stall.set()
        server.shutdown()
        thread.join()


def tiny(url: str, **changed: object) -> Dataset:
    """The data set's entry in the catalogue."""
    known = {"listed": 10_000, "bytes": len(ARCHIVE), "md5": hashlib.md5(ARCHIVE).hexdigest(), "counts": COUNTS}
    return Dataset(url=url, **{**known, **changed})


def refused(tmp_path: Path, *words: str) -> None:
    """The download is refused in these words, and nothing is left in its folder or beside it."""
    with pytest.raises(DataError) as caught:
        download("tiny", tmp_path / "data", url=DATASETS["tiny"].url)
    for word in (*words, "Nothing was kept", "--url"):
        assert word in str(caught.value)
    assert list(tmp_path.rglob("*")) == [tmp_path / "data"]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under `folder`, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
