"""Statistics of each pair, from one pass over its images: numbers, hashes and a thumbnail, but no pixels.

The pass has two parts: slow operations on single images, and numpy operations on several images at once, which keep
threads from waiting for the interpreter lock. Most operations take the same time for images of any size, in total about
a millisecond per pair: several times as long as decoding small images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pix2pix.check.likeness import Likeness, checksum, hashes, thumbnails
from pix2pix.check.registration import SIDE, SMALLEST, Offset, edge_spectra, offsets
from pix2pix.data.formats.convert import decode, preview
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.files import read_image
from pix2pix.data.images.settings import at_most
from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError

SAMPLED = 64  # rows and columns of the grid that colours are sampled on
ROUGH = 16  # values of a channel that count as one rough colour
_ROUGH_COLOURS = (256 // ROUGH) ** 3
_COMMON = 16  # rough colours that are stored
SATURATION = 4  # the place of the mean saturation in the traits
_EXACT = 32  # exact colours that a label map may have
_FLAT = 2  # neighbouring pixels that differ by at most this have the same colour

_LOSSY = (".jpg", ".jpeg", ".jfif")
_SINGLE_FRAME = (*_LOSSY, ".bmp", ".npy")  # suffixes of files that hold one image
_BLENDED = 0.002  # the largest share of label pixels with colours that are not in the palette

_NO_IDS = np.zeros(0, np.uint16)
_counts = np.arange(SAMPLED**2 + 1)
_ENTROPY = -np.log2(np.maximum(_counts, 1) / SAMPLED**2) * _counts / SAMPLED**2  # of a colour, by its count

Pixels = NDArray[Any]


class ImageStats(NamedTuple):
    """Statistics of one image. `traits` distinguish kinds of images, see `_traits`."""

    size: tuple[int, int]  # (H, W)
    likeness: Likeness
    low: int  # of a reduced grey copy, 0 to 255
    high: int
    one_colour: bool
    top: int  # its highest value where `high` is below 32, else 255
    colours: int  # distinct ones in a sample of its pixels
    exact_share: float  # of the sample: its most common colours, as many as label maps may have
    common: Pixels  # int32 [2, n]: its most common rough colours, and the count of each in the sample
    traits: Pixels  # float32 [8]
    blended: bool  # labels with colours between those of the classes
    ids: Pixels  # of labels, else empty


class Problem(NamedTuple):
    """A reason why a pair cannot be used: a code of `findings.CODES`, the file at fault, and the details."""

    code: str
    file: str
    detail: str


@dataclass(slots=True)
class PairStats:
    """Statistics of one pair. Where there are `problems`, there are no `images`.

    `images` and `stored` (channels and number type in the file) have the keys of `PairFormat.parts`. `offset` is also
    None where the images are too small to measure it. `animated`: files of several frames. `turned`: files that EXIF
    turns while their partners are not turned.
    """

    split: str
    name: str
    files: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    images: dict[str, ImageStats] = field(default_factory=dict)
    stored: dict[str, tuple[int, str]] = field(default_factory=dict)
    offset: Offset | None = None
    animated: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()

    @property
    def input(self) -> ImageStats:
        """Return the first input of a pair without problems."""
        return self.images["input"]

    @property
    def target(self) -> ImageStats:
        """Return the target of a pair without problems."""
        return self.images["target"]


class _RawStats(NamedTuple):
    """The first part of the statistics of an image."""

    size: tuple[int, int]
    checksum: int
    grey: Pixels  # uint8 [SIDE, SIDE]
    sample: Pixels  # uint8 [64, 2, 64, 3]: pixels on a grid, and their right neighbours
    one_colour: bool
    top: int
    blended: bool
    ids: Pixels


def pair_stats(pairs: Sequence[tuple[str, Pair]], formats: PairFormat) -> list[PairStats]:
    """Read pairs of (split, pair) and compute their statistics. Broken files are in `problems`; nothing is raised."""
    all_stats, raw = [], []
    for split, pair in pairs:
        stats = PairStats(split, pair.name, tuple(map(str, pair.files)))
        all_stats.append(stats)
        try:
            images = pair.images()
            _read_infos(pair, stats)
        except DataError as error:
            stats.problems = _file_problems(pair, error)
            continue
        stats.stored = {key: _stored(image) for key, image in zip(formats.parts, images, strict=True)}
        several, stats.problems = _raw_pair(pair, images, formats)
        if not stats.problems:
            raw += several
    good = [stats for stats in all_stats if not stats.problems]
    if good:
        greys, keys = np.array([image.grey for image in raw], np.float32), list(formats.parts)
        images_stats = _image_stats(raw, greys)
        for position, stats in enumerate(good):
            stats.images = dict(zip(keys, images_stats[position * len(keys) :], strict=False))
        _measure_offsets(good, greys.reshape(len(good), len(keys), *greys.shape[1:]))
    return all_stats


def _measure_offsets(pairs: Sequence[PairStats], greys: Pixels) -> None:
    """Set `offset` of the pairs that are large enough; `greys`: float32 [pairs, images, SIDE, SIDE]."""
    large = [position for position, stats in enumerate(pairs) if min(stats.input.size) >= SMALLEST]
    if large:
        (inputs, input_shares), (targets, target_shares) = edge_spectra(greys[large, 0]), edge_spectra(greys[large, -1])
        measured = offsets(inputs, targets, np.minimum(input_shares, target_shares))
        for position, offset in zip(large, measured, strict=True):
            pairs[position].offset = offset


def _read_infos(pair: Pair, stats: PairStats) -> None:
    """Set `animated` and `turned`. Raises DataError."""
    if len(stats.files) > 1 or any(not file.lower().endswith(_SINGLE_FRAME) for file in stats.files):
        infos = dict(zip(map(str, pair.names), pair.infos(), strict=True))
        stats.animated = tuple(file for file, info in infos.items() if info.frames > 1)
        turned = tuple(file for file, info in infos.items() if info.turned)
        stats.turned = turned if len(turned) < len(infos) else ()


def _raw_pair(
    pair: Pair, images: Sequence[DecodedImage], formats: PairFormat
) -> tuple[list[_RawStats], tuple[Problem, ...]]:
    """Return the first part of the statistics of a pair's images, and the problems of those that do not fit."""
    raw, problems = [], []
    for (key, fmt), image, name in zip(formats.parts.items(), images, pair.names, strict=True):
        section = f"data.{'target' if key == 'target' else 'input'}_format"
        try:
            raw.append(_raw_stats(decode(fmt, image, name, section), fmt, image, str(name)))
        except DataError as error:
            code = {"image": "format", "labels": "label-ids", "mask": "mask-values"}[fmt.kind]
            problems.append(Problem(code, str(name), error.detail))
    return raw, tuple(problems)


def _stored(image: DecodedImage) -> tuple[int, str]:
    pixels = image.pixels if image.palette is None else image.palette
    channels = pixels.shape[-1]
    if image.palette is not None and channels == 3:
        used = image.palette[np.unique(image.pixels)]
        channels = 3 if (used[:, :1] != used).any() else 1  # black-and-white GIFs have no colours
    return channels, pixels.dtype.name


def _raw_stats(pixels: Pixels, fmt: ImageFormat, image: DecodedImage, name: str) -> _RawStats:
    """Compute the first part of the statistics; `pixels`, [H, W, C] in the format `fmt`, were decoded from `image`."""
    pixels = np.ascontiguousarray(pixels)
    rgb = np.ascontiguousarray(preview(pixels, fmt))
    height, width = rgb.shape[:2]
    grey = np.asarray(Image.fromarray(rgb).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    low, high = int(grey.min()), int(grey.max())
    rows, columns = (np.arange(SAMPLED) * side // SAMPLED for side in (height, width))
    columns = np.concatenate([columns, np.minimum(columns + 1, width - 1)])
    return _RawStats(
        (height, width),
        checksum(pixels),
        grey,
        rgb[rows].take(columns, axis=1).reshape(SAMPLED, 2, SAMPLED, 3),
        high - low <= 1 and bool((pixels == pixels[0, 0]).all()),
        int(rgb.max()) if high < 32 else 255,
        fmt.kind == "labels" and blended_labels(image, fmt, name),
        np.flatnonzero(np.bincount(pixels.ravel())).astype(np.uint16) if fmt.kind == "labels" else _NO_IDS,
    )


def blended_labels(image: DecodedImage, fmt: ImageFormat, name: str) -> bool:
    """Return whether labels were altered by compression or resizing: unknown colours, or ids saved as JPEG."""
    colours = image.colours()
    if not fmt.snap or colours.shape[2] < 3:
        return name.lower().endswith(_LOSSY)
    down, right = (max(1, side // SAMPLED) for side in colours.shape[:2])
    sample = colours[::down, ::right, :3].reshape(-1, 3).astype(np.int32)
    known = np.array(fmt.palette, np.int32)
    weights = np.array([65536, 256, 1])
    return bool((~np.isin(sample @ weights, known @ weights)).mean() > _BLENDED)


def _image_stats(raw: Sequence[_RawStats], greys: Pixels) -> list[ImageStats]:
    """Complete the statistics of several images; `greys`: their grey copies, float32 [n, SIDE, SIDE] in 0..255."""
    count = len(raw)
    samples = np.array([image.sample for image in raw]).transpose(2, 4, 0, 1, 3).astype(np.int32, order="C")
    red, green, blue = sample = samples[0].reshape(3, count, -1)  # each [n, 4096]
    exact = np.sort(red << 16 | green << 8 | blue)
    colours = 1 + np.count_nonzero(exact[:, 1:] != exact[:, :-1], axis=1)
    levels = 256 // ROUGH
    codes = (red // ROUGH * levels + green // ROUGH) * levels + blue // ROUGH
    codes += _ROUGH_COLOURS * np.arange(count, dtype=np.int32)[:, None]
    rough = np.bincount(codes.ravel(), minlength=_ROUGH_COLOURS * count).reshape(count, -1).astype(np.int32)
    # Count and colour as one number, because partitioning values is many times as fast as partitioning indices.
    both = np.partition(rough * _ROUGH_COLOURS + np.arange(_ROUGH_COLOURS, dtype=np.int32), -_COMMON)[:, -_COMMON:]
    common = np.stack([both % _ROUGH_COLOURS, both // _ROUGH_COLOURS], axis=1)  # [n, 2, 16]
    flat = (np.abs(samples[0, 1] - samples[1, 1]) <= _FLAT).mean((1, 2))
    traits = _traits(sample, rough, common, flat, greys)
    lows, highs = greys.min((1, 2)), greys.max((1, 2))
    return [
        ImageStats(
            image.size,
            Likeness(image.checksum, bits, thumbnail),
            int(lows[position]),
            int(highs[position]),
            image.one_colour,
            image.top,
            int(colours[position]),
            _exact_share(exact[position]),
            common[position],
            traits[position],
            image.blended,
            image.ids,
        )
        for position, (image, bits, thumbnail) in enumerate(zip(raw, hashes(greys), thumbnails(greys), strict=True))
    ]


def _exact_share(colours: Pixels) -> float:
    """Return the share of the most common of sorted colours [4096]: high where they are exact, as in label maps."""
    starts = np.flatnonzero(np.diff(colours, prepend=-1))
    counts = np.diff(starts, append=len(colours))
    return float(np.sort(counts)[-_EXACT:].sum() / len(colours))


def _traits(sample: Pixels, rough: Pixels, common: Pixels, flat: Pixels, greys: Pixels) -> Pixels:
    """Return what distinguishes photographs from drawings, or day from night: float32 [n, 8], each of the order of 1.

    They are the entropy of the colours, the share of the eight most common, the share of flat areas, the mean gradient,
    the mean saturation, and the mean red, green and blue.
    """
    red, green, blue = sample
    saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    traits = [
        _ENTROPY[rough].sum(1),
        np.sort(common[:, 1])[:, -8:].sum(1) / SAMPLED**2,
        flat,
        np.log1p(np.abs(greys[:, :, 1:] - greys[:, :, :-1]).mean((1, 2))),
        saturation.mean(1) / 64,
        *(sample.mean(2) / 64),
    ]
    return np.stack(traits, axis=1).astype(np.float32)


def _file_problems(pair: Pair, error: DataError) -> tuple[Problem, ...]:
    """Return the files of a pair that cannot be read; if all can be read, the problem is that of `error`."""
    problems = []
    for path in pair.files:
        try:
            with at_most(pair.max_pixels):
                read_image(path)
        except DataError as unreadable:
            problems.append(Problem("unreadable", str(path), unreadable.detail))
    return tuple(problems) or (Problem(error.code or "unreadable", str(error.path or pair.names[0]), error.detail),)
