"""`pix2pix download` against a server on this machine that drops, lies and serves what is hostile."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pix2pix.data import download as module
from pix2pix.data.download import DATASETS, Dataset, download, download_command
from pix2pix.errors import CheckpointError, ConfigError, DataError

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


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "BACKOFF", 0.001)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        entry = Dataset(server.url, len(ARCHIVE), hashlib.md5(ARCHIVE).hexdigest(), COUNTS)
        monkeypatch.setitem(DATASETS, "tiny", entry)
        yield server
        server.stall.set()
        server.shutdown()
        thread.join()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under `folder`, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(tmp_path: Path, *words: str) -> None:
    """The download is refused in these words, and nothing is left in its folder or beside it."""
    with pytest.raises(DataError) as caught:
        download("tiny", tmp_path / "data")
    for word in (*words, "Nothing was kept", "--url"):
        assert word in str(caught.value)
    assert list(tmp_path.rglob("*")) == [tmp_path / "data"]


def test_downloads_and_checks(server, tmp_path, capsys):
    folder = download("tiny", tmp_path / "new" / "data")
    assert folder == tmp_path / "new" / "data" / "tiny"
    assert tree(tmp_path / "new" / "data") == FILES
    assert server.requests == [(None, None)]
    assert folder.stat().st_mode & 0o700 == 0o700
    out = capsys.readouterr().out
    assert f"{len(ARCHIVE):,} bytes" in out and "train 3, val 1, test 2" in out and "warning" not in out


def test_facades_is_registered_as_published():
    facades = DATASETS["facades"]
    assert facades.url == "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz"
    assert (facades.bytes, facades.md5) == (30_168_306, "e2e25dd517e9d15828416ab329da2854")
    assert facades.counts == {"train": 400, "val": 100, "test": 106}
    assert download_command("facades") == "pix2pix download facades"


def test_mirror_and_md5_mismatch_only_warn(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(DATASETS, "tiny", Dataset("http://127.0.0.1:9/x", 10_000, "0" * 32, COUNTS))
    download("tiny", tmp_path, url=server.url)
    assert tree(tmp_path) == FILES
    out = capsys.readouterr().out
    assert "warning" in out and hashlib.md5(ARCHIVE).hexdigest() in out and "0" * 32 in out


# ---- the network


def test_resumes_after_dropped_connections(server, tmp_path):
    third = len(ARCHIVE) // 3
    server.drops = [third, third]
    download("tiny", tmp_path)
    assert tree(tmp_path) == FILES
    assert server.requests == [(None, None), (f"bytes={third}-", '"one"'), (f"bytes={2 * third}-", '"one"')]
    assert server.sent == len(ARCHIVE)


def test_resumes_after_silence(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    server.drops = [1000]
    server.stall.clear()
    download("tiny", tmp_path)
    assert tree(tmp_path) == FILES
    assert server.requests[1:] == [("bytes=1000-", '"one"')]
    assert "timed out" in capsys.readouterr().out


def test_same_command_continues_after_giving_up(server, tmp_path):
    server.drops = [1000, *[0] * (module.ATTEMPTS - 1)]
    with pytest.raises(DataError, match="Run the same command again to continue"):
        download("tiny", tmp_path)
    assert len(server.requests) == module.ATTEMPTS
    assert tree(tmp_path)["tiny.tar.gz.part"] == ARCHIVE[:1000]
    download("tiny", tmp_path)
    assert server.requests[-1] == ("bytes=1000-", '"one"')
    assert server.sent == len(ARCHIVE)
    assert tree(tmp_path) == FILES


DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


@pytest.mark.parametrize(("etag", "date", "sent"), [(None, DATE, DATE), ('W/"a"', DATE, DATE), (None, None, None)])
def test_what_a_resume_is_tied_to(server, tmp_path, etag, date, sent):
    server.etag, server.date, server.drops = etag, date, [1000]
    download("tiny", tmp_path)
    assert server.requests[1] == ("bytes=1000-" if sent else None, sent)  # neither: from the start
    assert tree(tmp_path) == FILES


def test_part_that_cannot_be_continued_is_not_kept(server, tmp_path):
    server.etag, server.drops = None, [1000] * module.ATTEMPTS
    with pytest.raises(DataError):
        download("tiny", tmp_path)
    assert tree(tmp_path) == {}


def test_server_without_ranges_starts_again(server, tmp_path):
    server.ranges, server.drops = False, [1000]
    download("tiny", tmp_path)
    assert server.requests[1] == ("bytes=1000-", '"one"')
    assert server.sent == 1000 + len(ARCHIVE)
    assert tree(tmp_path) == FILES


@pytest.mark.parametrize("if_range", [True, False])  # False: the server splices without asking
def test_changed_file_is_not_spliced(server, tmp_path, if_range):
    server.drops = [1000, *[0] * (module.ATTEMPTS - 1)]
    with pytest.raises(DataError):
        download("tiny", tmp_path)
    changed = {name: picture(1000 + number) for number, name in enumerate(FILES)}
    server.body, server.etag, server.if_range = archive(changed), '"two"', if_range
    download("tiny", tmp_path)
    assert tree(tmp_path) == changed


@pytest.mark.parametrize("note", ['{"http://elsewhere/": "one"}', "", "5", '{"a'])
def test_part_of_unknown_origin_is_not_continued(server, tmp_path, note):
    (tmp_path / "tiny.tar.gz.part").write_bytes(b"x" * 100)
    (tmp_path / "tiny.tar.gz.part.json").write_text(note)
    download("tiny", tmp_path)
    assert server.requests == [(None, None)]
    assert tree(tmp_path) == FILES


def test_part_that_is_too_long_starts_again(server, tmp_path):
    (tmp_path / "tiny.tar.gz.part").write_bytes(b"x" * len(ARCHIVE))
    (tmp_path / "tiny.tar.gz.part.json").write_text(json.dumps({server.url: '"one"'}))
    download("tiny", tmp_path)
    assert [wanted for wanted, _ in server.requests] == [f"bytes={len(ARCHIVE)}-", None]
    assert tree(tmp_path) == FILES


@pytest.mark.parametrize("length", [10, len(ARCHIVE) - 10, None])
def test_truncation_that_the_server_does_not_own_up_to(server, tmp_path, length):
    server.length, server.body = length, ARCHIVE if length else ARCHIVE[:-1]
    refused(tmp_path, server.url)


@pytest.mark.parametrize("length", ["true", None])
def test_archive_over_the_cap(server, tmp_path, length):
    server.body, server.length = bytes(module.SLACK * len(ARCHIVE) + 1), length
    refused(tmp_path, f"{server.url}: larger than")


def test_odd_but_right(server, tmp_path):
    server.statuses, server.length = [503, 429], None
    folders = member("./tiny", tarfile.DIRTYPE), member("./", tarfile.DIRTYPE)
    server.body = archive({f"./{name}": data for name, data in FILES.items()}, *folders)
    download("tiny", tmp_path)
    assert len(server.requests) == 3
    assert tree(tmp_path) == FILES


@pytest.mark.parametrize(
    ("length", "statuses", "port", "words", "requests"),
    [
        (len(ARCHIVE) + 10, [], None, "416|closed after", module.ATTEMPTS),
        ("true", [404], None, "404", 1),
        ("true", [500] * module.ATTEMPTS, None, "500", module.ATTEMPTS),
        ("true", [], 1, "[Rr]efused", 0),
    ],
)
def test_network_that_gives_nothing(server, tmp_path, length, statuses, port, words, requests):
    server.length, server.statuses = length, statuses
    url = f"http://127.0.0.1:{port}/a" if port else server.url
    with pytest.raises(DataError, match=words) as caught:
        download("tiny", tmp_path, url=url)
    for word in (url, "Run the same command again", "--url"):
        assert word in str(caught.value)
    assert len(server.requests) == requests
    assert not (tmp_path / "tiny").exists() and (requests or not tree(tmp_path))


# ---- hostile and wrong archives

REGULAR, HEADER_BOMB = tarfile.REGTYPE, member("tiny/a", tarfile.REGTYPE)
HEADER_BOMB.pax_headers = {"comment": "0" * module.SLACK * len(ARCHIVE)}
MANY = tuple(member(f"tiny/{number}", tarfile.DIRTYPE) for number in range(module.SLACK * len(FILES)))
REFUSED = {
    "parent": (archive(FILES, member("../escaped.jpg", REGULAR)), "outside"),
    "parent inside": (archive(FILES, member("tiny/../../escaped.jpg", REGULAR)), "escaped.jpg"),
    "absolute": (archive(FILES, member("/tmp/escaped.jpg", REGULAR)), "outside"),
    "elsewhere": (archive(FILES, member("other/1.jpg", REGULAR)), "outside"),
    "symlink": (archive(FILES, member("tiny/link", tarfile.SYMTYPE, "/etc")), "a link"),
    "inner symlink": (archive(FILES, member("tiny/link", tarfile.SYMTYPE, "train")), "a link"),
    "hardlink": (archive(FILES, member("tiny/hard", tarfile.LNKTYPE, "tiny/train/1.jpg")), "a link"),
    "device": (archive(FILES, member("tiny/null", tarfile.CHRTYPE)), "a device"),
    "fifo": (archive(FILES, member("tiny/fifo", tarfile.FIFOTYPE)), "a device"),
    "bomb": (archive({**FILES, "tiny/zeros": bytes(module.SLACK * len(ARCHIVE))}), "20 times its expected size"),
    "bomb in a header": (archive(FILES, HEADER_BOMB), "20 times its expected size"),
    "bomb behind the end": (ARCHIVE + gzip.compress(bytes(module.SLACK * len(ARCHIVE))), "20 times its expected size"),
    "too many members": (archive(FILES, *MANY), "more than 120 files"),
    "empty": (b"", "is not the data set 'tiny'"),
    "web page": (b"<html>moved</html>", "is not the data set 'tiny'"),
    "no tar": (gzip.compress(b"not a tar" * 100), "is not the data set 'tiny'"),
    "truncated": (ARCHIVE[:-3000], "is not the data set 'tiny'"),
    "checksum": (ARCHIVE[:-8] + bytes(8), "is not the data set 'tiny'"),
    "broken picture": (archive({**FILES, "tiny/val/1.jpg": picture(0)[:300]}), ": tiny/val/1.jpg: "),
    "one column": (archive({**FILES, "tiny/val/1.jpg": picture(0, 1)}), "tiny/val/1.jpg is 1 pixels wide"),
    "odd width": (archive({**FILES, "tiny/val/1.jpg": picture(0, 63)}), "tiny/val/1.jpg is 63 pixels wide"),
    "pair missing": (archive(dict(list(FILES.items())[1:])), "train holds 2 pairs instead of 3"),
    "pair too many": (archive({**FILES, "tiny/val/9.jpg": picture(9)}), "val holds 2 pairs instead of 1"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_archive(server, tmp_path, kind):
    server.body, words = REFUSED[kind]
    refused(tmp_path, words)


# ---- what is there already


def test_complete_folder_is_kept(server, tmp_path, capsys):
    download("tiny", tmp_path)
    capsys.readouterr()
    assert download("tiny", tmp_path) == tmp_path / "tiny"
    assert len(server.requests) == 1
    assert "complete already" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["missing", "broken", "file", "link"])
def test_what_is_not_the_data_set_is_refused_and_untouched(server, tmp_path, damage):
    folder = tmp_path / "tiny"
    if damage in ("missing", "broken"):
        picture = download("tiny", tmp_path) / "test" / "1.jpg"
        picture.write_bytes(b"broken") if damage == "broken" else picture.unlink()
    else:
        folder.write_bytes(b"mine") if damage == "file" else folder.symlink_to("nowhere")
    before, requests = tree(tmp_path), len(server.requests)
    with pytest.raises(DataError, match="Move or delete it, then run 'pix2pix download tiny' again") as caught:
        download("tiny", tmp_path)
    assert str(folder) in str(caught.value)
    assert tree(tmp_path) == before and len(server.requests) == requests and os.path.lexists(folder)


# ---- the person and the disk


def test_unknown_name(tmp_path):
    with pytest.raises(ConfigError, match=r"'facade'; did you mean 'facades'.*known: facades"):
        download("facade", tmp_path)
    with pytest.raises(ConfigError, match=r"unknown data set '\.\./x' \(known"):
        download("../x", tmp_path)


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "file:///etc/passwd", "a.tar.gz", "http://", "http://a:b/", "http://a/\n"]
)
def test_url_that_is_none(tmp_path, url):
    with pytest.raises(ConfigError, match="http:// or https://"):
        download("facades", tmp_path, url=url)


def test_output_that_cannot_be_a_folder(server, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(CheckpointError, match=r"cannot write in .*file") as caught:
        download("tiny", tmp_path / "file")
    assert caught.value.exit_code == 4
    assert tree(tmp_path) == {"file": b"mine"} and server.requests == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")
def test_disk_full_while_downloading(server, tmp_path):
    (tmp_path / "tiny.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="No space left") as caught:
        download("tiny", tmp_path)
    assert str(tmp_path) in str(caught.value) and len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_disk_full_while_unpacking(server, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile, "copyfileobj", full)
    with pytest.raises(CheckpointError, match="No space left"):
        download("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []
