"""Choose the settings that depend on a data set from its files, for the recipe `own` (training without a config)."""

import math
from collections.abc import Sequence
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from pix2pix.config import Config
from pix2pix.data.formats.image_format import ImageFormat
from pix2pix.data.index import DatasetIndex
from pix2pix.data.infer import infer_pair_formats

LARGEST = 256  # the longest side that is chosen: the size of the paper's recipes
_STEP = 32  # a U-Net of at least 5 levels halves each side 5 times
_SAME_ASPECT = 0.05  # images are resized to one size if log(height / width) differs by at most this
_SAMPLE = 32  # pairs whose sizes are read
_MANY = 5000  # training pairs; from this number on, batches are larger, and flips and jitter are off
_BATCH = 4  # pairs in an update of a large data set, as in the paper's edges2shoes
_SEEN = 200_000  # training pairs that a run sees, within the limits of 10 to 200 epochs (the paper: 80,000 to 750,000)


_KEYS = (
    *("data.direction", "data.input_format.kind", "data.target_format.kind", "data.image_size", "data.load_size"),
    *("data.flip", "data.batch_size", "schedule.epochs", "schedule.decay_epochs"),
)  # that may be chosen


class Setting(NamedTuple):
    """A dotted key of the config, the value that was chosen for it, and why."""

    key: str
    value: Any
    reason: str


def choose_settings(config: Config) -> list[Setting]:
    """Choose image size, load size, flips, batch size, epochs, direction and kinds for the data of a config.

    `config` names the data; the caller keeps the values of keys that it sets. Raises DataError if there are no pairs,
    or if they cannot be trained on.
    """
    data = config.data
    index = DatasetIndex.scan(data)
    pairs = index.pairs("train", data.crop)
    formats = infer_pair_formats(data, pairs)
    positions = np.linspace(0, len(pairs) - 1, min(_SAMPLE, len(pairs))).round().astype(int)
    sizes = [pairs[position].infos()[-1].size for position in positions]
    settings = [*_direction(index), _kind("input", formats.input), _kind("target", [formats.target])]
    size, native = _image_size(sizes)
    few = len(pairs) < _MANY
    count = f"{len(pairs):,} training pairs"
    settings.append(size)
    if native:
        settings.append(Setting("data.load_size", "native", "the images differ in shape, so they are not resized"))
    elif few:
        reason = f"{count}: random crops from 286/256 of image_size add variety, as in the paper"
        settings.append(Setting("data.load_size", "jitter", reason))
    if few:
        reason = f"{count}: mirroring doubles them; set false if left and right differ, as in text"
        settings.append(Setting("data.flip", True, reason))
    reason = "one pair per update, as in the paper" if few else f"{count}: enough for larger batches"
    return [*settings, Setting("data.batch_size", 1 if few else _BATCH, reason), *_schedule(config, len(pairs))]


def settings_of(config: Config) -> list[Setting]:
    """Return the values that a completed config has for the keys that may be chosen, so that they are used again."""
    return [Setting(key, attrgetter(key)(config), "the value that this run was started with") for key in _KEYS]


def _direction(index: DatasetIndex) -> list[Setting]:
    """Return the direction for side-by-side images; their halves have no names to tell it."""
    if index.data.direction is not None or index.layout("train").name != "side-by-side":
        return []
    reason = "the left half is the input, the right half the target; b2a swaps them"
    return [Setting("data.direction", "a2b", reason)]


def _kind(side: str, formats: Sequence[ImageFormat]) -> Setting:
    """Return the setting of a kind. It stays `auto`, which also infers more than the kind, such as ids to ignore."""
    return Setting(
        f"data.{side}_format.kind", "auto", f"inferred from the {side} files: {' + '.join(map(str, formats))}"
    )


def _image_size(sizes: Sequence[tuple[int, int]]) -> tuple[Setting, bool]:
    """Return the setting of image_size for images of these (height, width), and whether they should not be resized."""
    smallest, largest = (_by(pick(sizes, key=lambda size: size[0] * size[1])) for pick in (min, max))
    what = f"the images are {smallest}" + ("" if smallest == largest else f" to {largest}")
    typical = median(height for height, _ in sizes), median(width for _, width in sizes)
    aspects = [math.log(height / width) for height, width in sizes]
    native = max(aspects) - min(aspects) > _SAME_ASPECT
    if native:
        sides = [min(size[axis] for size in sizes) // _STEP * _STEP for axis in (0, 1)]
        reason = f"{what} (width x height): crops that fit into each image"
    else:
        scale = min(1, LARGEST / max(typical))
        sides = [round(side * scale / _STEP) * _STEP for side in typical]
        reason = f"{what} (width x height): their shape, with sides of at most {LARGEST} in multiples of {_STEP}"
    height, width = (min(max(side, _STEP), LARGEST) for side in sides)
    return Setting("data.image_size", height if height == width else [height, width], reason), native


def _schedule(config: Config, pairs: int) -> list[Setting]:
    """Return epochs and decay_epochs. If the config sets epochs, decay_epochs follows from these."""
    chosen = min(max(round(_SEEN / pairs), 10), 200)
    epochs = config.schedule.epochs if "epochs" in config.schedule.model_fields_set else chosen
    decay = "the learning rate falls to 0 in the second half" if epochs > 1 else "one epoch has one learning rate"
    return [
        Setting("schedule.epochs", chosen, f"{pairs:,} training pairs: {pairs * chosen:,} pairs are seen in total"),
        Setting("schedule.decay_epochs", epochs // 2, decay),
    ]


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
