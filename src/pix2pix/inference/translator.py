"""The translator: a trained generator that translates images of any size, without changing their size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pix2pix.config import Config
from pix2pix.config.data import Nodata
from pix2pix.data.augment.apply import to_input, to_pixels
from pix2pix.data.formats import convert
from pix2pix.data.formats.image_format import RGB, ImageFormat, PairFormat
from pix2pix.data.formats.values import is_missing, nodata_value
from pix2pix.data.images.decoded import DecodedImage, as_pil, decode_image
from pix2pix.data.images.files import read_image
from pix2pix.data.images.settings import at_most
from pix2pix.errors import DataError
from pix2pix.models import fold_running_norms, inference
from pix2pix.runtime.device import pick_device
from pix2pix.weights import load_generator_file


class Translator:
    """A trained generator as a function of images.

    `translator(image)` takes a PIL image, an array [H, W, C] or the path of a file, of any size, and returns the
    translation as a PIL image of the same size; a generator of stacked inputs takes several images. Inference is
    deterministic: dropout is off, and no translation depends on other images. With `resize=True` each image is
    resized to the training size instead of being padded, and the translation has that size. `formats` describes inputs
    and target.

    A network of your own may have the attributes `multiple` and `min_size`: images are padded by reflection until each
    side is a multiple of `multiple` and at least `min_size`. Both default to 1.
    """

    def __init__(
        self,
        generator: nn.Module,
        config: Config,
        formats: PairFormat = RGB,
        device: str = "auto",
        resize: bool = False,
    ):
        self.device, self.config, self.formats, self.resize = pick_device(device), config, formats, resize
        self.generator = generator.to(self.device)

    def __call__(self, *images: Image.Image | np.ndarray | str | Path) -> Image.Image:
        """Translate one image, given as one input or as several stacked inputs.

        Raises DataError where the inputs do not fit the formats that the generator was trained on, or where a PIL image
        cannot hold the translation.
        """
        names = [image if isinstance(image, str | Path) else "the image" for image in images]
        with at_most(self.config.data.max_pixels):
            decoded = [read_image(image) if isinstance(image, str | Path) else decode_image(image) for image in images]
        pixels = self.translate(*self.decode(decoded, names))
        return as_pil(*convert.encode(pixels, self.formats.target, self.formats.target.suffix))

    def decode(self, images: Sequence[DecodedImage], names: Sequence[str | Path]) -> list[np.ndarray]:
        """Convert decoded images to the generator's input formats, as `translate` takes them.

        `names` name the images in errors. Raises DataError.
        """
        formats = self.formats.input
        if len(images) != len(formats):
            raise DataError(f"the generator takes {len(formats)} stacked inputs, and {len(images)} were given")
        sizes = [f"{image.pixels.shape[1]}x{image.pixels.shape[0]}" for image in images]
        for name, size in zip(names, sizes, strict=True):
            if size != sizes[0]:
                raise DataError(
                    f"is {size} but {names[0]} is {sizes[0]}",
                    path=name,
                    remedy="stacked inputs need one size: resize one",
                )
        return [convert.decode(fmt, image, name) for fmt, image, name in zip(formats, images, names, strict=True)]

    def translate(self, *inputs: np.ndarray) -> np.ndarray:
        """Translate arrays [H, W, C] in the input formats to one array [H, W, C] in the target format.

        Raises DataError for other shapes or types.
        """
        return self.translate_batch([inputs])[0]

    def translate_batch(self, images: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        """Translate several images of one size in one pass; each is given as its inputs, as `translate` takes them.

        Raises DataError for other shapes or types.
        """
        for inputs in images:
            self._require_arrays(inputs, images[0][0].shape[:2])
        height, width = self.config.data.crop if self.resize else images[0][0].shape[:2]
        columns = [
            [self._resized(pixels, fmt) for pixels in column]
            for fmt, column in zip(self.formats.input, zip(*images, strict=True), strict=True)
        ]
        x = torch.cat(list(map(self._to_network, columns, self.formats.input)), 1)  # [B, C, h, w]
        with inference(self.generator) as generator:
            y = to_pixels(generator(x.to(self.device)), self.formats.target)[..., :height, :width]
        outputs = list(y.permute(0, 2, 3, 1).cpu().numpy())  # [H, W, C] each
        if self.output_nodata is None:
            return outputs
        return list(map(self._with_missing, outputs, zip(*columns, strict=True)))

    def _require_arrays(self, inputs: Sequence[np.ndarray], size: tuple[int, ...]) -> None:
        for fmt, pixels in zip(self.formats.input, inputs, strict=True):
            wrong = pixels.ndim != 3 or pixels.shape[2:] != (fmt.channels,) or pixels.dtype != fmt.dtype
            if wrong or not pixels.size or pixels.shape[:2] != size:
                raise DataError(
                    f"the generator takes {fmt.dtype} [H, W, {fmt.channels}], not {pixels.dtype} {list(pixels.shape)}",
                    remedy="convert the image first",
                )

    @property
    def output_nodata(self) -> Nodata | None:
        """The value of translations where an input has no value: that of the targets.

        Without one, it is that of the inputs where these are of the targets' number type; None where neither has one.
        """
        target = self.formats.target
        if target.nodata is not None or target.kind != "image":
            return target.nodata
        return next(
            (fmt.nodata for fmt in self.formats.input if fmt.nodata is not None and fmt.dtype == target.dtype), None
        )

    def _with_missing(self, output: np.ndarray, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the translation, [H, W, C], with `output_nodata` where no channel of some input has a value."""
        assert self.output_nodata is not None
        for pixels, fmt in zip(inputs, self.formats.input, strict=True):
            if fmt.nodata is not None and (missing := is_missing(pixels, fmt.nodata).all(2, keepdims=True)).any():
                output = np.where(missing, nodata_value(self.output_nodata), output).astype(output.dtype)
        return output

    def _resized(self, pixels: np.ndarray, fmt: ImageFormat) -> np.ndarray:
        data = self.config.data
        return convert.resized(fmt, pixels, data.crop, data.interpolation) if self.resize else pixels

    def _to_network(self, images: Sequence[np.ndarray], fmt: ImageFormat) -> Tensor:
        """Pad one input of a batch and scale it: [H, W, C] each to [B, C, h, w] in [-1, 1]."""
        padded = np.stack([self._pad(pixels).transpose(2, 0, 1) for pixels in images])
        return to_input(torch.from_numpy(padded), fmt)

    def _pad(self, pixels: np.ndarray) -> np.ndarray:
        """Extend [H, W, C] below and to the right by reflection, to a size that the generator takes."""
        multiple: int = getattr(self.generator, "multiple", 1)
        smallest: int = getattr(self.generator, "min_size", 1)
        missing = [max(-side % multiple, smallest - side) for side in pixels.shape[:2]]
        return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect") if any(missing) else pixels


def load_generator(
    weights: str | Path, device: str = "auto", resize: bool = False, generator: nn.Module | None = None
) -> Translator:
    """Read a `gen.pt` or `best.pt` and return its `Translator`; no other file is needed.

    `generator`: an instance of your own network, if the weights are from `Trainer(config, generator=...)`; they are
    loaded into it. Batch norms with running statistics are folded into the convolutions, except in such an instance.
    Raises CheckpointError where the file cannot be read or does not fit the instance, ConfigError
    where the device is not available.
    """
    file = load_generator_file(weights, generator)
    network = fold_running_norms(file.generator) if generator is None else file.generator
    return Translator(network, file.config, file.formats, device, resize)
