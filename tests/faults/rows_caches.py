"""Rows F35 and F36: cache folders that others write to, and damaged images that decode."""

import contextlib
import io
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from harness import Outcome, trials
from PIL import Image
from rows_foreign import make_cache, within_seconds

from pix2pix.data import draw_pair
from pix2pix.data.images.files import read_image
from pix2pix.datasets.fetch import PartialDownload
from pix2pix.errors import DataError, Pix2PixError


def _values(path: Path, other: bool = False) -> list[np.ndarray]:
    cache, read = make_cache(path)
    cache.prepare(read)
    if other:
        os.truncate(path, 100)
    return [array.numpy() for index in range(4) for array in cache.get(index, read)]


def _right(path: Path, other: bool = False) -> bool:
    read = make_cache(path)[1]
    want = [array for index in range(4) for array in read(index)]
    with contextlib.redirect_stderr(io.StringIO()):
        return all(map(np.array_equal, _values(path, other), want))


def _refused(use: Callable[[], object]) -> bool:
    try:
        with within_seconds(10):
            use()
    except Pix2PixError:
        return True
    return False


def _stranger(path: Path) -> None:
    """Gives a file to another user, where we may."""
    with contextlib.suppress(PermissionError):
        os.chown(path, 54321, 54321)


def _shared_cases(folder: Path) -> Iterator[tuple[str, bool]]:
    victim, path, root = folder / "victim", folder / "cache/a.cache", os.geteuid() == 0
    victim.write_text("thesis")

    def safe() -> bool:
        return victim.read_text() == "thesis"

    yield (
        "folder and file are private",
        (_right(path) and path.parent.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o777 == 0o600),
    )
    yield "a file that is cut in use", _right(path, other=True)
    yield "and the next run", _right(path)
    _stranger(path)
    yield "a file of another user", not root or _refused(lambda: _values(path))
    path.unlink()
    path.symlink_to(victim)
    yield "a link for the cache", _refused(lambda: _values(path)) and safe()
    path.unlink()
    for name in (f".{path.name}.tmp", f".{path.name}.tmp-aaaaaaaa"):
        (path.parent / name).symlink_to(victim)
    yield "links for temporary files", _right(path) and safe()
    path.unlink()
    lock = path.with_name(f".{path.name}.lock")
    lock.unlink(missing_ok=True)  # a build leaves its own
    lock.symlink_to(victim)
    yield "a link for the lock", _refused(lambda: _values(path)) and safe()
    lock.unlink()
    os.mkfifo(lock)
    yield "a FIFO for the lock", _refused(lambda: _values(path))
    lock.unlink()
    older = path.with_name("a.cache-older")
    older.write_text("theirs")
    _stranger(older)
    yield "a predecessor of another user stays", _right(path) and (not root or older.exists())
    part = PartialDownload(folder / "x.tar.gz.part")
    part.path.symlink_to(victim)
    part.note.write_text('{"http://a": "tag"}')
    yield "a link for a part is not continued", part.resumable("http://a") == (0, None)
    part.begin("http://a", "tag")
    yield "nor followed", safe() and not part.path.is_symlink()
    part.path.write_bytes(b"poison")
    own = part.resumable("http://a") == (6, "tag")
    _stranger(part.path)
    yield "a part of another user", own and (not root or part.resumable("http://a") == (0, None))


def f35_shared_cache(count: int, folder: Path) -> Outcome:
    """Links, FIFOs and files of another user in the cache folder and for parts of downloads: nothing of anybody else's
    is read, changed or removed, and a file that is cut while it is used ends nothing."""
    found = Outcome()
    for number in range(-(-count // 12)):
        (folder / str(number)).mkdir()
        for what, good in _shared_cases(folder / str(number)):
            if found.tried < count:
                found.note(good, what)
        shutil.rmtree(folder / str(number))
    return found


def _picture(seed: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    options = {
        "JPEG": {},
        "progressive JPEG": {"progressive": True},
        "JPEG with restarts": {"restart_marker_blocks": 8},
    }
    pixels = np.hstack(draw_pair(seed))
    pixels = (pixels + np.random.default_rng(seed).normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)
    how = options.get(kind, {}) | {"quality": 60 + seed % 36}
    Image.fromarray(pixels).save(buffer, "WEBP" if kind == "WebP" else "JPEG", **how)
    return buffer.getvalue()


def _halved(data: bytes, kind: str, _: object) -> bytes:
    """Half of the coded pixels, and an end as if that were all."""
    start = data.rfind(b"VP8 ") + 8 if kind == "WebP" else data.find(b"\xff\xda")
    half = data[: start + (len(data) - start) // 2]
    if kind != "WebP":
        return half + b"\xff\xd9"
    half = half[: len(half) // 2 * 2]
    sized = half[: start - 4] + struct.pack("<I", len(half) - start) + half[start:]
    return sized[:4] + struct.pack("<I", len(sized) - 8) + sized[8:]


def _zeroed(data: bytes, kind: str, chance) -> bytes:
    """4 KB of zeros amid the coded pixels, as a lost block of a disk."""
    start = data.rfind(b"VP8 ") + 400 if kind == "WebP" else data.find(b"\xff\xda") + 20
    at = chance.randrange(start, len(data) - 4200)
    return data[:at] + bytes(4096) + data[at + 4096 :]


def _reads(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    with contextlib.suppress(DataError):
        read_image(path)
        return True
    return False


def f36_damaged_but_decoding(count: int, folder: Path) -> Outcome:
    """Whole files are read, and JPEG files with half of their data are refused. How many of the other damaged files are
    refused is counted."""
    found = Outcome()
    for number, chance in trials(count, 36):
        for kind in ("JPEG", "progressive JPEG", "JPEG with restarts", "WebP"):
            data, path = _picture(number, kind), folder / ("a.webp" if kind == "WebP" else "a.jpg")
            found.note(_reads(path, data), f"{number}: a whole {kind} is refused")
            for name, damage in (("half", _halved), ("zeros", _zeroed)):
                refused = not _reads(path, damage(data, kind, chance))
                found.count(f"{kind}, {name}: refused", refused)
                if name == "half" and kind not in ("WebP", "progressive JPEG"):
                    found.note(refused, f"{number}: {kind}, {name}, is read")
    return found
