"""Where decoded pairs are kept from epoch to epoch, chosen before anything is read; `cache_file` keeps them.

It knows nothing of pictures: a pair is a few arrays, and `Side` says what each is.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pix2pix.data.cache.disk import FORMAT, DiskCache
from pix2pix.data.cache.memory import ArraySpec, MemoryCache, PackedArrays
from pix2pix.data.fingerprint import content_digest
from pix2pix.errors import DataError
from pix2pix.runtime.io import free_space

if TYPE_CHECKING:
    from pix2pix.data.pairs import Pair

_SHARE_OF_FREE_MEMORY = 0.25


def cache_folder() -> Path:
    """Where cache files lie: PIX2PIX_CACHE, else `pix2pix` in the user's cache folder of this system."""
    if chosen := os.environ.get("PIX2PIX_CACHE"):
        return Path(chosen)
    variable, below_home = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}.get(
        sys.platform, ("XDG_CACHE_HOME", ".cache")
    )
    try:
        base = os.environ.get(variable) or Path.home() / below_home
    except RuntimeError:  # nobody's home, as in some containers
        base = tempfile.gettempdir()
    return Path(base) / "pix2pix"


def free_memory() -> int:
    """Bytes that can be had, by the machine and, in a container, by its limit (cgroup v2)."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # none, or "max"
        return free
    return max(0, min(free, limit - used))


class CacheBudget:
    """What caches may take: a quarter of the free memory, and the free disk. The splits of a run share one.

    Each rank on a machine keeps its own copy in memory, and so has its part of the quarter.
    """

    def __init__(self):
        self.memory = _SHARE_OF_FREE_MEMORY * free_memory() / int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        self.disk = free_space(cache_folder() / "file")


def cache_key(pairs: Sequence["Pair"], recipe: str) -> bytes:
    """32 bytes that change with any file's path, size or time, with what a pair makes of it, and with `recipe`.

    They also change with the content of a sample of the files (see `content_digest`), since a file can be replaced with
    its size and time kept. Raises DataError where a file is gone.
    """
    digest = hashlib.sha256(repr((FORMAT, recipe, content_digest(pairs))).encode())
    for pair in pairs:
        own = {name: value for name, value in vars(pair).items() if not isinstance(value, Path)}
        digest.update(repr((type(pair).__name__, own)).encode())
        for path in pair.files:
            try:
                stat = path.stat()
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}); mend or remove it") from None
            digest.update(
                repr((os.path.abspath(path), stat.st_size, stat.st_mtime_ns)).encode("utf-8", "surrogatepass")
            )
    return digest.digest()


def open_cache(
    wish: str,
    specs: Sequence[Sequence[ArraySpec]],
    key: Callable[[], bytes],
    cache_prefix: str | None = None,
    room: CacheBudget | None = None,
) -> tuple[PackedArrays | None, str]:
    """Where to keep arrays as `sides` says, and that in words; None where they are not kept.

    `wish`: `memory`, `disk` and `off` are obeyed; `auto` is memory where they fit into `room`, else disk where they fit
    there or are there already, else off. `key` is asked for only where a file may be used. `family`: see `DiskCache`.
    """
    room = room or CacheBudget()
    size = sum(spec.nbytes for pair in specs for spec in pair)
    if wish == "memory" or (wish == "auto" and size <= room.memory):
        room.memory -= size
        return MemoryCache(specs), f"in memory, {show_bytes(size)}"
    if wish == "off":
        return None, "off"
    folder, name = cache_folder(), cache_prefix or "pairs-"
    digest = key()
    cache = DiskCache(specs, folder / f"{name}{digest.hex()[:32]}.cache", digest, cache_prefix)
    ready = cache.exists()
    if wish == "auto" and not ready and cache.size > room.disk:
        return None, (
            f"off: {show_bytes(size)} fit neither a quarter of the free memory nor {folder} "
            f"({show_bytes(room.disk)} free)"
        )
    room.disk -= 0 if ready else cache.size
    state = "there already" if ready else "to be written"
    return cache, f"{cache.path}, {show_bytes(cache.size)}, {state} (all caches there: {show_bytes(_held(folder))})"


def _held(folder: Path) -> int:
    """Bytes of all cache files."""
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return 0


def show_bytes(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.{0 if unit == 'bytes' else 1}f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
