"""One process at a time makes a data set, and what a killed one leaves is cleared away."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from download_server import ARCHIVE, FILES, serving, tree

from pix2pix.data import download as module
from pix2pix.data.download import download
from pix2pix.data.staging import making, staged
from pix2pix.errors import CheckpointError
from pix2pix.runtime import claims
from pix2pix.runtime.ownership import Index, write_index

CHILD = """
import sys, time
from pix2pix.data import catalogue, download as module
from pix2pix.data.catalogue import Dataset
url, length, md5 = sys.argv[1:]
catalogue.DATASETS["tiny"] = Dataset(url, 10_000, int(length), md5, {"train": 3, "val": 1, "test": 2})
def check(folder, dataset):
    print("unpacked", flush=True)
    time.sleep(60)
module._check_side_by_side = check
module.download("tiny", ".")
"""


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def child(server):
    """A process that is in the midst of making `./tiny`."""
    entry = module.DATASETS["tiny"]
    command = [sys.executable, "-c", CHILD, entry.url, str(entry.bytes), entry.md5]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
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
    assert str(next(Path().glob(".tiny.claim-*"))) in str(caught.value)
    assert tree(Path()) == before and len(server.requests) == 1
    server.sent = 0
    download("tiny", "elsewhere")  # another folder is nobody's
    assert tree(Path("elsewhere")) == FILES and server.sent == len(ARCHIVE)


def test_what_a_killed_download_left_is_cleared_and_not_fetched_anew(server, child, capsys):
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert hidden() == [".tiny", ".tiny.claim"] and not Path("tiny").exists()
    assert Path("tiny.tar.gz.part").read_bytes() == ARCHIVE
    download("tiny", ".")
    assert tree(Path()) == {f"{name}": data for name, data in FILES.items()} and hidden() == []
    assert [wanted for wanted, _ in server.requests] == [None, f"bytes={len(ARCHIVE)}-"]
    assert server.sent == len(ARCHIVE)
    out = capsys.readouterr().out
    assert "which an interrupted run left" in out and "are here already" in out


def test_an_interruption_keeps_what_was_downloaded(server, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_check_side_by_side", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download("tiny", ".")
    assert hidden() == [] and sorted(tree(Path())) == ["tiny.tar.gz.part", "tiny.tar.gz.part.json"]
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
    with making(tmp_path / "tiny"):
        left = {path.name for path in tmp_path.iterdir() if ".claim-" not in path.name}
    assert left == {*mine, ".tiny-12345678", ".tiny-87654321"}


def test_a_claim_is_whose_process_lives(tmp_path, monkeypatch):
    folder, host, me = tmp_path / "tiny", claims._host(), psutil.Process()
    parent = psutil.Process(os.getppid())
    began = claims._began(parent.pid)
    dead = [
        f"{parent.pid}-9{began}-{host}",  # its number is another's now
        f"{parent.pid}-{began[:-1]}x-{host}",  # the machine was started anew since
        f"{me.pid}-9{claims._began(me.pid)}-{host}",  # and here it is ours
        f"999999999-1.00-{host}",
        "of no form",
    ]
    for claimant in dead:
        (tmp_path / f".tiny.claim-{claimant}").touch()
    with making(folder):
        (claim,) = tmp_path.iterdir()
        assert claim.name == f".tiny.claim-{me.pid}-{claims._began(me.pid)}-{host}"
    assert list(tmp_path.iterdir()) == []
    in_doubt = f"{parent.pid}-1.00-{host}"  # an older pix2pix has written it
    for claimant in (f"{parent.pid}-{began}-{host}", in_doubt, "1-1.00-some-other-machine"):
        living = tmp_path / f".tiny.claim-{claimant}"
        living.touch()
        with pytest.raises(CheckpointError, match=str(living)), making(folder):
            pass
        assert list(tmp_path.iterdir()) == [living]
        with making(tmp_path / "other"):  # another data set's
            pass
        living.unlink()


def test_a_claim_of_a_process_that_is_dead_but_not_yet_buried(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        dying = psutil.Process(process.pid)
        claim = tmp_path / f".tiny.claim-{process.pid}-{claims._began(process.pid)}-{claims._host()}"
        claim.touch()
        with pytest.raises(CheckpointError, match=str(process.pid)), making(tmp_path / "tiny"):
            pass
        process.send_signal(signal.SIGKILL)
        while dying.status() != psutil.STATUS_ZOMBIE:
            pass
        with making(tmp_path / "tiny"):
            assert not claim.exists()


@pytest.mark.skipif(not claims._BOOT.exists(), reason="only Linux tells ticks since its start")
def test_a_clock_that_is_set_takes_no_living_ones_claim_away(server, child, monkeypatch):
    """psutil tells the time of day at which a process began, and that moves along with the clock."""
    (claim,) = Path().glob(".tiny.claim-*")
    create_time = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create_time(self) + 3600)
    with pytest.raises(CheckpointError, match=rf"process {child.pid} on "):
        download("tiny", ".")
    assert claim.exists()


@pytest.mark.skipif(not claims._BOOT.exists(), reason="only Linux tells ticks since its start")
def test_a_process_is_told_by_its_ticks_whatever_its_name(tmp_path):
    name = "import ctypes\nctypes.CDLL(None).prctl(15, b') 7 (R', 0, 0, 0)\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert Path(f"/proc/{process.pid}/comm").read_text() == ") 7 (R\n"
        ticks, boot = claims._began(process.pid).split("@")
        started = psutil.boot_time() + int(ticks) / os.sysconf("SC_CLK_TCK")
        assert started == pytest.approx(psutil.Process(process.pid).create_time(), abs=0.02)
        assert claims._BOOT.read_text().replace("-", "").startswith(boot) and len(boot) == 12
        process.communicate(b"\n")


def test_where_only_the_clock_tells_a_claim_is_whose_process_began_about_then(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_BOOT", tmp_path / "none")
    parent, host = psutil.Process(os.getppid()), claims._host()
    assert claims._began(parent.pid) == f"{parent.create_time():.2f}"
    for seconds, lives in ((0, True), (-5, True), (100, False)):
        assert claims._lives(f"{parent.pid}-{parent.create_time() + seconds:.2f}-{host}") == lives
    assert claims._lives(f"{parent.pid}-7@0123456789ab-{host}")  # in doubt


def test_never_two_at_once(tmp_path, monkeypatch):
    inside, most, lock, done = 0, [0], threading.Lock(), []
    monkeypatch.setattr(claims, "_TRIES", 400)

    def make(number):
        nonlocal inside
        with making(tmp_path / "tiny"):
            with lock:
                inside += 1
                most.append(inside)
            threading.Event().wait(0.005)
            with lock:
                inside -= 1
                done.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(8)))
    assert max(most) == 1 and sorted(done) == list(range(8))
    assert list(tmp_path.iterdir()) == []


def test_staged(tmp_path):
    with staged(tmp_path / "tiny") as path:
        path.mkdir()
        (path / "file").write_bytes(b"whole")
        assert not (tmp_path / "tiny").exists()
    assert tree(tmp_path) == {"tiny/file": b"whole"}
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(RuntimeError), staged(tmp_path / "tiny") as path:
        path.mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
