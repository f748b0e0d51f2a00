"""What determines a run's results, and what may change on resume."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from pix2pix.config import Config, config_difference, config_keys, learning_rate
from pix2pix.config.hints import nearest
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.errors import ConfigError, DataError
from pix2pix.runtime.device import device_name
from pix2pix.runtime.log import info
from pix2pix.training.execution import PLAIN, Execution, recorded

# Keys that may change on resume, since they do not affect what training computes. data.root is one of them: the
# fingerprint determines whether the data are the same.
MUTABLE_KEYS = {
    *("run.output", "run.device", "run.log_every_steps", "run.checkpoint_every_epochs", "run.keep_checkpoints"),
    *("run.sample_every_epochs", "run.sample_pairs", "run.validate_every_epochs"),
    *("data.root", "data.workers", "data.cache", "data.max_pixels"),
    *("data.input_format.kind", "data.target_format.kind"),  # what they lead to is in the formats, which are compared
}


def check_allowed(config: Config, allowed: Collection[str]) -> None:
    """Raise ConfigError where --allow-changed names something that is neither a key nor a section of a config."""
    keys = config_keys(config)
    known = {*keys, *(key.rsplit(".", depth)[0] for key in keys for depth in range(1, key.count(".") + 1))}
    for key in sorted({*allowed} - known):
        near = nearest(key, known)
        raise ConfigError(f"--allow-changed {key}: no such key" + (f"; did you mean {near!r}?" if near else ""))


def check_config(folder: Path, old: Config, new: Config, allowed: Collection[str]) -> None:
    """Log which keys have changed since the run started. Raises ConfigError for keys that must not change."""
    refused = []
    for key, before, now in config_difference(old, new):
        if key in MUTABLE_KEYS or (key == "schedule.epochs" and before < now):
            continue
        if _is_allowed(key, allowed):
            info(f"{key} was {before!r}, now {now!r} (allowed by --allow-changed)")
        else:
            refused.append(f"  {key}: was {before!r}, now {now!r}")
    if refused:
        raise ConfigError(
            f"{folder}: holds a run of another config; choose another --output, resume nevertheless with "
            "--allow-changed KEY, or move it aside with --fresh",
            *refused,
        )


def explain_longer_schedule(old: Config, new: Config, epoch: int) -> None:
    """Log the learning rate of the next `epoch` (counted from 1) if the schedule has become longer."""
    before, now = old.schedule.epochs, new.schedule.epochs
    if before == now:
        return
    then, rate = (learning_rate(config, min(epoch, config.schedule.epochs)) for config in (old, new))
    old_rate = f"it would have been {then:.4g}" if epoch <= before else f"that of the last one was {then:.4g}"
    info(f"schedule.epochs was {before}, now {now}: the learning rate of epoch {epoch} is {rate:.4g}; {old_rate}")


def environment(
    execution: Execution, device: torch.device, pairs: dict[str, Fingerprint], formats: PairFormat, ranks: int = 1
) -> dict[str, Any]:
    """Return what determines the results besides the config, as plain values; `pairs`: each split's fingerprint."""
    facts: dict[str, Any] = {
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "ranks": ranks,
        "device": device_name(device),
        "precision": execution.precision,
        "memory_format": execution.memory_format,
    }
    data = {split: fingerprint.to_dict() for split, fingerprint in pairs.items()}
    return facts | {"data": data, "forms": formats.to_dict()}


def check_environment(folder: Path, old: dict[str, Any], new: dict[str, Any], allowed: Collection[str]) -> None:
    """Log what has changed in a run's environment since its checkpoint.

    `old` and `new` are as `environment` returns them; early checkpoints of version 0.1 lack the formats and the memory
    format, and name fp32 `auto`. Raises DataError where the data or their formats have changed and `allowed` does not
    include `data`.
    """
    before = recorded(old) or PLAIN
    old = old | {"precision": before.precision, "memory_format": before.memory_format}
    changes = [
        _pairs_change(split, *(Fingerprint.from_saved(side["data"].get(split)) for side in (old, new)))
        for split in {**old["data"], **new["data"]}
    ]
    changes += _format_changes(old["forms"], new["forms"]) if "forms" in old else []
    for what in filter(None, changes):
        if not _is_allowed("data", allowed):
            raise DataError(
                f"{folder}: {what}; restore the data, resume nevertheless with --allow-changed data, or start again "
                "with --fresh"
            )
        info(f"{what} (allowed by --allow-changed)")
    changed = [
        f"{name} was {old.get(name)}, now {new[name]}"
        for name in new
        if name not in ("data", "forms") and old.get(name) != new[name]
    ]
    if changed:
        info(f"{'; '.join(changed)}: the run resumes, but its results will not be identical to the bit")


def _pairs_change(split: str, before: Fingerprint | None, now: Fingerprint | None) -> str | None:
    """Describe how the pairs of a split have changed; None if they are the same."""
    counts = [f"{fingerprint.pairs} pairs" if fingerprint else "none" for fingerprint in (before, now)]
    by = before.difference(now) if before and now else None if before is now else "their names and sizes"
    return by and f"the {split} data have changed: {counts[0]} then, {counts[1]} now, by {by}"


def _format_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Describe which fields of the formats have changed, except those that affect output files and screens only."""
    if len(before["input"]) != len(now["input"]):
        return [f"the number of inputs was {len(before['input'])}, now {len(now['input'])}"]
    many = len(now["input"]) > 1
    names = [f"input {number}" if many else "input" for number in range(1, len(now["input"]) + 1)]
    sides = zip([*names, "target"], [*before["input"], before["target"]], [*now["input"], now["target"]], strict=True)
    return [
        f"the format of the {name} has changed: {field} was {_shown(then.get(field))}, now {_shown(value)}"
        + (f" (data.{name.split()[0]}_format.kind={then.get(field)} keeps it)" if field == "kind" else "")
        for name, then, new in sides
        for field, value in new.items()
        if field not in ("suffix", "class_names") and then.get(field) != value
    ]


def _shown(value: object) -> str:
    """Return the text of a value, truncated if it is long, such as a palette."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_allowed(key: str, allowed: Collection[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in allowed)
