"""What is kept of a pair after one look at it: numbers, hashes and a tiny thumbnail, not its pixels.

A look has two parts: what takes long for one picture, and what numpy does for several pictures in one call, so that
threads do not wait for each other's Python. Much of it is the same for a picture of any size: about a millisecond a
pair, which is several times as long as small pictures take to decode.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from pix2pix.check.likeness import Likeness, digest, hashes, thumbs
from pix2pix.check.registration import SIDE, SMALLEST, Offset, edges, offsets
from pix2pix.data.formats.convert import decode, preview
from pix2pix.data.formats.image_format import ImageFormat, PairFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.data.images.files import read_image
from pix2pix.data.pairs import Pair
from pix2pix.errors import DataError
from pix2pix.text import show_text

SAMPLED = 64  # rows and columns that colours are counted in
_ROUGH = 16  # values a channel that are one, when colours are told apart roughly
_ROUGH_COLOURS = (256 // _ROUGH) ** 3
_COMMON = 16  # rough colours kept
_STILL = 2  # neighbours that differ by no more are of one flat colour

_LOSSY = (".jpg", ".jpeg", ".jfif")
_STILL_AND_WHOLE = (*_LOSSY, ".bmp", ".npy")  # suffixes of files that hold one picture
_BLENDED = 0.002  # of labels may have colours that are in no palette

_NO_IDS = np.zeros(0, np.uint16)
_counts = np.arange(SAMPLED**2 + 1)
_ENTROPY = -np.log2(np.maximum(_counts, 1) / SAMPLED**2) * _counts / SAMPLED**2  # of a colour, by how often it is seen


class ImageStats(NamedTuple):
    """One picture. `traits` tell kinds of pictures apart, see `_traits`."""

    size: tuple[int, int]  # (H, W)
    likeness: Likeness
    low: int  # of a reduced grey copy, 0 to 255
    high: int
    one_colour: bool
    top: int  # its highest value, where `high` is so low that this matters; else 255
    colours: int  # different ones in a sample of its pixels
    common: np.ndarray  # int32 [2, n]: its commonest rough colours, and how often each is seen in the sample
    traits: np.ndarray  # float32 [8]
    blended: bool  # labels that are not as they were drawn
    ids: np.ndarray  # those that labels hold, else none


@dataclass(slots=True)
class PairStats:
    """One pair. `problems`: (code, file, reason) of what keeps it from being read; then there are no looks.

    `looks`: by the keys of `PairFormat.parts`; `stored`: likewise, channels and number type in the files. `offset`:
    None too where pictures are too small to tell one. `moving`: files of which only the first frame is used. `turned`:
    files that EXIF turns while it leaves their partners.
    """

    split: str
    name: str
    files: tuple[str, ...]
    problems: tuple[tuple[str, str, str], ...] = ()
    looks: dict[str, ImageStats] = field(default_factory=dict)
    stored: dict[str, tuple[int, str]] = field(default_factory=dict)
    offset: Offset | None = None
    moving: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()

    @property
    def input(self) -> ImageStats | None:
        """The first input."""
        return self.looks.get("input")

    @property
    def target(self) -> ImageStats | None:
        return self.looks.get("target")


class _RawStats(NamedTuple):
    """The first part of a look."""

    size: tuple[int, int]
    digest: int
    grey: np.ndarray  # uint8 [SIDE, SIDE]
    sample: np.ndarray  # uint8 [64, 2, 64, 3]: pixels on a grid, and their right neighbours
    one_colour: bool
    top: int
    blended: bool
    ids: np.ndarray


def look_at(pairs: Sequence[tuple[str, Pair]], formats: PairFormat) -> list[PairStats]:
    """Reads pairs of (split, pair). Never raises DataError: what is wrong with their files is in `problems`."""
    seen, glimpses = [], []
    for split, pair in pairs:
        one = PairStats(split, pair.name, tuple(map(str, pair.files)))
        try:
            pictures = pair.images()
            _look_at_headers(pair, one)
        except DataError as error:
            one.problems = _unreadable(pair, str(error))
        else:
            found = _decoded(pair, pictures, formats)
            one.stored = {key: _stored(picture) for key, picture in zip(formats.parts, pictures, strict=True)}
            one.problems = tuple(some for some in found if not isinstance(some, _RawStats))
            glimpses += [] if one.problems else found
        seen.append(one)
    good = [one for one in seen if not one.problems]
    if good:
        greys, keys = np.array([glimpse.grey for glimpse in glimpses], np.float32), list(formats.parts)
        looks = _looks(glimpses, greys)
        for place, one in enumerate(good):
            one.looks = dict(zip(keys, looks[place * len(keys) :], strict=False))
        large = [place for place, one in enumerate(good) if min(one.input.size) >= SMALLEST]
        if large:
            pairs_greys = greys.reshape(len(good), len(keys), *greys.shape[1:])[large]
            (inputs, some), (targets, others) = edges(pairs_greys[:, 0]), edges(pairs_greys[:, -1])
            for place, moved in zip(large, offsets(inputs, targets, np.minimum(some, others)), strict=True):
                good[place].offset = moved
    return seen


def _look_at_headers(pair: Pair, seen: PairStats) -> None:
    if len(seen.files) > 1 or any(not file.lower().endswith(_STILL_AND_WHOLE) for file in seen.files):
        headers = dict(zip(map(str, pair.names), pair.infos(), strict=True))
        seen.moving = tuple(file for file, header in headers.items() if header.frames > 1)
        turned = tuple(file for file, header in headers.items() if header.turned)
        seen.turned = turned if len(turned) < len(headers) else ()


def _decoded(
    pair: Pair, pictures: Sequence[DecodedImage], formats: PairFormat
) -> list[_RawStats | tuple[str, str, str]]:
    """Of every picture of a pair its glimpse, or what is wrong with it."""
    found = []
    for (key, fmt), picture, name in zip(formats.parts.items(), pictures, pair.names, strict=True):
        section = f"data.{'target' if key == 'target' else 'input'}_format"
        try:
            found.append(_glimpse(decode(fmt, picture, name, section), fmt, picture, str(name)))
        except DataError as error:
            code = {"image": "format", "labels": "label-ids", "mask": "mask-values"}[fmt.kind]
            found.append((code, str(name), str(error).removeprefix(f"{name}: ")))
    return found


def _stored(picture: DecodedImage) -> tuple[int, str]:
    pixels = picture.pixels if picture.palette is None else picture.palette
    return pixels.shape[-1], pixels.dtype.name


def _glimpse(pixels: np.ndarray, fmt: ImageFormat, picture: DecodedImage, name: str) -> _RawStats:
    """Of [H, W, C] as `form` keeps them, decoded from `picture`."""
    pixels = np.ascontiguousarray(pixels)
    seen = np.ascontiguousarray(preview(pixels, fmt))
    height, width = seen.shape[:2]
    grey = Image.fromarray(seen).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    low, high = grey.getextrema()
    rows, columns = (np.arange(SAMPLED) * side // SAMPLED for side in (height, width))
    columns = np.concatenate([columns, np.minimum(columns + 1, width - 1)])
    return _RawStats(
        (height, width),
        digest(pixels),
        np.asarray(grey),
        seen[rows].take(columns, axis=1).reshape(SAMPLED, 2, SAMPLED, 3),
        high - low <= 1 and bool((pixels == pixels[0, 0]).all()),
        int(seen.max()) if high < 32 else 255,
        fmt.kind == "labels" and blended_labels(picture, fmt, name),
        np.flatnonzero(np.bincount(pixels.ravel())).astype(np.uint16) if fmt.kind == "labels" else _NO_IDS,
    )


def blended_labels(picture: DecodedImage, fmt: ImageFormat, name: str) -> bool:
    """Whether labels are not as they were drawn: colours that are in no palette, or ids kept as JPEG."""
    colours = picture.colours()
    if not fmt.snap or colours.shape[2] < 3:
        return name.lower().endswith(_LOSSY)
    down, right = (max(1, side // SAMPLED) for side in colours.shape[:2])
    some = colours[::down, ::right, :3].reshape(-1, 3).astype(np.int32)
    known = np.array(fmt.palette, np.int32)
    places = np.array([65536, 256, 1])
    return bool((~np.isin(some @ places, known @ places)).mean() > _BLENDED)


def _looks(glimpses: Sequence[_RawStats], greys: np.ndarray) -> list[ImageStats]:
    """The second part, of several pictures at once; `greys`: their grey copies, float32 [n, SIDE, SIDE] in 0..255."""
    count = len(glimpses)
    samples = np.array([glimpse.sample for glimpse in glimpses]).transpose(2, 4, 0, 1, 3).astype(np.int32, order="C")
    red, green, blue = sample = samples[0].reshape(3, count, -1)  # each [n, 4096]
    exact = np.sort(red << 16 | green << 8 | blue)
    colours = 1 + np.count_nonzero(exact[:, 1:] != exact[:, :-1], axis=1)
    levels = 256 // _ROUGH
    codes = (red // _ROUGH * levels + green // _ROUGH) * levels + blue // _ROUGH
    codes += _ROUGH_COLOURS * np.arange(count, dtype=np.int32)[:, None]
    rough = np.bincount(codes.ravel(), minlength=_ROUGH_COLOURS * count).reshape(count, -1).astype(np.int32)
    # Count and colour as one number: what partitions numbers is many times as fast as what partitions indices.
    both = np.partition(rough * _ROUGH_COLOURS + np.arange(_ROUGH_COLOURS, dtype=np.int32), -_COMMON)[:, -_COMMON:]
    common = np.stack([both % _ROUGH_COLOURS, both // _ROUGH_COLOURS], axis=1)  # [n, 2, 16]
    still = (np.abs(samples[0, 1] - samples[1, 1]) <= _STILL).mean((1, 2))
    traits = _traits(sample, rough, common, still, greys)
    lows, highs = greys.min((1, 2)), greys.max((1, 2))
    return [
        ImageStats(
            glimpse.size,
            Likeness(glimpse.digest, bits, thumb),
            int(lows[place]),
            int(highs[place]),
            glimpse.one_colour,
            glimpse.top,
            int(colours[place]),
            common[place],
            traits[place],
            glimpse.blended,
            glimpse.ids,
        )
        for place, (glimpse, bits, thumb) in enumerate(zip(glimpses, hashes(greys), thumbs(greys), strict=True))
    ]


def _traits(
    sample: np.ndarray, rough: np.ndarray, common: np.ndarray, still: np.ndarray, greys: np.ndarray
) -> np.ndarray:
    """What tells a photograph from a drawing, one time from another: float32 [n, 8], each of the order of 1.

    Entropy of its colours, the share of the eight commonest, how much of it is flat, mean gradient, mean saturation,
    and mean red, green and blue.
    """
    red, green, blue = sample
    saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    traits = [
        _ENTROPY[rough].sum(1),
        np.sort(common[:, 1])[:, -8:].sum(1) / SAMPLED**2,
        still,
        np.log1p(np.abs(greys[:, :, 1:] - greys[:, :, :-1]).mean((1, 2))),
        saturation.mean(1) / 64,
        *(sample.mean(2) / 64),
    ]
    return np.stack(traits, axis=1).astype(np.float32)


def _unreadable(pair: Pair, message: str) -> tuple[tuple[str, str, str], ...]:
    """Which of a pair's files cannot be read, and why; where each can, why the pair cannot."""
    found = []
    for path in pair.files:
        try:
            read_image(path)
        except DataError as error:
            found.append(("unreadable", str(path), str(error).removeprefix(f"{show_text(path)}: ")))
    if not found:
        code = "unequal-size" if len(pair.files) > 1 else "no-halves"
        names = {show_text(file): str(file) for file in pair.files}
        name = next((name for name in names if message.startswith((f"{name}: ", f"{name} "))), next(iter(names)))
        found = [(code, names[name], message.removeprefix(name).lstrip(": "))]
    return tuple(found)
