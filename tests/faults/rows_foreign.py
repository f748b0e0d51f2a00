"""Rows F33 to F36: what others may put in our way: text, special files, shared folders, damage that decodes."""

import contextlib
import io
import os
import signal
import socket
import struct
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from harness import Child, Outcome
from PIL import Image

from pix2pix.config import load_config
from pix2pix.config.data import ColumnsConfig
from pix2pix.data.cache.disk import DiskCache
from pix2pix.data.cache.memory import ArraySpec
from pix2pix.data.discovery.manifest import Manifest, read_manifests
from pix2pix.data.images.files import read_image, read_info
from pix2pix.errors import Pix2PixError

NASTY = "a\x1b[31mred\x07\nerror: forged\u202egnp\u2028"


def _clean(said: str) -> bool:
    """Whether nothing in it moves a cursor, and no line of it is a forged one."""
    hidden = [c for c in said if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    return not hidden and "\nerror: forged" not in said


@contextlib.contextmanager
def _rude_server() -> Iterator[str]:
    """The address of a server whose reason for refusing holds escape codes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 404 \x1b[31mgone\x07\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x.tar.gz"
        listener.shutdown(socket.SHUT_RDWR)


def _text_cases(folder: Path, url: str) -> list[tuple[int, list[str]]]:
    """(exit code, command) whose message holds foreign text."""
    data = folder / "data"
    for name in ("1.png", f"{NASTY}.png", os.fsdecode(b"\xff\xfe.png")):
        for side in "ab":
            (data / "train" / side).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32)).save(data / "train" / side / "1.png")
            if name != "1.png":
                (data / "train" / side / name).write_bytes(b"no picture")
    named = folder / f"{NASTY}.yaml"
    named.write_text("data: 5\n")
    (folder / "key.yaml").write_text('"a\\e[31m\\nb": 1\n')
    (folder / "value.yaml").write_text('data: {layout: "\\e[31m\\nerror: forged"}\n')
    (folder / "files.csv").write_text('input,target\n"x\x1b[31m.png","y.png"\n')
    (folder / "columns.csv").write_text("\x1b[31minput,b\n")
    (folder / "lines.jsonl").write_text('{"input": "a\\u001b[31m\\nerror: forged.png", "target": "b.png"}\n')
    return [
        (3, ["check", "--data", str(folder / NASTY)]),
        (3, ["check", "--data", str(data)]),
        (3, ["train", "--config", "demo", "--data", str(data), "--output", str(folder / NASTY)]),
        (2, ["train", "--config", NASTY]),
        (2, ["train", "--config", f"{NASTY}/x.yaml"]),
        (2, ["train", "--config", str(named)]),
        (2, ["train", "--config", str(folder / "key.yaml")]),
        (2, ["train", "--config", str(folder / "value.yaml")]),
        (3, ["check", "--data", str(folder / "files.csv")]),
        (3, ["check", "--data", str(folder / "columns.csv")]),
        (3, ["check", "--data", str(folder / "lines.jsonl")]),
        (4, ["sample", "--weights", NASTY]),
        (2, ["train", "--config", "demo", "--set", f"run.output={NASTY}", "--set", NASTY]),
        (2, ["train", "--config", "demo", NASTY]),
        (2, ["configs", "show", NASTY]),
        (2, ["download", NASTY]),
        (2, ["download", "facades", "--url", NASTY]),
        (3, ["download", "facades", "--url", url, "--output", str(folder / "down")]),
        (0, ["configs", "copy", "facades", "--output", str(folder / "그림.yaml")]),  # on a screen of ASCII alone
    ]


def _ascii_screen() -> None:
    sys.stdout = open(1, "w", encoding="ascii", errors="strict", closefd=False)  # noqa: SIM115


def f33_foreign_text(count: int, folder: Path) -> Outcome:
    """Escape codes, line breaks and overrides in names, keys and answers are shown escaped, and no error is forged."""
    found = Outcome()
    os.environ["no_proxy"] = "127.0.0.1"
    with _rude_server() as url:
        for code, command in _text_cases(folder, url)[-count:]:
            with Child(command, _ascii_screen) as child:
                got = -1
                with contextlib.suppress(SystemExit, TimeoutError):
                    got = child.wait(60)
                said = child.said()
            got = 2 if got == 99 else got  # argparse leaves by SystemExit, which a child makes 99 of
            good = got == code and _clean(said) and "a bug in" not in said and "Traceback" not in said
            found.note(good, f"{command}: {got} {said[-300:]!r}")
    return found


# Special files

_SPECIAL: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "dangling": lambda path: path.symlink_to("gone"),
    "loop": lambda path: path.symlink_to(path.name),
    "socket": lambda path: _bound(path),
}


def _bound(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # an address of a socket is short
    with socket.socket(socket.AF_UNIX) as some:
        some.bind(path.name)
    os.chdir(here)


def make_cache(path: Path, seed: int = 0) -> tuple[DiskCache, Callable[[int], list[np.ndarray]]]:
    """A cache of four small pairs, and what reads them."""
    sides = [(ArraySpec((3, 40, 50), "uint8"), ArraySpec((1, 40, 50), "uint16"))] * 4

    def read(index: int) -> list[np.ndarray]:
        draw = np.random.default_rng([seed, index])
        return [draw.integers(0, 200, side.shape).astype(side.dtype) for side in sides[index]]

    return DiskCache(sides, path, bytes([seed]) * 32), read


def _fill(path: Path) -> None:
    cache, read = make_cache(path)
    cache.prepare(read)


_PLACES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "picture": ("a.png", read_image),
    "header": ("a.jpg", read_info),
    "array": ("a.npy", read_image),
    "tiff": ("a.tif", read_info),
    "manifest": ("a.csv", lambda path: read_manifests([Manifest(path)], ColumnsConfig())),
    "config": ("a.yaml", load_config),
    "cache": ("a.cache", _fill),
}


def _many_pages(path: Path) -> None:
    entry = struct.pack("<HHHII", 1, 256, 4, 1, 1)
    size = len(entry) + 4
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8)
        + b"".join(entry + struct.pack("<I", 8 + size * (page + 1)) for page in range(100_000))
        + bytes(size)
    )  # fmt: skip


def _much_exif(path: Path, content: int, count: int) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    data, part = buffer.getvalue(), b"Exif\0\0" + bytes(content)
    path.write_bytes(data[:2] + (b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part) * count + data[2:])


@contextlib.contextmanager
def within_seconds(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def f34_special_files(count: int, folder: Path) -> Outcome:
    """FIFOs, devices, folders, sockets and links to nothing in place of pictures, tables, configs and caches, and files
    of endless headers: each is refused by name at once."""
    found = Outcome()
    large = [
        ("100,000 pages", "a.tif", _many_pages),
        ("131 MB of APP1", "a.jpg", lambda path: _much_exif(path, 65_000, 2015)),
        ("a million segments", "a.jpg", lambda path: _much_exif(path, 1, 1_000_000)),
    ]
    cases = [(f"{kind} as {what}", *_PLACES[what], _SPECIAL[kind]) for what, kind in product(_PLACES, _SPECIAL)]
    cases = [(what, name, read_image, make) for what, name, make in large] + cases[:: max(1, len(cases) // count)]
    for number, (what, name, use, make) in enumerate(cases[:count]):
        path = folder / str(number) / name
        path.parent.mkdir()
        make(path)
        start, said = time.monotonic(), ""
        try:
            with within_seconds(10):
                use(path)
        except Pix2PixError as error:
            said = str(error)
        except TimeoutError as error:
            said = f"hung: {error}"
        good = said.startswith(str(path)) and time.monotonic() - start < 2 and (os.path.lexists(path))
        found.note(good, f"{what}: {said[-200:]!r} after {time.monotonic() - start:.1f} s")
    return found
