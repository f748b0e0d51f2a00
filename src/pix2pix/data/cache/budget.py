"""Choose where decoded pairs are cached, before any pixel is read.

Nothing here depends on images: a pair is a few arrays, and `ArraySpec` describes each.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs
import psutil

from pix2pix.data.cache.disk import DiskCache
from pix2pix.data.cache.memory import ArraySpec, MemoryCache, PackedArrays
from pix2pix.data.cache.state import CacheState, show_bytes
from pix2pix.runtime.io import free_space
from pix2pix.runtime.log import debug

_SHARE_OF_FREE_MEMORY = 0.25


def cache_folder() -> Path:
    """Return the folder of cache files: PIX2PIX_CACHE, else `pix2pix` in the user's cache folder of this system."""
    if chosen := os.environ.get("PIX2PIX_CACHE"):
        return Path(chosen)
    try:
        folder = platformdirs.user_cache_path("pix2pix", appauthor=False, opinion=False)
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # no home folder, as in some containers; older versions leave "~" in the path
        return Path(tempfile.gettempdir(), "pix2pix")
    return folder


def free_memory() -> int:
    """Return the bytes that are available on this machine and, in a container, within its limit (cgroup v2)."""
    free: int = psutil.virtual_memory().available
    try:
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no limit, or "max"
        return free
    return max(0, min(free, limit - used))


def total_memory() -> int:
    """Return the memory of this machine or, in a container, its limit (cgroup v2)."""
    total: int = psutil.virtual_memory().total
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no limit, or "max"
        return total


class CacheBudget:
    """The space for caches: a quarter of the free memory, and the free disk space. The splits of a run share a budget.

    Each rank of a machine caches its own copy in memory, so the quarter is divided among them.
    """

    def __init__(self) -> None:
        self.memory = _SHARE_OF_FREE_MEMORY * free_memory() / int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        self.disk = free_space(cache_folder() / "file")


def open_cache(
    choice: str,
    specs: Sequence[Sequence[ArraySpec]],
    key: Callable[[], bytes],
    cache_prefix: str | None = None,
    budget: CacheBudget | None = None,
) -> tuple[PackedArrays | None, CacheState]:
    """Choose where to cache arrays of these `specs`; return the cache, or None for no cache, and its description.

    `choice`: `memory`, `disk` or `off`; `auto` is memory if they fit into `budget`, else disk if they fit there or are
    there already, else off. `key` is called only if a file may be used. `cache_prefix`: see `DiskCache`.
    """
    budget = budget or CacheBudget()
    size = sum(spec.nbytes for pair in specs for spec in pair)
    if choice != "off":
        room = f"room for {show_bytes(budget.memory)} in memory and {show_bytes(budget.disk)} in {cache_folder()}"
        debug(f"data.cache {choice}: {show_bytes(size)} of pairs, {room}")
    if choice == "memory" or (choice == "auto" and size <= budget.memory):
        budget.memory -= size
        return MemoryCache(specs), CacheState("memory", size)
    if choice == "off":
        return None, CacheState("off")
    folder, name = cache_folder(), cache_prefix or "pairs-"
    digest = key()
    cache = DiskCache(specs, folder / f"{name}{digest.hex()[:32]}.cache", digest, cache_prefix)
    reused = cache.exists()
    if choice == "auto" and not reused and cache.size > budget.disk:
        reason = (
            f"{show_bytes(size)} fit neither a quarter of the free memory nor {folder} ({show_bytes(budget.disk)} free)"
        )
        return None, CacheState("off", reason=reason)
    budget.disk -= 0 if reused else cache.size
    return cache, CacheState("disk", cache.size, cache.path, reused, _folder_nbytes(folder))


def _folder_nbytes(folder: Path) -> int:
    """Return the size of all cache files."""
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return 0
