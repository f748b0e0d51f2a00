"""Any picture in, its translation out at the same size; files, folders and the pairs of a data set."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from pix2pix.config import Config
from pix2pix.data.augment import to_float, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.images import is_image, read_image, resize, to_rgb, write_image
from pix2pix.errors import ConfigError, DataError
from pix2pix.grids import comparison_grid
from pix2pix.models import inference
from pix2pix.runtime.acceleration import pick_device
from pix2pix.runtime.files import prepare_folder, replace_atomically
from pix2pix.runtime.signals import unless_stopped
from pix2pix.weights import load_generator_file

GRID_PAIRS = 16


class Translator:
    """A trained generator as a function of pictures.

    `translator(image)` takes a PIL image, or uint8 [H, W, 3], of any size and returns the translation as a PIL image of
    that size. Always the one inference mode: no dropout, and no picture depends on another. `resize=True` resizes each
    picture to the training size instead of padding it, and the translation has that size.
    """

    def __init__(self, generator: nn.Module, config: Config, device: str = "auto", resize: bool = False):
        self.device, self.config, self.resize = pick_device(device), config, resize
        self.generator = generator.to(self.device)

    def __call__(self, image: Image.Image | np.ndarray) -> Image.Image:
        pixels = image if isinstance(image, np.ndarray) else np.asarray(to_rgb(image))
        return Image.fromarray(self.translate(pixels))

    def translate(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] to uint8 [H, W, 3]. Raises DataError for another shape or type."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise DataError(f"a picture is uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}; convert it first")
        if self.resize:
            pixels = resize(pixels, self.config.data.crop, self.config.data.interpolation)
        height, width = pixels.shape[:2]
        padded = self._pad(pixels)
        x = to_float(torch.tensor(padded).permute(2, 0, 1)[None]).to(self.device)  # [1, 3, h, w]
        with inference(self.generator) as generator:
            y = to_pixels(generator(x))[0, :, :height, :width]
        return y.permute(1, 2, 0).cpu().numpy()

    def _pad(self, pixels: np.ndarray) -> np.ndarray:
        """Grown below and to the right by reflection, as often as it takes, to what the generator can halve."""
        step, least = self.generator.multiple, self.generator.min_size
        missing = [max(-side % step, least - side) for side in pixels.shape[:2]]
        return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect") if any(missing) else pixels


def load_generator(weights: str | Path, device: str = "auto", resize: bool = False) -> Translator:
    """Reads a `gen.pt` (or `best.pt`) and returns its `Translator`; the file is all that is needed.

    Raises CheckpointError where it cannot be read, ConfigError where the device is not there.
    """
    file = load_generator_file(weights)
    return Translator(file.generator, file.config, device, resize)


def find_images(source: str) -> tuple[Path, list[Path]]:
    """The images of a file, a folder (with its subfolders) or a glob, and the folder their names are relative to.

    Raises DataError where there are none.
    """
    path = Path(source)
    if os.path.isdir(path):  # Path's own methods raise for a name that is too long or out of reach
        images = sorted(p for p in path.rglob("*") if p.is_file() and is_image(p))
        if not images:
            raise DataError(f"{path}: holds no images; give a folder that does, a file or a glob")
        return path, images
    if os.path.exists(path):
        return path.parent, [path]
    images = sorted(Path(p) for p in glob.glob(source, recursive=True) if Path(p).is_file() and is_image(Path(p)))
    if not images:
        raise DataError(f"{source}: no such file or folder, and no image matches it; give a file, a folder or a glob")
    return Path(os.path.commonpath([image.parent for image in images])), images


def _outputs(base: Path, images: Sequence[Path], output: Path) -> list[Path]:
    """Where each translation goes: the image's relative name, as PNG. Where two would share one, all their name."""
    relative = [image.relative_to(base) for image in images]
    whole = [path.with_name(path.name + ".png") for path in relative]
    short = [path.with_suffix(".png") for path in relative]
    sharing = Counter(short)
    names = [one if sharing[one] == 1 else other for one, other in zip(short, whole, strict=True)]
    if len(set(names)) < len(names):  # a.png.jpg is still in the way of a.png
        names = whole
    outputs = [output / name for name in names]
    inputs = {image.resolve() for image in images}
    if clash := next((path for path in outputs if path.resolve() in inputs), None):
        raise ConfigError(f"{clash}: is an input and would be overwritten; choose another --output")
    return outputs


def translate_files(
    translator: Translator, source: str, output: Path, stop: Callable[[], bool] = lambda: False
) -> tuple[int, list[DataError]]:
    """Translates every image that `source` names into `output`. Returns how many, and the errors of those that failed.

    Raises DataError where there are no images, ConfigError where an input would be overwritten, CheckpointError where
    `output` cannot be written, Stopped once `stop()` is true.
    """
    base, images = find_images(source)
    outputs = _outputs(base, images, output)
    prepare_folder(output)
    failed = []
    for image, target in _progress(list(zip(images, outputs, strict=True)), stop):
        try:
            pixels = read_image(image)
        except DataError as error:  # the others are still wanted
            failed.append(error)
            continue
        _write(target, translator.translate(pixels))
    return len(images) - len(failed), failed


def translate_split(
    translator: Translator, config: Config, split: str, output: Path, stop: Callable[[], bool] = lambda: False
) -> tuple[int, Path]:
    """Translates the inputs of a split of the config's data into `output/<split>/`, at their own size.

    Returns how many, and where the comparison grid of the first pairs is. Raises DataError, CheckpointError;
    Stopped once `stop()` is true.
    """
    data = config.data.model_copy(update={"cache": "off"})  # each is read once
    dataset = open_split(data, split, None)
    prepare_folder(output)
    rows = []
    for index in _progress(range(len(dataset)), stop):
        pair = dataset[index]
        input, target = (pair[key].permute(1, 2, 0).numpy() for key in ("input", "target"))
        fake = translator.translate(input)
        _write(output / split / f"{pair['name']}.png", fake)
        if len(rows) < GRID_PAIRS:
            rows.append([input, fake, target])
    grid = output / f"{split}_comparison.png"
    _write(grid, comparison_grid(rows))
    return len(dataset), grid


def _write(path: Path, pixels: np.ndarray) -> None:
    replace_atomically(path, lambda temporary: write_image(temporary, pixels))


def _progress(items: Sequence, stop: Callable[[], bool]) -> Iterator:
    return unless_stopped(tqdm(items, desc="translating", unit="image", disable=None, leave=False), stop)
