"""Rows F27 to F29: what happens to processes: containers, signals, and the loss of what they read."""

import contextlib
import ctypes
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from commands import pairs
from harness import (
    PAIRS,
    STEPS,
    Child,
    Outcome,
    as_uninterrupted,
    finish,
    newest,
    training,
    trials,
    uninterrupted,
)
from ranks import torchrun

from pix2pix.data import loader

_NEW_PIDS, _NEW_MOUNTS, _PRIVATE = 0x20000000, 0x00020000, 0x44000  # of <linux/sched.h> and <linux/mount.h>


def _contained(host: str, apart: bool = True) -> Callable[[], None]:
    """What makes a child a container: with a host name and, where that may be, process numbers of its own."""

    def enter() -> None:
        platform.node = lambda: host
        if apart and not ctypes.CDLL(None).unshare(_NEW_PIDS) and (inner := os.fork()):
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) % 256)

    return enter


def f27_containers(count: int, folder: Path) -> Outcome:
    """Two trainers in one run folder, of other hosts and namespaces: the second is refused. And once the first is
    killed, whoever comes next goes on from there to the same end."""
    found, whole = Outcome(), uninterrupted(folder)[0]
    cases = [  # the two containers: host name, and whether it has process numbers of its own
        (("pod", True), ("pod", True)),
        (("pod", False), ("another-pod", False)),
        (("pod", True), ("another-pod", True)),
        (("pod", True), ("pod", False)),
        (("pod", False), ("pod", True)),
        (("pod", False), ("pod", False)),
    ]
    for number, chance in trials(count, 27):
        output, (one, other) = folder / "run", cases[number % len(cases)]
        shutil.rmtree(output, ignore_errors=True)
        flags = ["--fresh"] * (number % 2)
        with Child(training(output), _contained(*one)) as child:
            child.wait_for(f"step {chance.randrange(1, STEPS // 20)}0/")
            code, said = finish([*training(output), *flags], _contained(*other))
            child.kill()
        again, words = finish(training(output), _contained(*other))
        wrong = as_uninterrupted(output, whole) if again == 0 else words[-300:]
        refused = code == 4 and f"on {one[0]}, since" in said and "is training in it already" in said
        found.note(refused and not wrong, f"trial {number}: {code} {said[-300:]} {wrong}")
    return found


def _as_timeout_does(pid: int) -> None:
    """GNU timeout signals its child, then the whole group."""
    os.kill(pid, signal.SIGTERM)
    os.killpg(pid, signal.SIGTERM)


def _sending(name: str) -> Callable[[int], None]:
    return lambda pid: os.kill(pid, getattr(signal, name))


def _ignoring_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _with_little_time() -> None:
    """A limit of processor time: from there on the kernel sends SIGXCPU every second."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 2, resource.RLIM_INFINITY))


def f28_signals(count: int, folder: Path) -> Outcome:
    """Every signal that asks for an end, at any time: all saved, 143, and the same end; SIGPIPE and, under nohup,
    SIGHUP change nothing."""
    found, (whole, seconds) = Outcome(), uninterrupted(folder)
    named = {f"SIG{name}": _sending(f"SIG{name}") for name in ("HUP", "XCPU", "USR2", "PIPE", "ALRM")}
    kinds = {"timeout": _as_timeout_does, **named, "nohup": named["SIGHUP"], "limit": lambda pid: None}
    for number, chance in trials(count, 28):
        output, kind = folder / "run", [*kinds][number % len(kinds)]
        shutil.rmtree(output, ignore_errors=True)
        before = {"nohup": _ignoring_hangups, "limit": _with_little_time}.get(kind, lambda: None)
        longer = {"schedule__epochs": 500} if kind == "limit" else {}
        with Child(training(output, **longer), before) as child:
            child.wait_for("step 10/")
            time.sleep(chance.uniform(0, 0.4 * seconds))
            with contextlib.suppress(ProcessLookupError):
                kinds[kind](child.pid)
            code, said = child.wait(120), child.said()
        if kind == "limit":
            good = code == 143 and f"stopped at step {newest(output)['step']}, all saved" in said
            found.note(good, f"trial {number}, {kind}: {code} {said[-300:]}")
            continue
        again, words = finish(training(output))
        wrong = as_uninterrupted(output, whole) if again == 0 else words[-300:]
        expected = 0 if kind in ("SIGPIPE", "nohup") else 143
        clean = code == expected and ("all saved in" in said) == (code == 143)
        found.note(clean and not wrong, f"trial {number}, {kind}: {code} {said[-300:]} {wrong}")
    return found


def _small_shared_memory() -> None:
    """Shared memory of this process's own, so that somebody can fill it; else the shared one."""
    libc = ctypes.CDLL(None)
    if not libc.unshare(_NEW_MOUNTS) and not libc.mount(b"none", b"/", None, _PRIVATE, None):
        libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=4m")


def _fill_shared_memory(pid: int) -> None:
    """Of a child with its own; where that was not to be had, its readers get the signal that this ends in."""
    inside = Path(f"/proc/{pid}/root/dev/shm")
    if shutil.disk_usage(inside).total > 5 << 20:
        return _to_readers("SIGBUS")(pid)
    with contextlib.suppress(OSError), open(inside / "full", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def _to_readers(name: str) -> Callable[[int], None]:
    def send(pid: int) -> None:
        for worker in psutil.Process(pid).children():
            worker.send_signal(getattr(signal, name))

    return send


def _impatient() -> None:
    loader.PATIENCE = 3


def _nothing() -> None:
    """Is done before."""


def f29_lost_data(count: int, folder: Path) -> Outcome:
    """Data that go away in mid-epoch, and readers that die, hang or get no memory: the run ends with 3, all that was
    trained is saved first, and with the data back it goes on to the same end."""
    found, root, kept = Outcome(), folder / "data", folder / "kept"
    pairs(root, "train", count=PAIRS)
    pairs(root, "val", count=2)
    shutil.copytree(root, kept)
    train = root / "train"
    reading = {"data__layout": "auto", "data__root": str(root), "data__cache": "off", "data__load_size": 32}

    def spoil(_: int) -> None:
        for path in train.iterdir():
            path.write_bytes(path.read_bytes()[:60])

    def run(output: Path, workers: int) -> list[str]:
        return training(output, **reading, data__workers=workers)

    whole = folder / "whole-on-disk"
    code, said = finish(run(whole, 0))
    assert code == 0, said
    ways = [  # what is lost and what is said, of how many readers, and what happens before
        (lambda _: train.rename(root / "gone"), "no such file", 0, _nothing),
        (_fill_shared_memory, "out of shared memory (/dev/shm)", 2, _small_shared_memory),
        (spoil, "cannot be read as an image", 2, _nothing),
        (_to_readers("SIGKILL"), "a process that reads data was killed", 2, _nothing),
        (_to_readers("SIGSTOP"), "returned no batch for 3 seconds", 2, _impatient),
        (lambda _: (train / "0.png").unlink(), "another rank cannot read its data", -2, _nothing),
    ]
    for number, chance in trials(count, 29):
        lose, words, workers, before = ways[number % len(ways)]
        output, at = folder / "run", chance.randrange(1, STEPS // 15) * 10
        shutil.rmtree(output, ignore_errors=True)
        if workers < 0:
            code, said = _two_ranks(run(output, 0), 10, lose)
        else:
            with Child(run(output, workers), before) as child:
                child.wait_for(f"step {at}/")
                lose(child.pid)
                code, said = child.wait(90), child.said()
        shutil.rmtree(root)
        shutil.copytree(kept, root)
        step = newest(output)["step"]
        told = f"everything up to step {step} is saved, and the same command resumes" in said
        bugs = "a bug in" if workers < 0 else "Traceback"  # torchrun prints one of its own
        clean = (
            words in said
            and bugs not in said
            and step >= (at if workers >= 0 else 10)
            and (told or step % (PAIRS // 2) == 0)
        )
        again, more = finish(run(output, 0)) if workers >= 0 else (0, "")
        wrong = as_uninterrupted(output, whole) if workers >= 0 and again == 0 else more[-300:]
        good = code == (3 if workers >= 0 else 1) and clean and not wrong
        found.note(good, f"trial {number}: {code} step {step} {said[-400:]} {wrong}")
    return found


def _two_ranks(command: list[str], at: int, lose: Callable[[int], None]) -> tuple[int, str]:
    """A run of two ranks, of which one loses its data: torchrun's code, which is 1, and all that was said."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests / "faults"), *sys.path])
    words = [*command, "--set", "data.batch_size=2"]
    process = torchrun(2, *words, stderr=subprocess.STDOUT, env={"PYTHONPATH": path})
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(f"step {at}/"):
            lose(process.pid)
            break
    return process.wait(90), "".join(said) + process.stdout.read()
