"""Compare the cost of a checkpoint with that of a bare write: python scripts/checkpoint_cost.py.

Saves the state of the paper's networks (54 million parameters and Adam's two numbers for each) as training does, and
writes and flushes the same number of bytes in one go. Prints the median of each and their ratio.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch

from pix2pix import Trainer, load_config
from pix2pix.training.checkpoint_io import load_newest, save_checkpoint


def state_of_the_paper() -> dict[str, dict]:
    """Return the state of every network and optimizer of the shipped config `facades_paper`."""
    parts = Trainer(load_config("facades_paper", ["run.device=cpu"])).networks.stateful_objects
    for name in ("generator", "discriminator"):
        for parameter in parts[name].parameters():
            parameter.grad = torch.zeros_like(parameter)
        parts[f"{name}_optimizer"].step()  # Adam allocates its state in the first step
    return {name: part.state_dict() for name, part in parts.items()}


def bare(path: Path, content: memoryview) -> float:
    """Write and flush these bytes; return the seconds that it took."""
    start = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        while content:
            content = content[file.write(content) :]
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (a temporary folder)")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    state, times = state_of_the_paper(), {"bare write and fsync": [], "checkpoint": [], "reading it": []}
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        for round in range(args.rounds + 1):  # the first one warms up
            start = time.perf_counter()
            path = save_checkpoint(folder, state, round, keep=2)
            saved = time.perf_counter() - start
            size = sum(file.stat().st_size for file in path.iterdir())
            written = bare(folder / "bare", memoryview((path / "state.pt").read_bytes()))
            start = time.perf_counter()
            load_newest(folder, torch.device("cpu"))
            for name, seconds in zip(times, (written, saved, time.perf_counter() - start), strict=True):
                times[name] += [seconds] * (round > 0)
    finally:
        shutil.rmtree(folder)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    print(f"{size:,} bytes, median of {args.rounds}")
    for name, seconds in medians.items():
        print(f"{name:<22}{seconds:6.2f} s  {size / seconds / 2**20:6.0f} MiB/s")
    print(f"checkpoint / bare     {medians['checkpoint'] / medians['bare write and fsync']:6.2f}")


if __name__ == "__main__":
    main()
