"""Compare the time of `pix2pix check` with that of decoding alone: python scripts/check_cost.py --data FOLDER.

By turns in one run, with as many threads: every file decoded by Pillow and nothing else, and a whole check of the same
files, networks measured and report written. The ratio of their times is of the medians of all rounds.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pix2pix.check import check
from pix2pix.config import Config, DataConfig
from pix2pix.data.index import DatasetIndex
from pix2pix.runtime.parallel import cores, for_each


def decode(path: Path) -> None:
    with Image.open(path) as image:
        np.asarray(image.convert("RGB"))


def seconds(work) -> tuple[float, float]:
    """Return the wall-clock and the processor time of a call."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(Path(__file__).parents[2] / "shared/data/facades"))
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    data = DataConfig(root=args.data)
    index = DatasetIndex.scan(data)
    files = [file for split in index.splits for pair in index.pairs(split, data.crop) for file in pair.files]
    rounds = []
    for number in range(args.rounds + 1):
        alone = seconds(lambda: for_each(decode, files, "decoding"))
        whole = seconds(lambda: str(check(Config(data=data))))
        rounds += [(alone, whole)] if number else []  # the first only fills the system's cache and imports
    print(f"{args.data}: {len(files)} files, {cores()} threads, {args.rounds} rounds")
    for place, what in enumerate(("clock", "processors")):
        alone, whole = (statistics.median(times[side][place] for times in rounds) for side in (0, 1))
        ratios = [times[1][place] / times[0][place] for times in rounds]
        print(
            f"{what:<11}decoding {alone:.2f} s, check {whole:.2f} s: {whole / alone:.2f} times "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
