"""Pairs of images. Here the sides A and B become inputs and target: a pair has one or more inputs and one target."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pix2pix.data.formats.convert import decode
from pix2pix.data.formats.image_format import RGB, PairFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.files import read_image, read_info
from pix2pix.data.images.info import ImageInfo
from pix2pix.data.images.settings import at_most
from pix2pix.datasets.synthetic.draw import draw_pair
from pix2pix.errors import DataError


class _Pair(ABC):
    """One pair: its inputs, then its target. `max_pixels`: the limit of its files (data.max_pixels)."""

    max_pixels: int | None = None

    @property
    @abstractmethod
    def names(self) -> Sequence[str | Path]:
        """The name in errors of each input and of the target: its file, or the name of a drawn pair."""

    @abstractmethod
    def infos(self) -> list[ImageInfo]:
        """Return size and type of each input and of the target, without reading pixels. Raises DataError."""

    @abstractmethod
    def images(self) -> list[DecodedImage]:
        """Return each input and the target as stored. Raises DataError."""

    def read(self, formats: PairFormat = RGB) -> list[np.ndarray]:
        """Return each input and the target, [H, W, C], of one size and as `formats` says. Raises DataError."""
        parts = zip(formats.parts.items(), self.images(), self.names, strict=True)
        return [
            decode(fmt, image, name, f"data.{'target' if key == 'target' else 'input'}_format")
            for (key, fmt), image, name in parts
        ]


@dataclass(frozen=True)
class SideBySidePair(_Pair):
    """One file that holds A in its left half and B in its right half."""

    name: str
    path: Path
    direction: str
    max_pixels: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def names(self) -> tuple[Path, ...]:
        return (self.path,) * 2

    def infos(self) -> list[ImageInfo]:
        with at_most(self.max_pixels):
            info = read_info(self.path)
        height, width = info.size
        _require_halves(self.path, width)
        return [replace(info, size=(height, width // 2))] * 2

    def images(self) -> list[DecodedImage]:
        with at_most(self.max_pixels):
            both = read_image(self.path)
        width = both.pixels.shape[1]
        _require_halves(self.path, width)
        halves = both.pixels[:, : width // 2], both.pixels[:, width // 2 :]
        return [replace(both, pixels=half) for half in (halves if self.direction == "a2b" else halves[::-1])]


@dataclass(frozen=True)
class FilesPair(_Pair):
    """A file for each input and one for the target."""

    name: str
    files: tuple[Path, ...]
    max_pixels: int | None = None

    @property
    def names(self) -> tuple[Path, ...]:
        return self.files

    def infos(self) -> list[ImageInfo]:
        with at_most(self.max_pixels):
            infos = [read_info(file) for file in self.files]
        self._require_one_size([info.size for info in infos])
        return infos

    def images(self) -> list[DecodedImage]:
        with at_most(self.max_pixels):
            images = [read_image(file) for file in self.files]
        self._require_one_size([image.pixels.shape[:2] for image in images])
        return images

    def _require_one_size(self, sizes: Sequence[tuple[int, int]]) -> None:
        for file, (height, width) in zip(self.files, sizes, strict=True):
            if (height, width) != sizes[-1]:
                remedy = "the images of a pair must have one size: resize one, or remove the pair"
                with at_most(self.max_pixels):
                    turned = [some for some in (file, self.files[-1]) if read_info(some).turned]
                if len(turned) == 1 and (width, height) == sizes[-1]:  # resizing would distort it
                    remedy = f"{turned[0]} is rotated by its EXIF orientation: remove that tag, or rotate the partner"
                raise DataError(
                    f"is {width}x{height} but {self.files[-1]} is {sizes[-1][1]}x{sizes[-1][0]}",
                    path=file,
                    remedy=remedy,
                    code="unequal-size",
                )


@dataclass(frozen=True)
class SyntheticPair(_Pair):
    """A drawn facade: A is the photograph, B the label map."""

    name: str
    index: int
    seed: int
    size: tuple[int, int]
    direction: str
    files: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) * 2

    def infos(self) -> list[ImageInfo]:
        return [ImageInfo(self.size, 3, "uint8")] * 2

    def images(self) -> list[DecodedImage]:
        drawn = draw_pair(self.index, self.seed, self.size)
        return [DecodedImage(pixels) for pixels in (drawn if self.direction == "a2b" else drawn[::-1])]


Pair = SideBySidePair | FilesPair | SyntheticPair


def _require_halves(path: Path, width: int) -> None:
    if width % 2 or width < 2:
        raise DataError(
            f"is {width} pixels wide, which cannot be halved",
            path=path,
            remedy="it should hold A and B side by side",
            code="no-halves",
        )
