"""Looks at some pairs of a data set to find what its pictures are, where its config leaves that open."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pix2pix.config import DataConfig, ImageFormatConfig
from pix2pix.data.discovery.folders import SPLITS
from pix2pix.data.formats.convert import ids_of, require_finite
from pix2pix.data.formats.image_format import ImageFormat, PairFormat, output_suffix, value_limits
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.info import ImageInfo
from pix2pix.data.pairs import Pair, available_splits, find_pairs
from pix2pix.errors import DataError

_SAMPLE = 32  # pairs
_SHOWN = 8  # ids
_LOSSY = (".jpg", ".jpeg", ".jfif", ".mpo")
_DEPTHS = (10, 12, 14, 16)  # bits that sensors give


def infer_formats(data: DataConfig) -> PairFormat:
    """What the inputs and targets of a config are: as it says, and else as a sample of its training pairs shows.

    Raises DataError where there are none, or where they are nothing that can be trained on.
    """
    if data.layout == "synthetic":
        split = "train"
    else:
        split = next((split for split in SPLITS if split in available_splits(data)), "train")
    _, pairs = find_pairs(data, split, data.crop)
    return infer_pair_formats(data, pairs)


def infer_pair_formats(data: DataConfig, pairs: Sequence[Pair]) -> PairFormat:
    """`infer_formats`, from these pairs. Raises DataError."""
    places = np.linspace(0, len(pairs) - 1, min(_SAMPLE, len(pairs))).round().astype(int)
    pairs = [pairs[place] for place in places]
    if data.skip_broken:
        pairs = [pair for pair in pairs if _can_be_read(pair)] or pairs
    headers = list(zip(*(pair.infos() for pair in pairs), strict=True))  # [inputs and target][pair]
    wishes = [(data.input_format, kind, "input") for kind in data.input_format.kinds(len(headers) - 1)]
    wishes.append((data.target_format, *data.target_format.kinds(), "target"))
    sides = [
        _Inference(*wish, place, pairs, seen) for place, (wish, seen) in enumerate(zip(wishes, headers, strict=True))
    ]
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
        if animated := sum(header.frames > 1 for header in side.headers):
            notes.append(f"{animated} of {len(side.headers)} {side.name}s looked at are animated: their first frame")
    return tuple(dict.fromkeys(notes))


class _Inference:
    """One picture of each pair of a sample: the `place`-th, an input or the target."""

    def __init__(
        self,
        wish: ImageFormatConfig,
        kind: str,
        name: str,
        place: int,
        pairs: Sequence[Pair],
        headers: Sequence[ImageInfo],
    ):
        self.wish, self.kind, self.name, self.place, self.pairs, self.headers = wish, kind, name, place, pairs, headers
        self.key = f"data.{name}_format"
        self.files = [pair.names[place] for pair in pairs]
        self.notes: list[str] = []  # what `form` saw

    def fmt(self) -> ImageFormat:
        """Raises DataError."""
        return {"image": self._image, "labels": self._labels, "mask": self._mask}[self.kind]()

    def _pictures(self) -> list[DecodedImage]:
        return [pair.images()[self.place] for pair in self.pairs]

    def _suffix(self, channels: int, dtype: str) -> str:
        """Of files that are written: as most of those that are read, where such files hold it all."""
        return output_suffix(_most([Path(file).suffix.lower() for file in self.files]), channels, dtype)

    def _image(self) -> ImageFormat:
        dtype = _most([header.dtype for header in self.headers])
        if dtype not in ("uint8", "uint16", "float32"):
            file = self.files[[header.dtype for header in self.headers].index(dtype)]
            raise DataError(
                f"{file}: has {dtype} pixels, and an image is of uint8, uint16 or float32; convert it, or set "
                f"{self.key}.kind to labels or mask where that is what it holds"
            )
        channels = self.wish.channels if self.wish.channels != "auto" else self._channels()
        span = tuple(map(float, self.wish.range)) if self.wish.range != "auto" else self._range(dtype)
        low, high = value_limits(dtype)
        if span[0] < low or span[1] > high:
            raise DataError(
                f"{self.files[0]}: has {dtype} pixels, whose range lies within {low:g} to {high:g}, and "
                f"{self.key}.range is {span[0]:g} to {span[1]:g}; set it to what the files hold"
            )
        if self._only_0_and_1():
            what = f"{self.name}s looked at hold only 0 and 1, which as images are black"
            self.notes.append(f"{what}; set {self.key}.kind=mask")
        alpha = channels in (2, 4) and not self._plain_extra()
        return ImageFormat("image", channels, dtype, span, suffix=self._suffix(channels, dtype), alpha=alpha)

    def _only_0_and_1(self) -> bool:
        """Stops at the first that holds more; colour and JPEG are not even decoded."""
        if any((header.channels, header.dtype, header.paletted) != (1, "uint8", False) for header in self.headers):
            return False
        if any(Path(file).suffix.lower() in _LOSSY for file in self.files):
            return False
        try:
            return all(pair.images()[self.place].pixels.max() <= 1 for pair in self.pairs)
        except DataError:  # for those that read all to tell
            return False

    def _channels(self) -> int:
        """As many as hold what most files have: colour where there is any, transparency likewise."""
        seen = Counter(header.channels for header in self.headers)
        if self._plain_extra():
            return _most(list(seen.elements()))
        return (3 if seen[3] or seen[4] else 1) + (1 if seen[2] or seen[4] else 0)

    def _plain_extra(self) -> bool:
        """Whether some have channels that are neither colours nor transparency."""
        return any(header.channels - header.alpha not in (1, 3) for header in self.headers)

    def _range(self, dtype: str) -> tuple[float, float]:
        if dtype == "uint8":
            return 0.0, 255.0
        pictures = zip(self.files, self._pictures(), strict=True)
        named = {file: picture.pixels for file, picture in pictures if picture.pixels.dtype == dtype}
        for file, pixels in named.items():
            require_finite(pixels, file)
        arrays = named.values()
        low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
        if dtype == "uint16":
            return 0.0, float(next(2**bits - 1 for bits in _DEPTHS if high < 2**bits))
        if low >= -1 and high <= 1:
            return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
        return _outward(float(low), float(high))

    def _labels(self) -> ImageFormat:
        palette, snap = self.wish.palette, self.wish.palette is not None
        classes = len(palette) if snap else self.wish.classes
        if classes is None or not snap:
            pictures = self._pictures()
            classes = classes or self._seen(pictures)
            palette = palette or _own_palette(pictures, classes)
        dtype = "uint8" if classes <= 256 else "uint16"
        return ImageFormat("labels", 1, dtype, (0.0, 1.0), classes, palette, snap, self._suffix(1, dtype))

    def _seen(self, pictures: Sequence[DecodedImage]) -> int:
        """One more than the largest id; what is no id is left for reading to refuse."""
        found = [np.unique(ids) for ids in map(ids_of, pictures) if isinstance(ids, np.ndarray)]
        seen = sorted({int(id) for ids in found for id in ids})
        classes = min(max([2, *(id + 1 for id in seen[-1:])]), 65536)
        if 0 < len(seen) < classes:
            some = ", ".join(map(str, seen[:_SHOWN])) + (", ..." if len(seen) > _SHOWN else "")
            mask = f", or {self.key}.kind=mask" if len(seen) == 2 else ""
            what = f"{self.name} labels: {classes} classes, {len(seen)} seen: {some}"
            self.notes.append(f"{what}; set {self.key}.classes{mask}")
        return classes

    def _mask(self) -> ImageFormat:
        return ImageFormat("mask", 1, "uint8", (0.0, 1.0), suffix=self._suffix(1, "uint8"))


def _most(values: Sequence) -> object:
    """The commonest; of several, the one that comes first."""
    return Counter(values).most_common(1)[0][0]


def _own_palette(pictures: Sequence[DecodedImage], classes: int) -> tuple[tuple[int, int, int], ...] | None:
    """Of each class the colour in the first picture that uses it, or else in the longest palette."""
    palettes = [picture.palette[:, :3] for picture in pictures if picture.palette is not None]
    colours = max(palettes, key=len, default=np.zeros((0, 3), np.uint8))[:classes].copy()
    if len(colours) < classes:
        return None
    for picture in reversed(pictures):
        if picture.palette is not None:
            used = np.unique(picture.pixels)
            used = used[used < classes]
            colours[used] = picture.palette[used, :3]
    return tuple(tuple(colour) for colour in colours.tolist())


def _outward(low: float, high: float) -> tuple[float, float]:
    """A range with room for what a sample has not shown, its ends rounded outward to two digits."""
    room = (high - low) / 20 or max(abs(high), 1) / 2
    low, high = (0.0 if low >= 0 else low - room), (0.0 if high <= 0 else high + room)

    def round_out(value: float, up: bool) -> float:
        if value == 0:
            return 0.0
        unit = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
        return float((np.ceil if up else np.floor)(value / unit) * unit)

    return round_out(low, False), round_out(high, True)
