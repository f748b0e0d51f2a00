"""Time two implementations of the same work alternately, so that other programs on the machine slow down both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from pix2pix.benchmark.machine import synchronize


@dataclass
class Times:
    """Seconds of each round: wall-clock time and CPU time."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """The plain implementation compared with ours, for one piece of work.

    `images`: in each round. `floor`: seconds for an image at the peak of the machine, arithmetic or copying. `flops`:
    for an image. `difference`: the largest between the results: relative, of losses, or of 255, of pixels; None where
    the work is random. `batch` is None where ours chooses it.
    """

    work: str
    batch: int | None
    images: int
    plain: Times
    ours: Times
    floor: float
    flops: float = 0.0
    difference: float | None = None
    plain_memory: int | None = None
    our_memory: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the medians: milliseconds per image, and how many times faster ours is in a round."""
        figures: dict[str, Any] = {"work": self.work, "batch": self.batch, "rounds": len(self.ours.wall)}
        for clock in ("wall", "cpu"):
            plain, ours = getattr(self.plain, clock), getattr(self.ours, clock)
            figures[f"plain_{clock}_ms"] = statistics.median(plain) / self.images * 1e3
            figures[f"our_{clock}_ms"] = statistics.median(ours) / self.images * 1e3
            figures[f"{clock}_ratio"] = statistics.median(a / b for a, b in zip(plain, ours, strict=True))
        return figures | {
            "gflop": self.flops / 1e9,
            "of_floor": self.floor / (statistics.median(self.ours.wall) / self.images),
            "difference": self.difference,
            "plain_memory": self.plain_memory,
            "our_memory": self.our_memory,
        }


def by_turns(
    plain: Callable[[], object], ours: Callable[[], object], rounds: int, seconds: float, device: torch.device
) -> tuple[Times, Times]:
    """Call both alternately, `rounds` times or until `seconds` have passed but at least once; return their times."""
    times = Times(), Times()
    start = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - start > seconds:
            break
        for work, taken in zip((plain, ours), times, strict=True):
            synchronize(device)
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            synchronize(device)
            taken.wall.append(time.perf_counter() - wall)
            taken.cpu.append(max(time.process_time() - cpu, 1e-9))
    return times
