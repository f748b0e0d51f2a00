"""The plan that is logged before a run, and the estimate of its duration."""

import shlex
from pathlib import Path

from pix2pix._version import __version__
from pix2pix.config import Config, DataConfig, patch_map_size
from pix2pix.data.discovery.folders import first_ten, show_counts
from pix2pix.data.index import source_label
from pix2pix.data.loader import worker_count
from pix2pix.data.training_data import PairSource, TrainingData
from pix2pix.models import UNet
from pix2pix.models.layers import parameter_count
from pix2pix.runtime.device import describe_device
from pix2pix.training.metrics import MetricsLog, duration
from pix2pix.training.networks import Networks
from pix2pix.training.peak_memory import MemoryNeed, predict_memory
from pix2pix.training.run_dir import run_path
from pix2pix.training.state import TrainState

TOO_LONG = 2 * 3600  # seconds
_SMALL_WIDTH = 16
_FEW_PAIRS = 20  # and fewer get advice
_SPEED_UP = 6  # lower bound on a CPU, for 16 base channels instead of 64


def steps_per_epoch(config: Config, pairs: int) -> int:
    """Return the number of updates in an epoch, including that of a last, smaller batch."""
    return -(-pairs // config.data.batch_size)


def steps_left(config: Config, state: TrainState) -> int:
    """Return the number of updates until the end of the schedule."""
    epochs = config.schedule.epochs
    rest = -(-(state.pairs - state.position) // config.data.batch_size) if state.epoch < epochs else 0
    return rest + max(0, epochs - state.epoch - 1) * steps_per_epoch(config, state.pairs)


def summarize(config: Config, data: TrainingData, networks: Networks) -> list[str]:
    """Return the lines of the plan of a run."""
    states = [dataset.cache_state for dataset in (data.train, data.val) if dataset is not None]
    need = predict_memory(config, networks, sum(state.nbytes for state in states if state.where == "memory"))
    lines = {**_data_lines(config.data, data), **_training_lines(config, len(data.train), networks, need)}
    return [f"pix2pix {__version__}", *(f"  {name:<14}{value}" for name, value in lines.items())]


def _data_lines(settings: DataConfig, data: TrainingData) -> dict[str, str]:
    train, val = data.train, data.val
    workers = worker_count(settings.workers, train)
    reading = (f"read by {workers} worker" + ("s" if workers > 1 else "")) if workers else "read in this process"
    validation = f"{len(val)} of {data.val_name} to validate" if val is not None else "none to validate, so no best.pt"
    kept = f"train {train.cache_state}" + (f"; {data.val_name} {val.cache_state}" if val is not None else "")
    lines = {"data": f"{data.source}: {len(train)} pairs to train on, {validation}, {reading}"}
    if data.layout is not None:
        lines["layout"] = str(data.layout)
    lines |= {"input": " + ".join(map(str, data.formats.input)), "target": str(data.formats.target)}
    if data.formats.notes:
        lines["note"] = "; ".join(data.formats.notes)
    if data.skipped_files:
        lines["other files"] = f"skipped in {source_label(settings)}: {show_counts(data.skipped_files)}"
    return lines | _skipped(train, val) | {"cache": kept, "images": _images(settings)}


def _training_lines(config: Config, pairs: int, networks: Networks, need: MemoryNeed | None) -> dict[str, str]:
    model, schedule, batch_size = config.model, config.schedule, config.data.batch_size
    each = steps_per_epoch(config, pairs)
    counts = [parameter_count(network) for network in (networks.generator, networks.discriminator)]
    generator, discriminator = networks.names
    levels = f", {len(networks.generator.down)} levels" if isinstance(networks.generator, UNet) else ""
    decisions = (
        ""
        if networks.own_discriminator
        else f", {_by(patch_map_size(model.discriminator, config.data.crop))} decisions"
    )
    lines = {
        "steps": f"{schedule.epochs} epochs x {each} steps of {batch_size} = {schedule.epochs * each:,} steps",
        "generator": f"{generator}{levels}, {counts[0]:,} parameters",
        "discriminator": f"{discriminator}{decisions}, {counts[1]:,} parameters",
        "device": f"{describe_device(networks.device)}, {networks.execution}",
        **({"memory": str(need)} if need else {}),
        "results": str(run_path(config)),
    }
    if config.run.cuda_graph:
        lines["steps"] += ", each one CUDA graph (a smaller last batch without)"
    advice = _few_pairs_advice(config.data, pairs)
    if batch_size > 1 and not networks.own_generator and model.generator.norm == "batch":
        advice.append(
            "norm 'batch' above batch 1 makes an image depend on its neighbours in the batch; "
            "model.generator.norm=instance_affine does not"
        )
    return lines | ({"advice": "; ".join(advice)} if advice else {})


def _few_pairs_advice(data: DataConfig, pairs: int) -> list[str]:
    """Return advice for a data set of few pairs: the random changes that are not yet in use."""
    if pairs > _FEW_PAIRS or data.layout == "synthetic":
        return []
    changes = {"data.flip=true": data.flip, "data.load_size=jitter": data.load != data.crop, "data.augment": False}
    unused = [setting for setting, is_used in changes.items() if not is_used]
    few = "one pair is" if pairs == 1 else f"{pairs} pairs are"
    return [f"{few} few, and the network may memorize them; random changes help: {', '.join(unused)}"]


def _skipped(*datasets: PairSource | None) -> dict[str, str]:
    """Return the line about skipped pairs (data.skip_broken), if there are any."""
    errors = [str(error) for dataset in datasets if dataset is not None for error in dataset.skipped]
    return {"skipped": f"{len(errors)} that cannot be read: {first_ten(errors)}"} if errors else {}


def _by(size: tuple[int, int]) -> str:
    """Return width x height."""
    return f"{size[1]}x{size[0]}"


def _images(data: DataConfig) -> str:
    """Describe how a pair is preprocessed and augmented."""
    load, augment = _by(data.load) if data.load else "each of its own size", data.augment
    colours = [name for name in ("brightness", "contrast", "saturation", "hue") if getattr(augment, name)]
    whose = {"both": "both", "input": "the input", "target": "the target"}[augment.colour_on]
    steps = {
        f"cropped to {_by(data.crop)}": True,
        "flipped": data.flip,
        "flipped vertically": augment.flip_vertical,
        "turned by quarters": augment.quarter_turns,
        f"rotated up to {augment.rotation:g} degrees": augment.rotation,
        f"scaled by {augment.scale[0]:g} to {augment.scale[1]:g}": augment.scale != (1, 1),
        f"{', '.join(colours)} of {whose} changed": colours,
    }
    return ", ".join([load, *(step for step, on in steps.items() if on)])


def estimate(config: Config, folder: Path, log: MetricsLog, step: int, own_parts: bool) -> None:
    """Log an estimate of the run's duration as soon as it is known, and a smaller run if it is long.

    `own_parts`: whether a network, an objective or data were given to the Trainer, which no command can name.
    """
    each = log.seconds_per_step(step)
    if each is None:
        return
    total, left = (each * steps for steps in (log.total_steps, log.total_steps - step))
    log.info(f"estimated time: {duration(total)} in total, {duration(left)} left, without validation")
    if advice := smaller_run_advice(config, folder, total, own_parts):
        log.info(advice)


def smaller_run_advice(config: Config, folder: Path, seconds: float, own_parts: bool = False) -> str | None:
    """Return a line that suggests a smaller run if this one takes more than two hours, else None."""
    if seconds <= TOO_LONG:
        return None
    narrow = min(config.model.generator.base_channels, _SMALL_WIDTH)
    gain = _SPEED_UP if config.model.generator.base_channels >= 4 * _SMALL_WIDTH and not own_parts else 1
    epochs = max(1, min(config.schedule.epochs, int(config.schedule.epochs * TOO_LONG * gain / seconds)))
    shorter = {
        "schedule.epochs": epochs,
        "schedule.decay_epochs": min(config.schedule.decay_epochs, epochs // 2),
    }
    if own_parts:
        words = " and ".join(f"{key} {value}" for key, value in shorter.items())
        return f"that is more than {duration(TOO_LONG)}; a smaller run: a config with {words}"
    settings = {
        "model.generator.base_channels": narrow,
        "model.discriminator.base_channels": min(config.model.discriminator.base_channels, _SMALL_WIDTH),
    }
    flags = " ".join(f"--set {key}={value}" for key, value in {**settings, **shorter}.items())
    source, output = shlex.quote(str(folder / "config.yaml")), shlex.quote(f"{folder}-small")
    command = f"pix2pix train --config {source} {flags} --output {output}"
    return f"that is more than {duration(TOO_LONG)}; a smaller run: {command}"
