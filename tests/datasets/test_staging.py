"""One process at a time builds a data set, and what a killed one leaves is removed."""

import logging
import shutil
import signal
from pathlib import Path

import pytest
from download_server import ARCHIVE, FILES, tree
from forked import PIPE, Program

from pix2pix.datasets import download as module
from pix2pix.datasets.download import download
from pix2pix.datasets.staging import atomic_dir, exclusive_build
from pix2pix.errors import CheckpointError
from pix2pix.runtime.ownership import Index, write_index

CHILD = """
import sys, time
from pix2pix.datasets import catalogue
from pix2pix.datasets import download as module
from pix2pix.datasets.catalogue import Dataset
url, length, md5 = sys.argv[1:]
catalogue.DATASETS["tiny"] = Dataset(url, 10_000, int(length), md5, {"train": 3, "val": 1, "test": 2})
def check(folder, dataset):
    print("unpacked", flush=True)
    time.sleep(60)
module._check_side_by_side = check
module.download("tiny", ".")
"""


@pytest.fixture
def child(server):
    """A process that is building `./tiny`."""
    entry = module.DATASETS["tiny"]
    with Program(CHILD, entry.url, entry.bytes, entry.md5, stdout=PIPE) as process:
        assert any(line == "unpacked\n" for line in process.stdout)
        yield process
        process.kill()


def hidden() -> list[str]:
    return sorted(path.name.split("-")[0] for path in Path().iterdir() if path.name.startswith("."))


def test_a_second_download_of_the_same_name_is_refused(server, child):
    before = tree(Path())
    with pytest.raises(CheckpointError, match=rf"tiny: process {child.pid} on .* is making it already; wait") as caught:
        download("tiny", ".")
    assert caught.value.exit_code == 4
    assert tree(Path()) == before and len(server.requests) == 1
    server.sent = 0
    download("tiny", "elsewhere")  # another folder is nobody's
    assert tree(Path("elsewhere")) == FILES and server.sent == len(ARCHIVE)


def test_what_a_killed_download_left_is_removed_and_not_downloaded_again(server, child, caplog):
    caplog.set_level(logging.INFO, "pix2pix")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert hidden() == [".tiny", ".tiny.lock", ".tiny.lock.json"] and not Path("tiny").exists()
    assert Path("tiny.tar.gz.part").read_bytes() == ARCHIVE
    download("tiny", ".")
    assert tree(Path()) == FILES and hidden() == []
    assert [wanted for wanted, _ in server.requests] == [None, f"bytes={len(ARCHIVE)}-"]
    assert server.sent == len(ARCHIVE)
    out = caplog.text
    assert "which an interrupted run left" in out and "are here already" in out


def test_an_interruption_keeps_what_was_downloaded(server, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_check_side_by_side", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download("tiny", ".")
    assert sorted(tree(Path())) == ["tiny.tar.gz.part", "tiny.tar.gz.part.json"]
    download("tiny", ".")
    assert tree(Path()) == FILES and server.sent == len(ARCHIVE)


def test_only_what_is_ours_is_cleared(tmp_path):
    mine = [".tiny-notes", ".tiny-ABCDEFGH", ".tiny-abcdefghi", ".other-abcdefgh", "tiny-abcdefgh"]
    mine += [".tiny-original", ".tiny-pictures"]  # eight letters, as ours have
    for name in (*mine, ".tiny-abcd_123"):
        (tmp_path / name).mkdir()
    write_index(tmp_path / ".tiny-abcd_123", Index("staging"))
    write_index(tmp_path / ".tiny-pictures", Index("translations"))
    (tmp_path / ".tiny-12345678").write_bytes(b"a file")
    (tmp_path / ".tiny-87654321").symlink_to(tmp_path / ".tiny-notes", target_is_directory=True)
    with exclusive_build(tmp_path / "tiny"):
        left = {path.name for path in tmp_path.iterdir() if ".lock" not in path.name}
    assert left == {*mine, ".tiny-12345678", ".tiny-87654321"}


def test_staged(tmp_path):
    with atomic_dir(tmp_path / "tiny") as path:
        path.mkdir()
        (path / "file").write_bytes(b"whole")
        assert not (tmp_path / "tiny").exists()
    assert tree(tmp_path) == {"tiny/file": b"whole"}
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(RuntimeError), atomic_dir(tmp_path / "tiny") as path:
        path.mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
