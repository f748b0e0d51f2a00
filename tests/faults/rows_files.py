"""Row F11: weights files that were made to do harm: to run something, to take all memory, or to be believed."""

import math
import os
import pickle
import random
import resource
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from harness import Outcome, uninterrupted

from pix2pix.errors import Pix2PixError
from pix2pix.weights import load_generator_file

MEMORY, SECONDS = 10**9, 5  # what reading one may take
_ZEROS = 1500 << 20


class Call:
    """Calls something when it is unpickled."""

    def __init__(self, function: Callable, *arguments: object):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Getattr:
    """A chain of getattr to a forbidden function, as pickles that hide it have."""

    def __init__(self, canary: str):
        self.canary = canary

    def __reduce__(self):
        return eval, (f"__import__('os').mkdir({self.canary!r})",)


def archive_of(path: Path, content: bytes, more: dict[str, bytes] | None = None) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {"x/data.pkl": content, "x/version": b"3\n", **(more or {})}.items():
            archive.writestr(name, data)


def _bomb(path: Path, name: str, head: bytes = b"", end: bytes = b"") -> None:
    """An archive of a megabyte that holds 1.5 GB of zeros under a name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x/version", b"3\n")
        if not name.endswith(".pkl"):
            archive.writestr("x/data.pkl", b"\x80\x02N.")
        with archive.open(name, "w", force_zip64=True) as file:
            file.write(head)
            for _ in range(_ZEROS >> 20):
                file.write(bytes(1 << 20))
            file.write(end)


def _changed(source: Path, path: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            new.writestr(*change(entry.filename, old.read(entry)))


def _harmful(gen: Path, folder: Path, canary: str) -> list[Path]:
    """Forty of them."""
    content = torch.load(gen, weights_only=True)
    name = next(iter(content["state_dict"]))

    def saved(path: Path, **changes: object) -> None:
        torch.save(content | changes, path)

    def weights(value: object) -> dict:
        return content["state_dict"] | {name: value}

    def config(**changes: object) -> dict:
        generator = content["config"]["model"]["generator"] | changes
        return content["config"] | {"model": content["config"]["model"] | {"generator": generator}}

    calls = [
        *(Call(function, canary) for function in (os.mkdir, os.makedirs)),
        *(Call(os.system, f"mkdir '{canary}'"), Call(exec, f"import os; os.mkdir({canary!r})"), Getattr(canary)),
        *(Call(bytearray, 10**10), Call(torch.Size, [10**9] * 3), Call(torch.Tensor, 10**9), Call(__import__, "os")),
        *(Call(math.factorial, 10**6), Call(pickle.loads, pickle.dumps(Call(os.mkdir, canary)))),
    ]
    makers: list[Callable[[Path], object]] = []
    for call in calls:
        makers.append(lambda path, call=call: path.write_bytes(pickle.dumps(call, 2)))
        makers.append(lambda path, call=call: archive_of(path, pickle.dumps({"step": call}, 2)))
    makers += [
        lambda path: saved(path, step=Call(os.mkdir, canary)),
        lambda path: _bomb(path, "x/data.pkl", b"\x80\x02X" + struct.pack("<I", _ZEROS), b"."),
        lambda path: _bomb(path, "x/data/0"),
        lambda path: archive_of(path, pickle.dumps(Call(os.mkdir, canary), 4)),
        lambda path: archive_of(path, b"\x80\x02N.", {"../../canary": b"x", "/etc/canary": b"x"}),
        lambda path: archive_of(path, b"\x80\x02N.", {"x/other.pkl": pickle.dumps(Call(os.mkdir, canary))}),
        lambda path: _changed(gen, path, lambda n, c: (n.replace("/data/0", "/../../../data/0"), c)),
        lambda path: _changed(gen, path, lambda n, c: (n, b"" if "/data/" in n else c)),
        lambda path: _changed(gen, path, lambda n, c: (n, c[:1] if "/data/" in n else c)),
        lambda path: path.write_bytes(struct.pack("<Q", 10**8) + b"{" * 10**6),  # a safetensors header of 100 MB
        lambda path: saved(path, state_dict=weights(torch.zeros(1).expand(10**5, 10**4))),
        lambda path: saved(path, state_dict=weights(torch.full_like(content["state_dict"][name], math.nan))),
        lambda path: saved(path, state_dict=weights(torch.full_like(content["state_dict"][name], math.inf))),
        lambda path: saved(path, state_dict=weights(torch.zeros(0))),
        lambda path: saved(path, config=config(base_channels=10**9)),
        lambda path: saved(path, config=config(base_channels=60_000)),
        lambda path: saved(path, config=config(name="os.system")),
        lambda path: saved(path, version=10**30),
    ]
    assert len(makers) == 40
    paths = [folder / f"{number}.pt" for number in range(len(makers))]
    for path, make in zip(paths, makers, strict=True):
        make(path)
    return paths


def f11_harmful(count: int, folder: Path) -> Outcome:
    """Weights files that call, grow or lie: nothing is run, under 1 GB, under 5 s, and our own error."""
    found, canary = Outcome(), folder / "canary"
    whole, _ = uninterrupted(folder)
    (folder / "harmful").mkdir()
    paths = _harmful(whole / "gen.pt", folder / "harmful", str(canary))
    random.Random(11).shuffle(paths)
    for path in paths[:count]:
        said, seconds, grown = read_apart(load_generator_file, path)
        found.count("canaries fired", canary.exists())
        good = said == "refused" and seconds < SECONDS and grown < MEMORY
        found.note(good and not canary.exists(), f"{path.name}: {said}, {seconds:.1f} s, {grown:,} bytes")
    return found


def read_apart(read: Callable[[Path], object], path: Path) -> tuple[str, float, int]:
    """Reads a file in a process of its own: "refused" or what else happened, the seconds and the bytes that it took."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        start, said = time.monotonic(), "it was read"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            read(path)
        except Pix2PixError as error:
            said = "refused" if "\n" not in str(error) else str(error)[:200]
        except BaseException as error:  # whatever it is, it is told
            said = repr(error)[:200]
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        os.write(writing, f"{said}\n{time.monotonic() - start}\n{grown}".encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading) as pipe:
        said, seconds, grown = [*pipe.read().rsplit("\n", 2), "99", "0"][:3] if status == 0 else ("it died", "99", "0")
    return said, float(seconds), int(grown)
