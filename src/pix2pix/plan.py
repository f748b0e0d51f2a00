"""What is about to happen, in a few lines; and what to do where it would take too long."""

import shlex
from pathlib import Path

import torch
from torch import nn

from pix2pix import __version__
from pix2pix.config import Config, DataConfig, patch_map_size
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.folders import first_ten
from pix2pix.data.layouts import whereabouts
from pix2pix.data.loader import worker_count
from pix2pix.data.pairs import describe_layout
from pix2pix.models.layers import parameter_count
from pix2pix.run_folder import run_path
from pix2pix.runtime.acceleration import describe_device
from pix2pix.text import show_text
from pix2pix.tracking import Tracker, duration

TOO_LONG = 2 * 3600  # seconds
_SMALL_WIDTH = 16
_SPEED_UP = 6  # what a width of 16 instead of 64 gains at least, on a CPU


def steps_an_epoch(config: Config, train: PairedDataset) -> int:
    """Updates an epoch; a last short batch is one too."""
    return -(-len(train) // config.data.batch_size)


def steps_left(config: Config, train: PairedDataset, samples_seen: int) -> int:
    """Updates from there to the end of the schedule."""
    epoch, done = divmod(samples_seen, len(train))
    rest = -(-(len(train) - done) // config.data.batch_size) if epoch < config.schedule.epochs else 0
    return rest + max(0, config.schedule.epochs - epoch - 1) * steps_an_epoch(config, train)


def describe(
    config: Config,
    train: PairedDataset,
    validation: tuple[str, PairedDataset] | None,
    generator: nn.Module,
    discriminator: nn.Module,
    device: torch.device,
) -> str:
    """The plan of a run, a line each. `validation`: the name and the pairs of its split, where there is one."""
    data, model, schedule = config.data, config.model, config.schedule
    drawn = data.layout == "synthetic"
    where = "drawn facades" if drawn else f"{whereabouts(data)}, {train.layout}"
    where += f", {data.direction}" if data.direction else ""
    beside = f"{len(validation[1])} of {validation[0]} to validate" if validation else "none to validate"
    workers = worker_count(data.workers, train)
    reading = f"read by {workers} worker{'s' * (workers != 1)}" if workers else "read in this process"
    kept = f"train {train.kept}" + (f"; {validation[0]} {validation[1].kept}" if validation else "")
    judged = _by(patch_map_size(model.discriminator, data.crop))
    levels = f", {len(generator.down)} levels" if model.generator.name == "unet" else ""
    precision = "bf16" if config.run.precision == "bf16" else "fp32"
    weights = parameter_count(generator), parameter_count(discriminator)
    each = steps_an_epoch(config, train)
    total = f"{schedule.epochs * each:,} steps"
    lines = {
        "data": f"{where}: {len(train)} pairs to train on, {beside}, {reading}",
        **({} if drawn else {"layout": describe_layout(data)}),
        "input": " + ".join(map(str, train.forms.input)),
        "target": str(train.forms.target),
        **({"note": "; ".join(train.forms.notes)} if train.forms.notes else {}),
        **_left_out(train, validation[1] if validation else None),
        "cache": kept,
        "images": _images(data),
        "steps": f"{schedule.epochs} epochs x {each} steps of {data.batch_size} = {total}",
        "generator": f"{model.generator.name}{levels}, {weights[0]:,} parameters",
        "discriminator": f"{model.discriminator.name}, {judged} decisions, {weights[1]:,} parameters",
        "device": f"{describe_device(device)}, {precision}",
        "results": str(run_path(config)),
    }
    if data.batch_size > 1 and model.generator.norm == "batch":
        lines["advice"] = (
            "norm 'batch' above batch 1 makes a picture depend on its neighbours in the batch; "
            "model.generator.norm=instance_affine does not"
        )
    return "\n".join([f"pix2pix {__version__}"] + [f"  {name:<14}{show_text(value)}" for name, value in lines.items()])


def _left_out(*datasets: PairedDataset | None) -> dict[str, str]:
    """The line on pairs that are left out (data.skip_broken), where there are any."""
    errors = [str(error) for dataset in datasets if dataset is not None for error in dataset.skipped]
    return {"left out": f"{len(errors)} that cannot be read: {first_ten(errors)}"} if errors else {}


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _images(data: DataConfig) -> str:
    """What becomes of a pair on its way to the networks."""
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


def estimate(config: Config, folder: Path, tracker: Tracker, step: int) -> None:
    """Says how long the run takes, once that can be told, and what to do where that is too long."""
    each = tracker.seconds_a_step(step)
    if each is None:
        return
    total, left = (each * steps for steps in (tracker.total_steps, tracker.total_steps - step))
    tracker.say(f"estimated time: {duration(total)} in total, {duration(left)} to go, validation aside")
    if advice := slow_run_advice(config, folder, total):
        tracker.say(advice)


def slow_run_advice(config: Config, folder: Path, seconds: float) -> str | None:
    """A command for a smaller run, where this one would take more than two hours."""
    if seconds <= TOO_LONG:
        return None
    narrow = min(config.model.generator.base_channels, _SMALL_WIDTH)
    gain = _SPEED_UP if config.model.generator.base_channels >= 4 * _SMALL_WIDTH else 1
    epochs = max(1, min(config.schedule.epochs, int(config.schedule.epochs * TOO_LONG * gain / seconds)))
    settings = {
        "model.generator.base_channels": narrow,
        "model.discriminator.base_channels": min(config.model.discriminator.base_channels, _SMALL_WIDTH),
        "schedule.epochs": epochs,
        "schedule.decay_epochs": min(config.schedule.decay_epochs, epochs // 2),
    }
    flags = " ".join(f"--set {key}={value}" for key, value in settings.items())
    source, output = shlex.quote(str(folder / "config.yaml")), shlex.quote(f"{folder}-small")
    command = f"pix2pix train --config {source} {flags} --output {output}"
    return f"that is more than {duration(TOO_LONG)}; a smaller run: {command}"
