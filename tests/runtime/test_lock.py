"""Locks: held by a living process only, in any namespace, and released with it."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import pytest
from forked import PIPE, Program

from pix2pix.errors import CheckpointError
from pix2pix.runtime.lock import LockUnsupportedError, lock
from pix2pix.runtime.signals import Stopped, stop_when

PATH, NOTE, RUN = Path(".lock"), Path(".lock.json"), Path("run")
HOLDER = """
import os, sys, time
from pathlib import Path
from pix2pix.runtime.lock import lock
with lock(Path(".lock"), Path("run"), "training in it"):
    child = os.fork() if sys.argv[1:] else 1
    if child:
        print("held", child, flush=True)
    time.sleep(60)
"""


def holder(*words: str, before: tuple[str, ...] = ()) -> Program | subprocess.Popen:
    """Another process that holds the lock, started by the command `before` where there is one."""
    if before:
        process = subprocess.Popen([*before, sys.executable, "-c", HOLDER, *words], stdout=PIPE, text=True)
    else:
        process = Program(HOLDER, *words, stdout=PIPE)
    process.child = int(process.stdout.readline().split()[1])
    return process


def refusal() -> str:
    with pytest.raises(CheckpointError) as caught, lock(PATH, RUN, "training in it"):
        pass
    assert caught.value.exit_code == 4
    return str(caught.value)


def test_the_holder_is_named_and_its_death_frees_the_lock():
    with holder() as process:
        since = json.loads(NOTE.read_text())["since"]
        named = f"run: process {process.pid} on {os.uname().nodename}, since {since}, is training in it already; wait"
        assert refusal().startswith(named)
        process.kill()
        process.wait()
        assert NOTE.exists()
        with lock(PATH, RUN, "training in it") as note:
            assert json.loads(note.read_text())["pid"] == os.getpid()
    assert PATH.exists() and not NOTE.exists()


def test_a_child_of_the_dead_holder_does_not_keep_it():
    """As a process that reads data, which may hang."""
    with holder("fork") as process:
        process.kill()
        process.wait()
        os.kill(process.child, 0)
        with lock(PATH, RUN, "training in it", waiting=lambda holder: None):  # the child closes its copy when it runs
            os.kill(process.child, 0)
        os.kill(process.child, signal.SIGKILL)


def test_two_namespaces_of_process_numbers_are_kept_apart():
    """Containers of one host name: each has a process 1."""
    apart = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    try:
        able = subprocess.run([*apart, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("this system makes no namespaces of process numbers for us")
    with holder(before=apart) as process:
        assert json.loads(NOTE.read_text())["pid"] < 10
        code = HOLDER.replace("print(", "sys.exit(").replace(", child, flush=True", "")
        second = subprocess.run([*apart, sys.executable, "-c", code], capture_output=True, text=True)
        assert "CheckpointError: run: process 1 on" in second.stderr
        process.kill()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 900,
        "[1]",
        '{"pid": "x", "host": "h", "since": "s"}',
        '{"pid": 1}',
        '{"pid": 1e999, "host": 1, "since": 2}',
        "x" * 10**6,
        None,
    ],
)
def test_a_note_of_nobody_is_no_obstacle(text):
    """None: a FIFO, which would block who reads it."""
    with lock(PATH, RUN, "training in it"):
        NOTE.unlink()
        NOTE.write_text(text) if text is not None else os.mkfifo(NOTE)
        assert refusal().startswith("run: another process is training in it already; wait")
    assert not NOTE.exists()


def test_what_a_note_holds_reaches_the_terminal_escaped():
    with lock(PATH, RUN, "training in it"):
        NOTE.write_text(json.dumps({"pid": 7, "host": "a\x1b[2J\nb\u202e" + "c" * 500, "since": "now\r"}))
        said = refusal()
    assert said.isprintable() and len(said) < 300
    assert r"process 7 on a\x1b[2J\nb\u202eccc" in said and r"since now\r, is" in said


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "fifo"])
def test_what_is_no_file_is_refused_and_left_alone(kind):
    Path("mine").write_text("mine")
    if "link" in kind:
        PATH.symlink_to("mine" if kind == "link" else "gone")
    elif kind == "folder":
        PATH.mkdir()
    else:
        os.mkfifo(PATH)
    assert refusal() == ".lock: is not a regular file, and a lock file is needed; remove it"
    assert Path("mine").read_text() == "mine" and not Path("gone").exists() and not NOTE.exists()


def test_whoever_waits_says_so_once_and_hears_a_stop():
    said, asked = [], []
    with holder() as process:
        stop = stop_when(lambda: asked.append(1) or len(asked) > 2)
        with stop, pytest.raises(Stopped), lock(PATH, RUN, "x", said.append):
            pass
        assert len(said) == 1 and said[0].startswith(f"process {process.pid} on ")
        threading.Timer(0.3, process.kill).start()
        start = time.monotonic()
        with lock(PATH, RUN, "x", said.append):
            assert 0.2 < time.monotonic() - start < 10
    assert len(said) == 2


@pytest.mark.parametrize("removing", [False, True])
def test_never_two_at_once(removing):
    """Nor where the file is removed while it is locked, as data/staging.py does."""
    inside, most, done = [], [], []

    def hold(number):
        with lock(PATH, RUN, "x", lambda holder: None):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.005)
            inside.remove(number)
            if removing:
                PATH.unlink()
            done.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(8)))
    assert max(most) == 1 and sorted(done) == list(range(8))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_with_a_remedy(monkeypatch, number):
    def fail(handle, operation):
        raise OSError(number, os.strerror(number))

    said = r"\.lock: this file system cannot lock files .* another disk"
    with monkeypatch.context() as patch:
        patch.setattr(filelock._unix.fcntl, "flock", fail)
        with pytest.raises(LockUnsupportedError, match=said), lock(PATH, RUN, "x"):
            pass
    with lock(PATH, RUN, "x"):
        pass


def test_a_note_that_cannot_be_written_frees_the_lock():
    NOTE.mkdir()
    with pytest.raises(CheckpointError, match=r"\.lock\.json: cannot be written"), lock(PATH, RUN, "x"):
        pass
    NOTE.rmdir()
    with lock(PATH, RUN, "x"):
        pass
