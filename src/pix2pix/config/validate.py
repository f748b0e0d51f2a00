"""Find conflicts between keys whose values are each valid."""

from collections.abc import Sequence
from typing import NamedTuple

from pix2pix.config.base import show_size
from pix2pix.config.data import DataConfig, ImageFormatConfig, PercentileRange
from pix2pix.config.patterns import is_pattern, pattern_problem
from pix2pix.config.schema import (
    Config,
    PatchGANConfig,
    PixelConfig,
    ResNetConfig,
    dropout_levels,
    nearest_sizes,
    patch_map_size,
    unet_depth,
)
from pix2pix.errors import ConfigError


class Conflict(NamedTuple):
    """Values that are each valid and contradict each other."""

    keys: tuple[str, ...]  # dotted; the first is the most likely cause
    message: str


def _discriminator_fits(discriminator: PatchGANConfig, crop: tuple[int, int]) -> bool:
    height, width = patch_map_size(discriminator, crop)
    if min(height, width) < 1:
        return False
    # With 3x3 kernels the last normalised map is as small as the logits, and one pixel cannot be normalised.
    one_pixel = height * width == 1 and discriminator.kernel_size == 3
    return not one_pixel or discriminator.norm == "none"


def find_conflicts(config: Config, needs_source: bool = False) -> list[Conflict]:
    """Return every conflict between keys of a config; with `needs_source` it must say where the pairs are."""
    return (
        _data_and_schedule_conflicts(config)
        + (_missing_source(config.data) if needs_source else [])
        + _source_conflicts(config.data)
        + _column_conflicts(config.data)
        + _pattern_conflicts(config.data)
        + _format_conflicts(config.data)
        + _generator_conflicts(config)
        + _discriminator_conflicts(config)
    )


def _data_and_schedule_conflicts(config: Config) -> list[Conflict]:
    data, schedule, conflicts = config.data, config.schedule, []
    if data.batch_size % config.optimizer.accumulation_steps:
        message = (
            f"data.batch_size {data.batch_size} cannot be split into {config.optimizer.accumulation_steps} equal parts "
            "(optimizer.accumulation_steps); make it a multiple of that"
        )
        conflicts.append(Conflict(("optimizer.accumulation_steps", "data.batch_size"), message))
    if config.run.cuda_graph and config.optimizer.accumulation_steps > 1:
        message = (
            "run.cuda_graph does not work with optimizer.accumulation_steps above 1; set it to false, or the steps to 1"
        )
        conflicts.append(Conflict(("run.cuda_graph", "optimizer.accumulation_steps"), message))
    if schedule.decay_epochs > schedule.epochs:
        message = (
            f"schedule.decay_epochs ({schedule.decay_epochs}) is more than schedule.epochs ({schedule.epochs}); "
            "it is the number of last epochs over which the rate falls"
        )
        conflicts.append(Conflict(("schedule.decay_epochs", "schedule.epochs"), message))
    if data.load and (data.load[0] < data.crop[0] or data.load[1] < data.crop[1]):
        message = (
            f"data.load_size {show_size(data.load)} is smaller than data.image_size {show_size(data.crop)}, "
            "which is cropped from it; raise load_size or leave it out"
        )
        conflicts.append(Conflict(("data.load_size", "data.image_size"), message))
    if data.augment.quarter_turns and data.crop[0] != data.crop[1]:
        message = (
            f"data.augment.quarter_turns swaps height and width, which data.image_size {show_size(data.crop)} does "
            "not allow; make image_size square, or use flip_vertical and rotation"
        )
        conflicts.append(Conflict(("data.augment.quarter_turns", "data.image_size"), message))
    low, high = data.augment.scale
    if low > high:
        message = f"data.augment.scale goes from {low:g} down to {high:g}; write it as [{high:g}, {low:g}]"
        conflicts.append(Conflict(("data.augment.scale",), message))
    return conflicts


def _missing_source(data: DataConfig) -> list[Conflict]:
    sources = [data.root, data.manifest, data.input, data.target]
    if data.layout == "synthetic" or any(source is not None for source in sources):
        return []
    message = "no folder to read pairs from: set data.root or pass --data ROOT"
    return [Conflict(("data.root", "data.layout"), message)]


def _source_conflicts(data: DataConfig) -> list[Conflict]:
    """Return the conflicts between the keys that say where the pairs are."""
    named, conflicts = data.input is not None and data.target is not None, []
    if not named and (data.input or data.target):
        given, other = ("input", "target") if data.input else ("target", "input")
        message = f"data.{given} names a folder and data.{other} none; name both, or neither"
        conflicts.append(Conflict((f"data.{given}", f"data.{other}"), message))
    if data.manifest and (data.input or data.target):
        message = "data.manifest lists the pairs already; leave out data.input and data.target, or data.manifest"
        conflicts.append(Conflict(("data.manifest", "data.input", "data.target"), message))
    elif data.direction and (named or data.manifest):
        keys = ("data.input", "data.target") if named else ("data.manifest",)
        message = f"data.direction {data.direction} beside {' and '.join(keys)}, which say what the input is; "
        conflicts.append(Conflict(("data.direction", *keys), message + "leave data.direction out, or set it to null"))
    fitting = {"manifest": data.manifest, "two-folders": named}
    for layout, key in (("manifest", "data.manifest"), ("two-folders", "data.input")):
        if fitting[layout] and data.layout not in ("auto", layout):
            message = f"data.layout {data.layout} does not go with {key}, which is read as {layout}; leave one out"
            conflicts.append(Conflict(("data.layout", key), message))
    return conflicts


def _column_conflicts(data: DataConfig) -> list[Conflict]:
    """Return the conflicts between data.columns and the keys that say where the pairs are, or among the columns."""
    given, conflicts = data.columns.names, []
    if not given:
        return []
    key = f"data.columns.{next(iter(given))}"
    if data.input is not None or data.target is not None or data.layout not in ("auto", "manifest"):
        other = "data.layout" if data.input is None and data.target is None else "data.input"
        value = f" {data.layout}" if other == "data.layout" else ""
        message = f"data.columns is for manifests, which {other}{value} contradicts; leave one of them out"
        conflicts.append(Conflict((key, other), message))
    names = [(f"data.columns.{role}", name.strip().lower()) for role, some in given.items() for name in some]
    for number, (role, name) in enumerate(names):
        if earlier := next((other for other, same in names[:number] if same == name), None):
            message = f"{earlier} and {role} both name the column {name!r}; each needs a column of its own"
            conflicts.append(Conflict((role, earlier), message))
    return conflicts


def _pattern_conflicts(data: DataConfig) -> list[Conflict]:
    """Return what is wrong with patterns in data.input and data.target, and a pattern beside a folder."""
    given = [*(("data.input", text) for text in data.inputs), *([("data.target", data.target)] if data.target else [])]
    patterns = [(key, text) for key, text in given if is_pattern(text)]
    conflicts = [
        Conflict((key,), f"{key} {text!r} {problem}") for key, text in patterns if (problem := pattern_problem(text))
    ]
    if not conflicts and patterns and len(patterns) < len(given):
        key, folder = next((key, text) for key, text in given if not is_pattern(text))
        message = f"{key} {folder!r} is a folder, and {patterns[0][0]} a pattern; write it as {folder + '/{id}.*'!r}"
        conflicts.append(Conflict((key, patterns[0][0]), message))
    return conflicts


def _format_conflicts(data: DataConfig) -> list[Conflict]:
    """Return the conflicts between the keys that say what images hold."""
    conflicts, folders = [], len(data.input_names) or 1
    for side, count in (("input", folders), ("target", 1)):
        settings, key = getattr(data, f"{side}_format"), f"data.{side}_format"
        kinds = settings.kinds(count)
        if len(kinds) != count:
            listed = "data.input" if data.inputs else "data.columns.input"
            of = f"{listed} names {count}" if side == "input" and data.input_names else f"a pair has one {side}"
            message = f"{key}.kind lists {len(kinds)} kinds, and {of}; give as many, or one for all"
            conflicts.append(Conflict((f"{key}.kind", f"data.{side}"), message))
        conflicts += _kind_conflicts(key, settings, kinds)
        ends = settings.range.percentiles if isinstance(settings.range, PercentileRange) else settings.range
        if ends != "auto" and ends[0] >= ends[1]:
            message = f"{key}.range goes from {ends[0]:g} to {ends[1]:g}; the first must be the smaller"
            conflicts.append(Conflict((f"{key}.range",), message))
        if settings.palette and settings.classes not in (None, len(settings.palette)):
            colours = len(settings.palette)
            message = f"{key}.classes is {settings.classes}, and {key}.palette has {colours} colours; leave it out"
            conflicts.append(Conflict((f"{key}.classes", f"{key}.palette"), message))
        if settings.palette and len(set(settings.palette)) < len(settings.palette):
            message = f"{key}.palette has one colour twice, so two classes could not be told apart; change one"
            conflicts.append(Conflict((f"{key}.palette",), message))
    return conflicts


def _kind_conflicts(key: str, settings: ImageFormatConfig, kinds: Sequence[str]) -> list[Conflict]:
    """Return the conflicts of the settings of one kind with another kind, and with each other."""
    conflicts, first = [], ""
    for kind, names in (("labels", ("classes", "palette", "ignore")), ("image", ("channels", "range", "nodata"))):
        given = [name for name in names if getattr(settings, name) not in (None, "auto")]
        if given and first and settings.kind == "auto":
            message = f"{key}.{first} is for labels, and {key}.{given[0]} for images; leave one out"
            conflicts.append(Conflict((f"{key}.{first}", f"{key}.{given[0]}"), message))
        elif given and kind not in kinds:
            message = f"{key}.{given[0]} is for the kind {kind}, and {key}.kind is {kinds[0]}; set it to {kind}"
            conflicts.append(Conflict((f"{key}.{given[0]}", f"{key}.kind"), message))
        first = given[0] if given else first
    classes = settings.classes or len(settings.palette or ())
    if settings.ignore is not None and settings.ignore < classes:
        message = (
            f"{key}.ignore is {settings.ignore}, which is one of the {classes} classes, 0 to {classes - 1}; set it to "
            "an id beyond them, such as 255"
        )
        conflicts.append(
            Conflict((f"{key}.ignore", f"{key}.classes" if settings.classes else f"{key}.palette"), message)
        )
    return conflicts


def _generator_conflicts(config: Config) -> list[Conflict]:
    generator, crop = config.model.generator, config.data.crop
    size_keys = ("data.image_size", "model.generator.name", "model.generator.depth")
    if isinstance(generator, ResNetConfig):
        if crop[0] % 4 == crop[1] % 4 == 0:
            return []
        message = f"data.image_size {show_size(crop)} does not fit a ResNet generator, which needs multiples of 4; "
        return [Conflict(size_keys[:2], message + f"nearest that works: {nearest_sizes(crop, 4)}")]
    try:
        depth = unet_depth(generator, crop)
    except ConfigError as error:
        return [Conflict(size_keys, str(error))]
    conflicts = []
    for key in ("dropout_down", "dropout_up"):
        levels = dropout_levels(getattr(generator, key), depth)
        if outside := [level for level in levels if isinstance(level, int) and level > depth]:
            message = (
                f"model.generator.{key} names level {', '.join(map(str, outside[:20]))}, but this U-Net has levels "
                f"1 to {depth}; leave out what is above {depth}, or raise depth and image_size"
            )
            conflicts.append(Conflict((f"model.generator.{key}", *size_keys), message))
    return conflicts


def _discriminator_conflicts(config: Config) -> list[Conflict]:
    discriminator, crop = config.model.discriminator, config.data.crop
    if isinstance(discriminator, PixelConfig) or _discriminator_fits(discriminator, crop):
        return []
    smallest = next(side for side in range(16, 8193) if _discriminator_fits(discriminator, (side, side)))
    message = (
        f"data.image_size {show_size(crop)} is too small for the discriminator: nothing is left of it after "
        f"{discriminator.n_layers} halvings; the smallest side that works is {smallest}, or lower "
        "model.discriminator.n_layers"
    )
    keys = ("name", "n_layers", "kernel_size", "stride1_layer", "norm")
    return [Conflict(("data.image_size", *(f"model.discriminator.{key}" for key in keys)), message)]
