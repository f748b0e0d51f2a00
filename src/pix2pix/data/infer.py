"""Infer the formats of a data set from a sample of its pairs, where its config leaves them open."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np

from pix2pix.config import DataConfig, ImageFormatConfig
from pix2pix.config.data import Kind
from pix2pix.data.formats.image_format import (
    DType,
    ImageFormat,
    PairFormat,
    Suffix,
    label_dtype,
    output_suffix,
    value_limits,
)
from pix2pix.data.formats.labels import ids_of
from pix2pix.data.formats.mismatch import Mismatch
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.info import ImageInfo
from pix2pix.data.index import DatasetIndex
from pix2pix.data.infer_values import infer_values
from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError

T = TypeVar("T")
_SAMPLE = 32  # pairs
_SHOWN = 8  # ids
_LOSSY = (".jpg", ".jpeg", ".jfif", ".mpo")


def infer_formats(data: DataConfig) -> PairFormat:
    """Return the formats of the inputs and targets of a config.

    What the config leaves open is inferred from a sample of the training pairs. Raises DataError where there are no
    pairs, or where they cannot be trained on.
    """
    index = DatasetIndex.scan(data)
    return infer_pair_formats(data, index.pairs(next(iter(index.splits), "train"), data.crop))


def infer_pair_formats(data: DataConfig, pairs: Sequence[Pair]) -> PairFormat:
    """Return the formats of the inputs and targets of a config from a sample of these pairs. Raises DataError."""
    places = np.linspace(0, len(pairs) - 1, min(_SAMPLE, len(pairs))).round().astype(int)
    pairs = [pairs[place] for place in places]
    if data.skip_broken:
        pairs = [pair for pair in pairs if _can_be_read(pair)] or pairs
    infos = list(zip(*(pair.infos() for pair in pairs), strict=True))  # [inputs and target][pair]
    kinds = data.input_format.kinds(len(infos) - 1)
    sides = [
        _Inference(data.input_format, kind, "input", index, pairs, found)
        for index, (kind, found) in enumerate(zip(kinds, infos[:-1], strict=True))
    ]
    (kind,) = data.target_format.kinds()
    sides.append(_Inference(data.target_format, kind, "target", len(infos) - 1, pairs, infos[-1]))
    *inputs, target = [side.fmt() for side in sides]
    return PairFormat(tuple(inputs), target, _notes(sides))


def _can_be_read(pair: Pair) -> bool:
    try:
        pair.images()
    except DataError:
        return False
    return True


def _notes(sides: Sequence["_Inference"]) -> tuple[str, ...]:
    notes = []
    for side in sides:
        notes += side.notes
        if animated := sum(info.frames > 1 for info in side.infos):
            count = f"{animated} of {len(side.infos)} sampled {side.name}s"
            notes.append(f"{count} are animated: only their first frame is used")
    return tuple(dict.fromkeys(notes))


class _Inference:
    """Infers one format of a pair, that of the `index`-th image, from a sample of pairs.

    `wish` is the config's section for this side, and `kind` the kind that it gives for this image. `notes` collects
    observations.
    """

    def __init__(
        self,
        wish: ImageFormatConfig,
        kind: Kind,
        name: str,
        index: int,
        pairs: Sequence[Pair],
        infos: Sequence[ImageInfo],
    ):
        self.wish, self.kind, self.name, self.index, self.pairs, self.infos = wish, kind, name, index, pairs, infos
        self.key = f"data.{name}_format"
        self.files = [pair.names[index] for pair in pairs]
        self.notes: list[str] = []

    def fmt(self) -> ImageFormat:
        """Return the format. Raises DataError."""
        return {"image": self._image, "labels": self._labels, "mask": self._mask}[self.kind]()

    def _images(self) -> list[DecodedImage]:
        return [pair.images()[self.index] for pair in self.pairs]

    def _named_images(self) -> list[tuple[object, DecodedImage]]:
        return list(zip(self.files, self._images(), strict=True))

    def _suffix(self, channels: int, dtype: DType) -> Suffix:
        """Return the suffix of translations: the most common one if such files can hold them without loss."""
        return output_suffix(_most_common([Path(file).suffix.lower() for file in self.files]), channels, dtype)

    def _image(self) -> ImageFormat:
        common = _most_common([info.dtype for info in self.infos])
        wanted = "float32" if common == "int16" else common
        dtype: DType | None = next((known for known in get_args(DType) if known == wanted), None)
        if dtype is None:
            raise DataError(
                f"has {common} pixels, and an image is of uint8, uint16 or float32",
                path=self.files[[info.dtype for info in self.infos].index(common)],
                remedy=f"convert it, or set {self.key}.kind to labels or mask where that is what it holds",
            )
        channels = self.wish.channels if self.wish.channels != "auto" else self._channels()
        alpha = channels in (2, 4) and not self._has_extra_channels()
        tags = [info.nodata for info in self.infos]
        values = infer_values(self.wish, self.name, dtype, channels, alpha, tags, self._named_images)
        self.notes += values.notes
        low, high = values.range
        lowest, highest = value_limits(dtype)
        if low < lowest or high > highest:
            raise DataError(
                f"has {dtype} pixels, whose range lies within {lowest:g} to {highest:g}, and {self.key}.range is "
                f"{low:g} to {high:g}",
                path=self.files[0],
                remedy=f"set {self.key}.range to what the files hold",
            )
        if self._has_only_0_and_1():
            self.notes.append(
                f"the sampled {self.name}s hold only 0 and 1, which as images are black; set {self.key}.kind=mask"
            )
        suffix = self._suffix(channels, dtype)
        fmt = ImageFormat("image", channels, dtype, (float(low), float(high)), suffix=suffix, alpha=alpha)
        return replace(fmt, nodata=values.nodata, clip=values.clip, channel_ranges=values.channel_ranges)

    def _has_only_0_and_1(self) -> bool:
        """Return whether all images are grey and hold only 0 and 1. Colour and JPEG files are not decoded."""
        if any((info.channels, info.dtype, info.paletted) != (1, "uint8", False) for info in self.infos):
            return False
        if any(Path(file).suffix.lower() in _LOSSY for file in self.files):
            return False
        try:
            return all(pair.images()[self.index].pixels.max() <= 1 for pair in self.pairs)
        except DataError:  # reported when every pair is read
            return False

    def _channels(self) -> int:
        """Return a number of channels for all files: with colour (alpha) if any file has colour (alpha)."""
        seen = Counter(info.channels for info in self.infos)
        if self._has_extra_channels():
            return _most_common(list(seen.elements()))
        return (3 if seen[3] or seen[4] else 1) + (1 if seen[2] or seen[4] else 0)

    def _has_extra_channels(self) -> bool:
        """Return whether some files have channels that are neither colours nor alpha."""
        return any(info.channels - info.alpha not in (1, 3) for info in self.infos)

    def _labels(self) -> ImageFormat:
        palette, classes = self.wish.palette, self.wish.classes
        snap = palette is not None
        if palette is not None:
            classes = len(palette)
        else:
            images = self._images()
            classes = classes or self._count_classes(images)
            palette = _common_palette(images, classes)
        dtype = label_dtype(classes)
        return ImageFormat("labels", 1, dtype, (0.0, 1.0), classes, palette, snap, self._suffix(1, dtype))

    def _count_classes(self, images: Sequence[DecodedImage]) -> int:
        """Return one more than the largest id; files without valid ids are refused when they are read."""
        seen: set[int] = set()
        for image in images:
            with contextlib.suppress(Mismatch):
                seen.update(np.unique(ids_of(image)).tolist())
        classes = min(max([2, *(id + 1 for id in seen)]), 65536)
        if 0 < len(seen) < classes:
            shown = ", ".join(map(str, sorted(seen)[:_SHOWN])) + (", ..." if len(seen) > _SHOWN else "")
            mask = f", or {self.key}.kind=mask" if len(seen) == 2 else ""
            what = f"{self.name} labels: {classes} classes, {len(seen)} seen: {shown}"
            self.notes.append(f"{what}; set {self.key}.classes{mask}")
        return classes

    def _mask(self) -> ImageFormat:
        return ImageFormat("mask", 1, "uint8", (0.0, 1.0), suffix=self._suffix(1, "uint8"))


def _most_common(values: Sequence[T]) -> T:
    """Return the most common value; on a tie, the one that occurs first."""
    return Counter(values).most_common(1)[0][0]


def _common_palette(images: Sequence[DecodedImage], classes: int) -> tuple[tuple[int, int, int], ...] | None:
    """Return the colour of each class in the first image that uses it, or else in the longest palette."""
    palettes = [image.palette[:, :3] for image in images if image.palette is not None]
    colours = max(palettes, key=len, default=np.zeros((0, 3), np.uint8))[:classes].copy()
    if len(colours) < classes:
        return None
    for image in reversed(images):
        if image.palette is not None:
            used = np.unique(image.pixels)
            used = used[used < classes]
            colours[used] = image.palette[used, :3]
    return tuple((red, green, blue) for red, green, blue in colours.tolist())
