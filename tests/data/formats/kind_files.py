"""Images of every kind, and how other programs write and read them."""

from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from making import save
from PIL import Image

from pix2pix.data.formats.image_format import ImageFormat

SIDE = 40  # no multiple of 32: sampling pads


RNG = np.random.default_rng(5)


PALETTE = [(0, 0, 222), (0, 48, 255), (255, 240, 0), (174, 0, 0), (32, 255, 224)]


def ramp(channels: int, dtype: str, low: float, high: float) -> np.ndarray:
    """[SIDE, SIDE, C]: all the way from `low` to `high` in each channel, in another order in each."""
    values = np.linspace(low, high, SIDE * SIDE).reshape(SIDE, SIDE)
    values = values if np.dtype(dtype).kind == "f" else values.round()
    return np.stack([np.roll(values, 97 * c) for c in range(channels)], -1).astype(dtype)


def deep(channels: int, top: int = 65535, suffix: str = ".png") -> ImageFormat:
    return ImageFormat("image", channels, "uint16", (0, top), suffix=suffix)


def real(channels: int, span: tuple[float, float], suffix: str) -> ImageFormat:
    return ImageFormat("image", channels, "float32", span, suffix=suffix)


def ids(count: int, dtype: str = "uint8") -> np.ndarray:
    return (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % count).astype(dtype)


def write_palette_png(path: Path, index: np.ndarray) -> None:
    image = Image.fromarray(index)
    image.putpalette(np.array(PALETTE, np.uint8).tobytes())
    save(path, image)


def write_imagecodecs_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def write_tifffile(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "rgb" if pixels.shape[2] == 3 else "minisblack"
    tifffile.imwrite(path, pixels, photometric=kind, planarconfig="contig")


def write_npy(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, pixels)


def write_pillow(path: Path, pixels: np.ndarray) -> None:
    save(path, pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def read_numpy(path: Path) -> np.ndarray:
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def read_pillow(path: Path) -> np.ndarray:
    pixels = np.asarray(Image.open(path))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def read_png(path: Path) -> np.ndarray:
    return imagecodecs.png_decode(path.read_bytes())


def read_tiff(path: Path) -> np.ndarray:
    pixels = tifffile.imread(path)
    return pixels if pixels.ndim == 3 else pixels[..., None]
