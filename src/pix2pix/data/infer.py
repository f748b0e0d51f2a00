"""Infer the image formats that a config leaves open from a sample of the pairs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np

from pix2pix.config import DataConfig, ImageFormatConfig
from pix2pix.config.data import Kind, KindSetting
from pix2pix.data.formats.class_files import find_class_file
from pix2pix.data.formats.content import Content, content_of
from pix2pix.data.formats.image_format import (
    DType,
    ImageFormat,
    PairFormat,
    SampleNote,
    Suffix,
    output_suffix,
    value_limits,
)
from pix2pix.data.formats.kinds import decide_kind
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.info import ImageInfo
from pix2pix.data.index import DatasetIndex
from pix2pix.data.infer_labels import infer_labels
from pix2pix.data.infer_values import infer_values
from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError
from pix2pix.runtime.log import debug
from pix2pix.text import counted

T = TypeVar("T")
_SAMPLE = 32  # pairs
_LABEL_SAMPLE = 128  # pairs; label classes are counted in these
_PLURAL = {"image": "images", "labels": "labels", "mask": "masks"}
_LOSSY = (".jpg", ".jpeg", ".jfif", ".mpo")


def infer_formats(data: DataConfig) -> PairFormat:
    """Return the formats of the inputs and targets of a config.

    What the config leaves open is inferred from a sample of the training pairs. Raises DataError if there are no pairs,
    or if they cannot be trained on.
    """
    index = DatasetIndex.scan(data)
    return infer_pair_formats(data, index.pairs(next(iter(index.splits), "train"), data.crop))


def infer_pair_formats(data: DataConfig, pairs: Sequence[Pair]) -> PairFormat:
    """Infer the formats of inputs and targets from a sample of these pairs, as far as the config leaves them open.

    Raises DataError.
    """
    many, pairs = _spread(pairs, _LABEL_SAMPLE), _spread(pairs, _SAMPLE)
    if data.skip_broken:
        pairs = [pair for pair in pairs if _can_be_read(pair)] or pairs
    infos = list(zip(*(pair.infos() for pair in pairs), strict=True))  # [inputs and target][pair]
    kinds, root = data.input_format.kinds(len(infos) - 1), Path(data.root) if data.root else None
    sides = [
        _Inference(data.input_format, kind, "input", index, pairs, side_infos, many, root)
        for index, (kind, side_infos) in enumerate(zip(kinds, infos[:-1], strict=True))
    ]
    (kind,) = data.target_format.kinds()
    sides.append(_Inference(data.target_format, kind, "target", len(infos) - 1, pairs, infos[-1], many, root))
    *inputs, target = [side.fmt() for side in sides]
    formats = PairFormat(tuple(inputs), target, _notes(sides))
    for name, fmt in formats.parts.items():
        fields = {key: value for key, value in vars(fmt).items() if value is not None and value is not False}
        fields.pop("palette", None)  # may be long
        debug(f"format of {name}, from {counted(len(pairs), 'pair')}: {fields}")
    return formats


def _spread(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """Return at most `most` of the pairs, evenly spaced."""
    positions = np.linspace(0, len(pairs) - 1, min(most, len(pairs))).round().astype(int)
    return [pairs[position] for position in positions]


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
            notes.append(SampleNote(f"{count} are animated: only their first frame is used"))
    return tuple(dict.fromkeys(notes))


class _Inference:
    """Infers the format of one image of a pair, the one at `index`, from a sample of pairs.

    `settings` is the config's section for this side, and `kind` the kind that it sets for this image. Labels are
    inferred from `many` pairs, and their names come from a file in `root`. `notes` collects observations.
    """

    def __init__(
        self,
        settings: ImageFormatConfig,
        kind: KindSetting,
        name: str,
        index: int,
        pairs: Sequence[Pair],
        infos: Sequence[ImageInfo],
        many: Sequence[Pair],
        root: Path | None,
    ):
        self.many, self.root, self.by_colour = many, root, False
        self.settings, self.kind, self.name = settings, kind, name
        self.index, self.pairs, self.infos = index, pairs, infos
        self.key = f"data.{name}_format"
        self.files = [pair.names[index] for pair in pairs]
        self.notes: list[str] = []

    def fmt(self) -> ImageFormat:
        """Return the format. Raises DataError."""
        kind = self._kind() if self.kind == "auto" else self.kind
        return {"image": self._image, "labels": self._labels, "mask": self._mask}[kind]()

    def _kind(self) -> Kind:
        """Return the kind of the files. Raises DataError with the code `kind` if two kinds are possible."""
        exact = [pair for pair in self.pairs if pair.files and self._suffix_of(pair) not in _LOSSY]
        with ThreadPoolExecutor() as pool:
            contents = [content for content in pool.map(self._content, exact) if content is not None]
        if not contents:
            return "image"
        lossy = len(self.pairs) - len(exact)
        decision = decide_kind(contents, self.name == "target", lossy)
        if decision.kind is None:
            first, second = decision.choices
            several = ", a list with the kind of each input" if self.index and self.name == "input" else ""
            raise DataError(
                f"the {self.name}s may be {_PLURAL[first]} or {_PLURAL[second]}: {decision.why}",
                path=exact[0].names[self.index],
                remedy=f"set {self.key}.kind to {first} or {second}{several}",
                code="kind",
            )
        if decision.why:
            self.notes.append(f"{self.name}s are {_PLURAL[decision.kind]}: {decision.why}")
        self.by_colour = decision.by_colour
        return decision.kind

    def _readable_images(self) -> Iterator[tuple[str | Path, DecodedImage]]:
        """Yield the name and the image of each file of `many` that can be read."""
        for pair in self.many:
            with suppress(DataError):  # reported when every pair is read
                yield pair.names[self.index], pair.images()[self.index]

    def _suffix_of(self, pair: Pair) -> str:
        return Path(pair.names[self.index]).suffix.lower()

    def _content(self, pair: Pair) -> Content | None:
        """Return what a file holds; None where it cannot be read, which is reported when every pair is read."""
        try:
            return content_of(pair.images()[self.index], pair.names[self.index])
        except DataError:
            return None

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
        channels = self.settings.channels if self.settings.channels != "auto" else self._channels()
        alpha = channels in (2, 4) and not self._has_extra_channels()
        tags = [info.nodata for info in self.infos]
        values = infer_values(self.settings, self.name, dtype, channels, alpha, tags, self._named_images)
        self.notes += values.notes
        low, high = values.range
        lowest, highest = value_limits(dtype)
        if low < lowest or high > highest:
            raise DataError(
                f"has {dtype} pixels, whose values can be {lowest:g} to {highest:g}, but {self.key}.range is "
                f"{low:g} to {high:g}",
                path=self.files[0],
                remedy=f"set {self.key}.range to what the files hold",
            )
        if self._has_only_0_and_1():
            words = f"the sampled {self.name}s hold only 0 and 1, which as images are black; set {self.key}.kind=mask"
            self.notes.append(SampleNote(words))
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
        """Return one number of channels for all files: with colour if any file has colour, with alpha if any has alpha.

        With `kind: auto`, palettes that hold only greys, such as those of black-and-white GIFs, count as grey. If the
        config sets the kind, they count as colour, as in earlier versions.
        """
        seen = Counter(info.channels for info in self.infos)
        if self.kind == "auto" and any(info.paletted for info in self.infos) and self._has_grey_palettes():
            seen = Counter(1 if info.paletted and info.channels == 3 else info.channels for info in self.infos)
        if self._has_extra_channels():
            return _most_common(list(seen.elements()))
        return (3 if seen[3] or seen[4] else 1) + (1 if seen[2] or seen[4] else 0)

    def _has_grey_palettes(self) -> bool:
        """Return whether the files use only the grey colours of their palettes."""
        try:
            images = [image for image in self._images() if image.palette is not None]
        except DataError:  # reported when every pair is read
            return False
        return all((image.colours()[..., :1] == image.colours()[..., :3]).all() for image in images)

    def _has_extra_channels(self) -> bool:
        """Return whether some files have channels that are neither colours nor alpha."""
        return any(info.channels - info.alpha not in (1, 3) for info in self.infos)

    def _labels(self) -> ImageFormat:
        first = self.many[0]
        listed = find_class_file(Path(first.names[self.index]), self.root) if first.files else None
        labels = infer_labels(
            *(self.settings, self.name, self._readable_images(), listed, self.key),
            by_colour=self.by_colour,
            is_auto=self.kind == "auto",
        )
        self.notes += labels.notes
        return replace(labels.fmt, suffix=self._suffix(1, labels.fmt.dtype))

    def _mask(self) -> ImageFormat:
        return ImageFormat("mask", 1, "uint8", (0.0, 1.0), suffix=self._suffix(1, "uint8"))


def _most_common(values: Sequence[T]) -> T:
    """Return the most common value; on a tie, the one that occurs first."""
    return Counter(values).most_common(1)[0][0]
