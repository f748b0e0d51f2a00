"""What the numbers of a run follow from, and which of it may change before the run goes on."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from pix2pix.config import Config, config_difference, config_keys, learning_rate
from pix2pix.config.advice import nearest
from pix2pix.errors import ConfigError, DataError
from pix2pix.runtime.console import say

# Keys that may change while a run lasts: no number that training computes follows from them. Whether data.root still
# holds the same pairs, the fingerprint says.
HARMLESS = {
    *("run.output", "run.device", "run.log_every_steps", "run.checkpoint_every_epochs", "run.keep_checkpoints"),
    *("run.sample_every_epochs", "run.sample_pairs", "run.validate_every_epochs"),
    *("data.root", "data.workers", "data.cache"),
}


def check_allowed(config: Config, allowed: Collection[str]) -> None:
    """Raises ConfigError where --allow-changed names neither a key nor a section."""
    keys = config_keys(config)
    known = {*keys, *(key.rsplit(".", depth)[0] for key in keys for depth in range(1, key.count(".") + 1))}
    for key in sorted({*allowed} - known):
        near = nearest(key, known)
        raise ConfigError(f"--allow-changed {key}: no such key" + (f"; did you mean {near!r}?" if near else ""))


def check_config(folder: Path, old: Config, new: Config, allowed: Collection[str]) -> None:
    """Says what has changed since a run began; raises ConfigError for what must not."""
    refused = []
    for key, before, now in config_difference(old, new):
        if key in HARMLESS or (key == "schedule.epochs" and before < now):
            continue
        if _is_allowed(key, allowed):
            say(f"{key} was {before!r}, now {now!r}, as --allow-changed has it")
        else:
            refused.append(f"  {key}: was {before!r}, now {now!r}")
    if refused:
        raise ConfigError(
            f"{folder}: holds a run of another config; choose another --output, go on in spite of it with "
            "--allow-changed KEY, or --fresh to move it aside",
            *refused,
        )


def tell_of_more_epochs(old: Config, new: Config, epoch: int) -> None:
    """Says what rate a run goes on with before its `epoch`, from 1, where its schedule has become longer."""
    before, now = old.schedule.epochs, new.schedule.epochs
    if before == now:
        return
    then, rate = (learning_rate(config, min(epoch, config.schedule.epochs)) for config in (old, new))
    was = f"would have had {then:.4g}" if epoch <= before else f"the last one had {then:.4g}"
    say(f"schedule.epochs was {before}, now {now}: epoch {epoch} has a learning rate of {rate:.4g}, and {was}")


def surroundings(config: Config, device: torch.device, pairs: dict[str, str], ranks: int = 1) -> dict[str, Any]:
    """What else the numbers follow from; `pairs`: the fingerprint of each split."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    around = {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "ranks": ranks, "device": name}
    return around | {"precision": config.run.precision, "data": pairs}


def check_surroundings(folder: Path, old: dict[str, Any], new: dict[str, Any], allowed: Collection[str]) -> None:
    """Says what has changed around a run since its checkpoint; raises DataError where it is the data."""
    for split in {**old["data"], **new["data"]}:
        before, pairs = (around["data"].get(split, "none") for around in (old, new))
        if before == pairs:
            continue
        counts = " ".join(before.split()[:2]), " ".join(pairs.split()[:2])
        what = f"the {split} data have changed: {counts[0]} then, {counts[1]} now, by their names and sizes"
        if not _is_allowed("data", allowed):
            raise DataError(
                f"{folder}: {what}; give back what was there, go on in spite of it with --allow-changed data, or begin "
                "anew with --fresh"
            )
        say(f"{what}, as --allow-changed has it")
    changed = [f"{name} was {old[name]}, now {new[name]}" for name in new if name != "data" and old[name] != new[name]]
    if changed:
        say(f"{'; '.join(changed)}: the run goes on, and will not end with the very same bits")


def _is_allowed(key: str, allowed: Collection[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in allowed)
