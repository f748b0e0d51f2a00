"""The work that is compared: a training step, loading, an epoch of both, and sampling."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pix2pix.benchmark.machine import count_flops, peak_memory
from pix2pix.benchmark.measure import Comparison, Times, by_turns
from pix2pix.benchmark.plain import PlainTrainer
from pix2pix.benchmark.plain_data import PlainPairs, plain_sample
from pix2pix.config import Config, UNetConfig, config_from_dict, unet_depth
from pix2pix.data.augment.apply import prepare
from pix2pix.data.dataset import open_split
from pix2pix.data.formats.image_format import RGB
from pix2pix.data.images.files import read_image, write_image
from pix2pix.data.loader import PairLoader
from pix2pix.datasets.synthetic.draw import draw_pair
from pix2pix.inference.files import translate_split
from pix2pix.inference.translator import Translator
from pix2pix.runtime.rng import STEP, seed_torch
from pix2pix.training.trainer import Trainer

SPLIT = "train"


@dataclass(frozen=True)
class Settings:
    """What is measured: square images of `size` pixels, networks of `width` channels, the pairs in `root`.

    Each comparison lasts `rounds` rounds, or fewer once `seconds` have passed. `peak` is the machine's, in FLOP/s, and
    `bandwidth` in bytes/s.
    """

    root: Path
    size: int
    width: int
    device: torch.device
    rounds: int
    seconds: float
    peak: float
    bandwidth: float

    @property
    def files(self) -> list[Path]:
        """The files of the pairs, side by side."""
        return sorted((self.root / SPLIT).iterdir())

    @property
    def load(self) -> int:
        """The size to which images are resized before the crop, in the paper's proportion (286 to 256)."""
        return round(self.size * 286 / 256)

    def config(self, batch: int) -> Config:
        """Return the paper's recipe."""
        sizes = {"image_size": self.size, "load_size": self.load, "batch_size": batch}
        data = {"root": str(self.root), "direction": "b2a", "cache": "memory", "val_fraction": 0, **sizes}
        section = {"base_channels": self.width}
        sections = {"data": data, "model": {"generator": section, "discriminator": section}}
        return config_from_dict(sections | {"run": {"device": str(self.device)}}, "benchmark")

    def timed(self, plain: Callable[[], object], ours: Callable[[], object]) -> tuple[Times, Times]:
        """Call both alternately and return their times."""
        return by_turns(plain, ours, self.rounds, self.seconds, self.device)


def draw_pairs(root: Path, pairs: int, size: int) -> None:
    """Draw facades and write them side by side."""
    for number in range(pairs):
        write_image(root / SPLIT / f"{number:03}.jpg", np.hstack(draw_pair(number, size=(size, size))))


def _trainers(settings: Settings, batch: int) -> tuple[PlainTrainer, Trainer]:
    """Return the plain trainer and ours, with the same weights."""
    config = settings.config(batch)
    ours, section = Trainer(config, formats=RGB), config.model.generator
    assert isinstance(section, UNetConfig)
    plain = PlainTrainer(unet_depth(section, config.data.crop), settings.width, device=settings.device)
    plain.load(ours.generator, ours.discriminator)
    return plain, ours


def _images(settings: Settings, batch: int) -> Tensor:
    """Return (x, y) of noise, [2, B, 3, size, size] in [-1, 1]."""
    shape = (2, batch, 3, settings.size, settings.size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(settings.device)


def step_memory(settings: Settings, batch: int) -> tuple[int | None, int | None]:
    """Return the memory of a plain step and of ours, beyond that of the networks; see `peak_memory`."""
    images = _images(settings, batch)
    plain, ours = _trainers(settings, batch)
    return (
        peak_memory(lambda: plain.train_step(*images), settings.device),
        peak_memory(lambda: ours.train_step(*images), settings.device),
    )


def compare_steps(settings: Settings, batch: int, memory: tuple[int | None, int | None] = (None, None)) -> Comparison:
    """Compare training steps on the same images."""
    plain, ours = _trainers(settings, batch)
    images = _images(settings, batch)
    our_losses = ours.train_step(*images)
    seed_torch(0, STEP, 0)  # the dropout of our first step
    losses: dict[str, Tensor] = {}
    flops = count_flops(lambda: losses.update(plain.train_step(*images))) / batch
    difference = max(abs(our_losses[name].item() / loss.item() - 1) for name, loss in losses.items())
    times = settings.timed(lambda: plain.train_step(*images), lambda: ours.train_step(*images))
    floor = flops / settings.peak
    return Comparison("step", batch, batch, *times, floor, flops, difference, *memory)


def _plain_loader(settings: Settings, batch: int) -> DataLoader[tuple[Tensor, Tensor]]:
    pairs = PlainPairs(settings.files, settings.load, settings.size)
    return DataLoader(pairs, batch, shuffle=True)


def _our_batches(settings: Settings, batch: int) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return a function that yields the batches of the next epoch from a filled cache."""
    data = settings.config(batch).data
    pairs = open_split(data, SPLIT, data.load, formats=RGB).prepare()
    loader, epochs = PairLoader(pairs, data.crop, batch, flip=True), count()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        return (prepare(found, settings.device) for found in loader.epoch(next(epochs)))

    return batches


def compare_loaders(settings: Settings, batch: int) -> Comparison:
    """Compare an epoch of loading, from files to batches of floats on the device, with our cache filled."""
    loader, batches = _plain_loader(settings, batch), _our_batches(settings, batch)

    def drain_plain() -> None:
        for x, y in loader:
            x.to(settings.device), y.to(settings.device)

    def drain_ours() -> None:
        for _ in batches():
            pass

    drain_ours()
    pixels = 2 * 3 * settings.size**2
    floor = pixels * (1 + 4) / settings.bandwidth  # a byte is read and a float is written
    times = settings.timed(drain_plain, drain_ours)
    return Comparison("loader", batch, len(settings.files), *times, floor)


def compare_epochs(settings: Settings, batch: int, flops: float) -> Comparison:
    """Compare an epoch of training, including loading. `flops`: the operations of a step, per image."""
    loader, batches = _plain_loader(settings, batch), _our_batches(settings, batch)
    plain, ours = _trainers(settings, batch)

    def plain_epoch() -> None:
        for x, y in loader:
            plain.train_step(x.to(settings.device), y.to(settings.device))

    def our_epoch() -> None:
        for x, y in batches():
            ours.train_step(x, y)

    times = settings.timed(plain_epoch, our_epoch)
    return Comparison("epoch", batch, len(settings.files), *times, flops / settings.peak, flops)


def compare_sampling(settings: Settings) -> Comparison:
    """Compare the translation of all pairs, from files to files; ours also writes the comparison with the targets."""
    config = settings.config(1)
    plain, ours = _trainers(settings, 1)
    translator = Translator(ours.generator, config, RGB, str(settings.device))
    files = settings.files
    with TemporaryDirectory() as folder:
        output = Path(folder)

        def sample() -> None:
            translate_split(translator, config, SPLIT, output / "ours")

        times = settings.timed(lambda: plain_sample(plain.generator, files, output / "plain", settings.device), sample)
        names = [f"{file.stem}.png" for file in files]
        difference = max(_difference(output / "plain" / name, output / "ours" / SPLIT / name) for name in names)
    x = _images(settings, 1)[0]
    with torch.no_grad():
        flops = count_flops(lambda: plain.generator(x))
    return Comparison("sampling", None, len(files), *times, flops / settings.peak, flops, difference)


def _difference(first: Path, second: Path) -> float:
    a, b = (read_image(path).pixels.astype(np.int16) for path in (first, second))
    return float(np.abs(a - b).max())


@contextmanager
def drawn_pairs(pairs: int, size: int) -> Iterator[Path]:
    """Yield a temporary folder of drawn pairs."""
    with TemporaryDirectory() as folder:
        draw_pairs(Path(folder), pairs, size)
        yield Path(folder)
