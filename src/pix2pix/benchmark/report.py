"""Run the whole benchmark and report the results as fields and as a Markdown table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pix2pix.benchmark import cases
from pix2pix.benchmark.machine import copy_bandwidth, matrix_peak, processor_name
from pix2pix.benchmark.measure import Comparison
from pix2pix.runtime.device import pick_device
from pix2pix.runtime.log import info
from pix2pix.runtime.memory import retain_freed_memory
from pix2pix.runtime.signals import raise_if_stopped


@dataclass(frozen=True)
class Report:
    """The machine, its measured peaks, and the comparisons."""

    processor: str
    torch_version: str
    threads: int
    size: int
    width: int
    peak: float
    bandwidth: float
    comparisons: Sequence[Comparison]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as the object of `--json`: milliseconds per image, bytes, and FLOP/s."""
        machine = {name: value for name, value in vars(self).items() if name != "comparisons"}
        return machine | {"comparisons": [comparison.to_dict() for comparison in self.comparisons]}

    @property
    def heading(self) -> str:
        """The heading: the machine and the networks."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return (
            f"{self.processor}, {threads}, torch {self.torch_version}; {self.size} x {self.size} pixels, width "
            f"{self.width}; fp32 matrix peak {self.peak / 1e9:.0f} GFLOP/s, copies {self.bandwidth / 1e9:.1f} GB/s"
        )

    def __str__(self) -> str:
        rows = [
            [
                "work",
                "batch",
                "plain, ms",
                "ours, ms",
                "times faster",
                "by CPU time",
                "of the floor",
                "memory, MiB",
                "difference",
            ],
            *(_row(comparison.to_dict()) for comparison in self.comparisons),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        rows.insert(1, ["-" * width for width in widths])
        lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([f"{self.heading}.", "", *(f"| {line} |" for line in lines)])


def _row(figures: dict[str, Any]) -> list[str]:
    memory = [figures["plain_memory"], figures["our_memory"]]
    sizes = [str(round(size / 2**20)) for size in memory if size is not None]
    difference = figures["difference"]
    return [
        figures["work"],
        "-" if figures["batch"] is None else str(figures["batch"]),
        f"{figures['plain_wall_ms']:.1f}" if figures["plain_wall_ms"] >= 1 else f"{figures['plain_wall_ms']:.3f}",
        f"{figures['our_wall_ms']:.1f}" if figures["our_wall_ms"] >= 1 else f"{figures['our_wall_ms']:.3f}",
        f"{figures['wall_ratio']:.2f}",
        f"{figures['cpu_ratio']:.2f}",
        f"{figures['of_floor']:.0%}",
        " / ".join(sizes) or "-",
        "-"
        if difference is None
        else f"{difference:.0f} of 255"
        if figures["work"] == "sampling"
        else f"{difference:.0e}",
    ]


def benchmark(
    batches: Sequence[int],
    size: int = 256,
    width: int = 64,
    pairs: int = 32,
    rounds: int = 15,
    seconds: float = 60,
    device: str = "auto",
) -> Report:
    """Compare the plain implementation with ours on drawn facades.

    Each comparison lasts `rounds` rounds, or fewer once `seconds` have passed; the epoch and the sampling have `pairs`
    images. From the first comparison on, the process keeps freed memory, as `pix2pix train` does: the plain way gains
    from it too. Raises DeviceError, and Stopped.
    """
    chosen = pick_device(device)
    peak, bandwidth = matrix_peak(chosen), copy_bandwidth(chosen)
    machine = processor_name(chosen), torch.__version__, torch.get_num_threads(), size, width, peak, bandwidth
    info(Report(*machine, []).heading)
    with cases.drawn_pairs(pairs, size) as root:
        settings = cases.Settings(root, size, width, chosen, rounds, seconds, peak, bandwidth)
        memory = {batch: cases.step_memory(settings, batch) for batch in batches}
        retain_freed_memory()
        comparisons = []
        for batch in batches:
            step = cases.compare_steps(settings, batch, memory[batch])
            comparisons.append(_shown(step))
            comparisons.append(_shown(cases.compare_loaders(settings, batch)))
            comparisons.append(_shown(cases.compare_epochs(settings, batch, step.flops)))
        comparisons.append(_shown(cases.compare_sampling(settings)))
    return Report(*machine, comparisons)


def _shown(comparison: Comparison) -> Comparison:
    raise_if_stopped()
    figures = comparison.to_dict()
    batch = "" if comparison.batch is None else f" at batch {comparison.batch}"
    info(
        f"{comparison.work}{batch}: plain {figures['plain_wall_ms']:.4g} ms an image, "
        f"ours {figures['our_wall_ms']:.4g}, {figures['wall_ratio']:.2f} times faster"
    )
    return comparison
