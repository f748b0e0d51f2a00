"""How fast pairs are read, beside decoding and resizing each pair every time: python scripts/loading_benchmark.py.

Both go from the files to float batches in [-1, 1], resized to 286, cropped at random to 256 and mirrored, in one
process on one core, by turns in one run; the facades where there are any (--data), else drawn ones. The other side is
what junyanz/pytorch-CycleGAN-and-pix2pix does with torchvision on Pillow (data/aligned_dataset.py). Times are of the
processor, so that another program on the machine costs little.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional

from pix2pix.config import DataConfig
from pix2pix.data import draw_pair
from pix2pix.data.augment.apply import prepare
from pix2pix.data.dataset import PairedDataset, open_split
from pix2pix.data.loader import PairLoader

LOAD, CROP = 286, 256
CPU = torch.device("cpu")


class Reference(Dataset):
    """Each pair decoded and resized every time, one crop and one flip for both halves."""

    def __init__(self, paths: list[Path]):
        self.paths = paths
        self.to_float = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | str]:
        both = Image.open(self.paths[index]).convert("RGB")
        width, height = both.size
        left, top, flip = *np.random.randint(0, LOAD - CROP + 1, 2), np.random.rand() > 0.5

        def one(image: Image.Image) -> torch.Tensor:
            image = functional.resize(image, [LOAD, LOAD], transforms.InterpolationMode.BICUBIC)
            image = image.crop((left, top, left + CROP, top + CROP))
            return self.to_float(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image)

        a, b = (both.crop((start, 0, start + width // 2, height)) for start in (0, width // 2))
        return {"A": one(a), "B": one(b), "path": str(self.paths[index])}


def reference_epoch(paths: list[Path], batch_size: int) -> float:
    """Seconds a pair."""
    start = time.process_time()
    for batch in DataLoader(Reference(paths), batch_size, shuffle=True):
        require(batch["A"], batch["B"])
    return (time.process_time() - start) / len(paths)


def require(*images: torch.Tensor) -> None:
    """Takes the batch as a training step does: it is freed before the next one is made."""
    for image in images:
        assert image.shape[1:] == (3, CROP, CROP) and image.dtype == torch.float32


def our_epoch(data: PairedDataset, batch_size: int, epoch: int) -> float:
    """Seconds a pair."""
    start = time.process_time()
    for batch in PairLoader(data, (CROP, CROP), batch_size, flip=True).epoch(epoch):
        require(*prepare(batch, CPU))
    return (time.process_time() - start) / len(data)


def first_epoch(root: Path, cache: str, batch_size: int) -> tuple[PairedDataset, float]:
    """The data set and its seconds a pair, the filling of the cache included."""
    start = time.process_time()
    data = open_split(DataConfig(root=str(root), direction="b2a", cache=cache), "train", (LOAD, LOAD)).prepare()
    return data, (time.process_time() - start) / len(data) + our_epoch(data, batch_size, 0)


def drawn(root: Path, count: int) -> Path:
    """Drawn facades, as JPEG side by side."""
    (root / "train").mkdir(parents=True)
    for index in range(count):
        Image.fromarray(np.hstack(draw_pair(index))).save(root / f"train/{index}.jpg", quality=95)
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/facades")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    # Memory of this size is freed at every training step; from then on the C library keeps what is freed, for both.
    torch.empty(31 << 20, dtype=torch.uint8).fill_(0)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # threads that decode share the core too
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PIX2PIX_CACHE"] = f"{folder}/cache"
        root = args.data if (args.data / "train").is_dir() else drawn(Path(folder) / "drawn", 100)
        paths = sorted((root / "train").iterdir())
        print(f"{root}: {len(paths)} pairs, batches of {args.batch_size}, one core")
        reference_epoch(paths[:50], args.batch_size)  # so that the files are in the system's cache for both
        for cache in ("memory", "disk"):
            data, first = first_epoch(root, cache, args.batch_size)
            fresh, rounds = [reference_epoch(paths, args.batch_size)], []
            for number in range(args.rounds):
                ours = our_epoch(data, args.batch_size, number + 1)
                fresh.append(reference_epoch(paths[:100], args.batch_size))
                rounds.append(fresh[-1] / ours)
            theirs, ratio = statistics.median(fresh) * 1e3, statistics.median(rounds)
            print(
                f"{cache:<7} anew {theirs:.2f} ms a pair, cached {theirs / ratio:.3f} ms: {ratio:.1f} times as fast "
                f"({min(rounds):.1f} to {max(rounds):.1f}); the first epoch takes {first / fresh[0]:.2f} times as long"
            )
            del data


if __name__ == "__main__":
    main()
