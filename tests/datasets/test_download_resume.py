"""Interrupted downloads resume, but only with the same file of the same server."""

import json

import pytest
from download_server import ARCHIVE, FILES, archive, picture, refused, tree

from pix2pix.datasets import fetch
from pix2pix.datasets.download import download
from pix2pix.errors import DataError

pytestmark = pytest.mark.usefixtures("logged")


def test_resumes_after_dropped_connections(server, tmp_path):
    third = len(ARCHIVE) // 3
    server.drops = [third, third]
    download("tiny", tmp_path)
    assert tree(tmp_path) == FILES
    assert server.requests == [(None, None), (f"bytes={third}-", '"one"'), (f"bytes={2 * third}-", '"one"')]
    assert server.sent == len(ARCHIVE)


def test_resumes_after_silence(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    server.drops = [1000]
    server.stall.clear()
    download("tiny", tmp_path)
    assert tree(tmp_path) == FILES
    assert server.requests[1:] == [("bytes=1000-", '"one"')]
    assert "timed out" in caplog.text


def test_same_command_continues_after_giving_up(server, tmp_path):
    server.drops = [1000, *[0] * (fetch.ATTEMPTS - 1)]
    with pytest.raises(DataError, match="Run the same command again to continue"):
        download("tiny", tmp_path)
    assert len(server.requests) == fetch.ATTEMPTS
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
    server.etag, server.drops = None, [1000] * fetch.ATTEMPTS
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
    server.drops = [1000, *[0] * (fetch.ATTEMPTS - 1)]
    with pytest.raises(DataError):
        download("tiny", tmp_path)
    changed = {name: picture(1000 + number) for number, name in enumerate(FILES)}
    server.body, server.etag, server.if_range = archive(changed), '"two"', if_range
    download("tiny", tmp_path, url=server.url)
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


def test_length_that_is_more_than_the_whole_archive(server, tmp_path, caplog):
    server.length = len(ARCHIVE) + 10
    download("tiny", tmp_path)
    assert [wanted for wanted, _ in server.requests] == [None, f"bytes={len(ARCHIVE)}-"]
    assert server.sent == len(ARCHIVE) and tree(tmp_path) == FILES
    assert f"all {len(ARCHIVE):,} bytes are here already" in caplog.text


@pytest.mark.parametrize("length", [10, len(ARCHIVE) - 10, None])
def test_truncation_that_the_server_does_not_own_up_to(server, tmp_path, length):
    server.length, server.body = length, ARCHIVE if length else ARCHIVE[:-1]
    refused(tmp_path, server.url)
