"""A plain implementation of loading and sampling: images are decoded and resized each time, one after the other."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset


class PlainPairs(Dataset[tuple[Tensor, Tensor]]):
    """Side-by-side files as pairs (B, A) of floats [3, crop, crop] in [-1, 1].

    Each access decodes the file, resizes both halves to `load`, takes the same random crop from both and, with `flip`,
    mirrors every other pair (the paper's section 3.3).
    """

    def __init__(self, files: list[Path], load: int, crop: int, flip: bool = True):
        self.files, self.load, self.crop, self.flip = files, load, crop, flip

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        top, left = torch.randint(self.load - self.crop + 1, (2,)).tolist()
        mirror = self.flip and torch.rand(()).item() < 0.5

        def prepared(image: Image.Image) -> Tensor:
            image = image.resize((self.load, self.load), Image.Resampling.BICUBIC)
            image = image.crop((left, top, left + self.crop, top + self.crop))
            return _to_tensor(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else image)

        a, b = halves(self.files[index])
        return prepared(b), prepared(a)


def halves(file: Path) -> tuple[Image.Image, Image.Image]:
    """Return the halves A (left) and B of a side-by-side file, in RGB."""
    with Image.open(file) as image:
        both = image.convert("RGB")
    width, height = both.size
    return both.crop((0, 0, width // 2, height)), both.crop((width // 2, 0, width, height))


def _to_tensor(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    return (pixels.float() / 255 - 0.5) / 0.5


@torch.no_grad()
def plain_sample(network: nn.Module, files: list[Path], output: Path, device: torch.device) -> None:
    """Translate the half B of each file, one at a time, and write it as a PNG file of the same name.

    As in the reference program, the network is in training mode, so that its norms take their statistics from the
    image; but dropout is off, as in `pix2pix sample`, so that the pixels can be compared.
    """
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    output.mkdir(parents=True, exist_ok=True)
    for file in files:
        x = _to_tensor(halves(file)[1])[None].to(device)
        y = network(x)[0].cpu().float().permute(1, 2, 0).numpy()
        Image.fromarray(((y + 1) / 2 * 255).round().clip(0, 255).astype(np.uint8)).save(output / f"{file.stem}.png")
