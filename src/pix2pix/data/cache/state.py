"""The description of a cache, for the plan and for the choice of workers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Where = Literal["memory", "disk", "off"]


@dataclass(frozen=True)
class CacheState:
    """Where a split is cached.

    `nbytes`: the size of the cache; 0 where it is off. `path`: its file. `reused`: whether that file was there already.
    `folder_nbytes`: the size of all cache files in its folder. `reason`: why `auto` is off.
    """

    where: Where
    nbytes: int = 0
    path: Path | None = None
    reused: bool = False
    folder_nbytes: int = 0
    reason: str = ""

    def __str__(self) -> str:
        """Return the description that the plan shows."""
        if self.where == "off":
            return f"off: {self.reason}" if self.reason else "off"
        if self.where == "memory":
            return f"in memory, {show_bytes(self.nbytes)}"
        state = "there already" if self.reused else "to be written"
        return f"{self.path}, {show_bytes(self.nbytes)}, {state} (all caches there: {show_bytes(self.folder_nbytes)})"


def show_bytes(count: float) -> str:
    """Format a number of bytes for messages."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.{0 if unit == 'bytes' else 1}f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
