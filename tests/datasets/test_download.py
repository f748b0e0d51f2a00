"""`pix2pix download` against a server on this machine that drops, lies and serves what is hostile."""

import hashlib
import json
import os
import shutil
import tarfile
import threading
from types import SimpleNamespace

import pytest
from download_server import ARCHIVE, FILES, SLACK, archive, member, picture, refused, tiny, tree

from pix2pix.datasets import download as module
from pix2pix.datasets import fetch
from pix2pix.datasets.catalogue import DATASETS
from pix2pix.datasets.download import download
from pix2pix.errors import CheckpointError, ConfigError, DataError
from pix2pix.runtime import parallel

pytestmark = pytest.mark.usefixtures("logged")


def test_downloads_and_checks(server, tmp_path, caplog):
    folder = download("tiny", tmp_path / "new" / "data")
    assert folder == tmp_path / "new" / "data" / "tiny"
    assert tree(tmp_path / "new" / "data") == FILES
    assert server.requests == [(None, None)]
    assert folder.stat().st_mode & 0o700 == 0o700
    out = caplog.text
    assert f"{len(ARCHIVE):,} bytes" in out and "train 3, val 1, test 2" in out and "WARNING" not in out


def test_mirror_and_md5_mismatch_only_warn(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(DATASETS, "tiny", tiny("http://127.0.0.1:9/x", bytes=None, md5="0" * 32))
    download("tiny", tmp_path, url=server.url)
    assert tree(tmp_path) == FILES
    out = caplog.text
    assert f"not md5 {'0' * 32}" in out and f"{len(ARCHIVE):,} bytes" in out
    assert "WARNING" in out and hashlib.md5(ARCHIVE).hexdigest() in out and "0" * 32 in out


def test_every_core_decodes(server, tmp_path, monkeypatch):
    in_lockstep, seen = threading.Barrier(3), []

    def read(path):
        in_lockstep.wait(timeout=10)  # breaks unless three are at it at a time
        seen.append(path.parent.name)
        return module_read(path)

    module_read = module.read_image
    monkeypatch.setattr(parallel, "cores", lambda: 3)
    monkeypatch.setattr(module, "read_image", read)
    download("tiny", tmp_path)
    assert sorted(seen) == ["test", "test", "train", "train", "train", "val"]


def test_every_pair_is_decoded_however_many_there_are(monkeypatch):
    monkeypatch.setattr(parallel, "_CHUNK", 2)
    done = []
    parallel.for_each(done.append, range(5), "counting")
    assert sorted(done) == [0, 1, 2, 3, 4]

    def fail(number):
        done.append(number)
        if number in (1, 2):
            raise DataError(f"number {number}")

    done.clear()
    with pytest.raises(DataError, match="number 1"):
        parallel.for_each(fail, range(500), "counting")
    assert max(done) <= 3  # what was handed over together, no more


# ---- the network


@pytest.mark.parametrize("length", ["true", None])
def test_archive_over_the_cap(server, tmp_path, length):
    server.body, server.length = bytes(SLACK * len(ARCHIVE) + 1), length
    refused(tmp_path, f"{server.url}: larger than")


def test_odd_but_right(server, tmp_path):
    server.statuses, server.length = [503, 429], None
    folders = member("./tiny", tarfile.DIRTYPE), member("./", tarfile.DIRTYPE)
    server.body = archive({f"./{name}": data for name, data in FILES.items()}, *folders)
    download("tiny", tmp_path, url=server.url)
    assert len(server.requests) == 3
    assert tree(tmp_path) == FILES


@pytest.mark.parametrize(
    ("length", "statuses", "port", "words", "requests"),
    [
        (len(ARCHIVE) + 10, [], None, "416|closed after", fetch.ATTEMPTS),
        ("true", [404], None, "404", 1),
        ("true", [500] * fetch.ATTEMPTS, None, "500", fetch.ATTEMPTS),
        ("true", [], 1, "[Rr]efused", 0),
    ],
)
def test_network_that_gives_nothing(server, tmp_path, length, statuses, port, words, requests):
    server.body, server.length, server.statuses = ARCHIVE[:-1], length, statuses
    url = f"http://127.0.0.1:{port}/a" if port else server.url
    with pytest.raises(DataError, match=words) as caught:
        download("tiny", tmp_path, url=url)
    for word in (url, "Run the same command again", "--url"):
        assert word in str(caught.value)
    assert len(server.requests) == requests
    assert not (tmp_path / "tiny").exists() and (requests or not tree(tmp_path))


# ---- what is there already


def test_complete_folder_is_kept(server, tmp_path, caplog):
    download("tiny", tmp_path)
    caplog.clear()
    assert download("tiny", tmp_path) == tmp_path / "tiny"
    assert len(server.requests) == 1
    assert "complete already" in caplog.text


@pytest.mark.parametrize("damage", ["missing", "broken", "file", "link"])
def test_what_is_not_the_data_set_is_refused_and_untouched(server, tmp_path, damage):
    folder = tmp_path / "tiny"
    if damage in ("missing", "broken"):
        picture = download("tiny", tmp_path) / "test" / "1.jpg"
        picture.write_bytes(b"broken") if damage == "broken" else picture.unlink()
    else:
        folder.write_bytes(b"mine") if damage == "file" else folder.symlink_to("nowhere")
    before, requests = tree(tmp_path), len(server.requests)
    with pytest.raises(DataError, match="Move or delete it, then run 'pix2pix download tiny --output ") as caught:
        download("tiny", tmp_path)
    assert str(folder) in str(caught.value)
    assert tree(tmp_path) == before and len(server.requests) == requests and os.path.lexists(folder)


# ---- the person and the disk


def test_unknown_name(tmp_path):
    with pytest.raises(ConfigError, match=r"'facade'; did you mean 'facades'.*known: facades, maps, "):
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
    with pytest.raises(CheckpointError, match=r"file: cannot be written") as caught:
        download("tiny", tmp_path / "file")
    assert caught.value.exit_code == 4
    assert tree(tmp_path) == {"file": b"mine"} and server.requests == []


@pytest.mark.parametrize(("held", "free", "fits"), [(0, 1, False), (0, 2, True), (0.5, 1.4, False), (0.5, 1.6, True)])
def test_too_little_space_is_told_before_the_download(server, tmp_path, monkeypatch, held, free, fits):
    (tmp_path / "tiny.tar.gz.part").write_bytes(ARCHIVE[: int(held * len(ARCHIVE))])
    (tmp_path / "tiny.tar.gz.part.json").write_text(json.dumps({server.url: '"one"'}))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=int(free * len(ARCHIVE))))
    if fits:
        download("tiny", tmp_path)
        assert tree(tmp_path) == FILES
    else:
        before = tree(tmp_path)
        with pytest.raises(CheckpointError, match=r"tiny needs 0\.0 GB there .* 0\.0 GB are free; free some space"):
            download("tiny", tmp_path)
        assert tree(tmp_path) == before and server.requests == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")
def test_another_archive_than_the_published_one_is_refused(server, tmp_path):
    changed = {name: picture(1000 + number) for number, name in enumerate(FILES)}
    server.body = archive(changed)
    with pytest.raises(DataError, match=r"not the published archive\. Nothing was kept.*--url"):
        download("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_a_link_is_neither_continued_nor_followed(server, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "tiny.tar.gz.part").symlink_to("thesis.txt")
    (tmp_path / "tiny.tar.gz.part.json").write_text(json.dumps({server.url: '"one"'}))
    download("tiny", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine" and server.requests == [(None, None)]


def test_disk_full_while_downloading(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "open_trusted", lambda path, mode="rb": open("/dev/full", mode))  # noqa: SIM115
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
