"""What is about to happen, in a few lines; and what to do where it would take too long."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pix2pix import __version__
from pix2pix.config import Config, patch_map_size
from pix2pix.data.loader import worker_count
from pix2pix.models.layers import parameter_count
from pix2pix.runtime.acceleration import describe_device
from pix2pix.tracking import duration

if TYPE_CHECKING:
    from pix2pix.trainer import Trainer

TOO_LONG = 2 * 3600  # seconds
_SMALL_WIDTH = 16
_SPEED_UP = 6  # what a width of 16 instead of 64 gains at least, on a CPU


def describe(trainer: "Trainer", steps_an_epoch: int) -> str:
    """The plan of a run, a line each: data, steps, networks, device, where results go."""
    config, train, val = trainer.config, trainer.train_data, trainer.val_data
    data, model, schedule = config.data, config.model, config.schedule
    where = "drawn facades" if data.layout == "synthetic" else f"{data.root}, {train.layout}"
    validation = f"{len(val)} of {trainer.validation_split} to validate" if val is not None else "none to validate"
    reading = "cached in memory" if train.cached else f"decoded anew by {worker_count(data.workers, train)} workers"
    height, width = patch_map_size(model.discriminator, data.crop)
    levels = f", {len(trainer.generator.down)} levels" if model.generator.name == "unet" else ""
    precision = "bf16" if config.run.precision == "bf16" else "fp32"
    lines = [
        ("data", f"{where}, {data.direction}: {len(train)} pairs to train on, {validation}, {reading}"),
        (
            "images",
            f"{data.load[0]}x{data.load[1]}, cropped to {data.crop[0]}x{data.crop[1]}" + ", flipped" * data.flip,
        ),
        (
            "steps",
            f"{schedule.epochs} epochs x {steps_an_epoch} steps of {data.batch_size} = "
            f"{schedule.epochs * steps_an_epoch:,} steps",
        ),
        ("generator", f"{model.generator.name}{levels}, {parameter_count(trainer.generator):,} parameters"),
        (
            "discriminator",
            f"{model.discriminator.name}, {height}x{width} decisions, "
            f"{parameter_count(trainer.discriminator):,} parameters",
        ),
        ("device", f"{describe_device(trainer.device)}, {precision}"),
        ("results", f"{trainer.folder}"),
    ]
    text = [f"pix2pix {__version__}"] + [f"  {name:<14}{value}" for name, value in lines]
    if data.batch_size > 1 and model.generator.norm == "batch":
        text.append(
            "  advice        norm 'batch' above batch 1 makes a picture depend on its neighbours in the batch; "
            "model.generator.norm=instance_affine does not"
        )
    return "\n".join(text)


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
