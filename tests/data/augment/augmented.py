"""What the augmentation tests share: pictures that say where their pixels were."""

import numpy as np
import torch

from pix2pix.data.augment.apply import augment_batch
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.loader import PairLoader

CPU = torch.device("cpu")


class Pictures:
    """A data set of given pairs of uint8 [H, W, C], as the loader sees one."""

    formats = RGB

    def __init__(self, *pairs: tuple[np.ndarray, np.ndarray]):
        self.pairs = [[torch.from_numpy(side.copy()).permute(2, 0, 1) for side in pair] for pair in pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict:
        return {"input": self.pairs[index][0], "target": self.pairs[index][1], "index": index}


def formats(labels=()) -> PairFormat:
    """Three channels a side; labels in those sides that are named."""
    kinds = {side: ImageFormat("labels" if side in labels else "image", classes=256) for side in ("input", "target")}
    return PairFormat((kinds["input"],), kinds["target"])


def epoch(loader: PairLoader, crop, augment, labels=(), number: int = 0) -> dict[int, tuple[torch.Tensor, ...]]:
    """index -> the pair's pictures, as training gets them but for the last step to [-1, 1]."""
    pairs = {}
    for batch in loader.epoch(number):
        assert batch["input"].dtype == batch["target"].dtype == torch.uint8  # what crosses the bus
        sides = augment_batch(batch, CPU, augment, crop, formats(labels))
        assert sides["input"].shape[-2:] == sides["target"].shape[-2:] == crop
        pairs |= dict(zip(batch["index"].tolist(), zip(sides["input"], sides["target"], strict=True), strict=True))
    return pairs
