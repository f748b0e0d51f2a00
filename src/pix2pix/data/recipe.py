"""Choose the settings that depend on a data set from its files: for the recipe `own`, a start without a config."""

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

LARGEST = 256  # sides are not longer unless the user asks for it: the size of the paper's recipes
_STEP = 32  # a U-Net of at least 5 levels halves each side 5 times
_SAME_ASPECT = 0.05  # the largest difference of log(height / width) between pictures that are resized to one size
_SAMPLE = 32  # pairs whose sizes are read
_MANY = 5000  # from so many training pairs on, more than one pair per update, and no flips or jitter
_BATCH = 4  # pairs in an update of a large data set, as in the paper's edges2shoes
_SEEN = 200_000  # training pairs that a run sees, within 10 to 200 epochs (the paper: 80,000 to 750,000)


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

    `config` says where the pairs are; the keys that it sets should be left as they are. Raises DataError where there
    are no pairs, or where they cannot be trained on.
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
        settings.append(Setting("data.load_size", "native", "the pictures differ in shape, so none is resized"))
    elif few:
        reason = f"{count}: random crops from 286/256 of image_size make more of them, as in the paper"
        settings.append(Setting("data.load_size", "jitter", reason))
    if few:
        reason = f"{count}: mirroring doubles them; set false where left and right differ, as in text"
        settings.append(Setting("data.flip", True, reason))
    reason = "one pair per update, as in the paper" if few else f"{count} are enough for larger batches"
    return [*settings, Setting("data.batch_size", 1 if few else _BATCH, reason), *_schedule(config, len(pairs))]


def settings_of(config: Config) -> list[Setting]:
    """Return what a completed config has for each key that may be chosen, to choose the same again."""
    return [Setting(key, attrgetter(key)(config), "as this run was started") for key in _KEYS]


def _direction(index: DatasetIndex) -> list[Setting]:
    """Return the direction of side-by-side images, whose sides have no names."""
    if index.data.direction is not None or index.layout("train").name != "side-by-side":
        return []
    reason = "the left half is the input, the right half the target; b2a exchanges them"
    return [Setting("data.direction", "a2b", reason)]


def _kind(side: str, formats: Sequence[ImageFormat]) -> Setting:
    """Return the setting of a kind. It stays auto, since more than the kind is found with it, such as void pixels."""
    return Setting(f"data.{side}_format.kind", "auto", f"found in the {side} files: {' + '.join(map(str, formats))}")


def _image_size(sizes: Sequence[tuple[int, int]]) -> tuple[Setting, bool]:
    """Return the setting of image_size for pictures of these (height, width), and whether to leave their sizes."""
    smallest, largest = (_by(pick(sizes, key=lambda size: size[0] * size[1])) for pick in (min, max))
    what = f"the pictures are {smallest}" + ("" if smallest == largest else f" to {largest}")
    typical = median(height for height, _ in sizes), median(width for _, width in sizes)
    aspects = [math.log(height / width) for height, width in sizes]
    native = max(aspects) - min(aspects) > _SAME_ASPECT
    if native:
        sides = [min(size[axis] for size in sizes) // _STEP * _STEP for axis in (0, 1)]
        reason = f"{what} (width x height): crops that fit into each of them"
    else:
        scale = min(1, LARGEST / max(typical))
        sides = [round(side * scale / _STEP) * _STEP for side in typical]
        reason = f"{what} (width x height): their shape, at most {LARGEST} long, in multiples of {_STEP}"
    height, width = (min(max(side, _STEP), LARGEST) for side in sides)
    return Setting("data.image_size", height if height == width else [height, width], reason), native


def _schedule(config: Config, pairs: int) -> list[Setting]:
    """Return epochs and decay_epochs; epochs that the config sets determine decay_epochs."""
    chosen = min(max(round(_SEEN / pairs), 10), 200)
    epochs = config.schedule.epochs if "epochs" in config.schedule.model_fields_set else chosen
    decay = "the learning rate falls to 0 in the second half" if epochs > 1 else "one epoch has one learning rate"
    return [
        Setting("schedule.epochs", chosen, f"{pairs:,} training pairs: {pairs * chosen:,} are seen in all"),
        Setting("schedule.decay_epochs", epochs // 2, decay),
    ]


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
