"""What a run keeps, and goes on from: its state in a checkpoint, and the weights that it hands out."""

import copy
import math
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

from pix2pix.checkpoint import load_newest, load_step, save_checkpoint
from pix2pix.config import load_config
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.errors import CheckpointError, DataError, NonFiniteError
from pix2pix.identity import check_surroundings, tell_of_more_epochs
from pix2pix.run_folder import CHECKPOINTS, CONFIG, require_same_run
from pix2pix.runtime import distributed, files
from pix2pix.runtime.console import say
from pix2pix.runtime.finite import all_finite
from pix2pix.tracking import METRICS, read_metrics
from pix2pix.weights import save_weights, saved_step

if TYPE_CHECKING:
    from pix2pix.trainer import Trainer

_HANDED_OUT, BEST = ("gen.pt", "dis.pt"), "best.pt"
_NAMED = 8  # files in a message
_A_TENSOR = 400  # bytes that a file spends on a tensor beside its numbers, at most


def parts(trainer: "Trainer") -> dict[str, Any]:
    """By name, everything of a trainer whose `state_dict` training changes."""
    names = ["generator", "discriminator", "generator_optimizer", "discriminator_optimizer"]
    return {name: getattr(trainer, name) for name in names + ["ema"] * (trainer.ema is not None)}


def save(trainer: "Trainer") -> None:
    """Writes a checkpoint, then the weights files; the first rank does. Raises CheckpointError; NonFiniteError, and
    nothing is written.
    """
    require_finite(trainer, weights=True)
    trainer.saved_step = trainer.step
    if distributed.rank() > 0:
        return
    require_same_run(trainer.folder, trainer.run_id)
    state = {name: part.state_dict() for name, part in parts(trainer).items()}
    state |= {"step": trainer.step, "samples_seen": trainer.samples_seen, "best": trainer.best}
    state |= {"window": trainer.tracker.window(), "surroundings": trainer.surroundings}
    state["best_step"] = trainer.best_step
    trainer.tracker.flush()  # the records that the checkpoint counts on
    save_checkpoint(
        trainer.folder / CHECKPOINTS,
        state,
        trainer.step,
        trainer.config.run.keep_checkpoints,
        also=[trainer.best_step],
        samples_seen=trainer.samples_seen,
        surroundings=trainer.surroundings,
    )
    for name in _HANDED_OUT:
        _save_weights(trainer, name)


def save_before(trainer: "Trainer", error: DataError) -> DataError:
    """Saves what was trained until `error`, which ends the run; returns the error with what became of that.

    Of several ranks the others wait for the first one, since torchrun ends all once one has ended.
    """
    before = trainer.saved_step
    if trainer.step == before:
        return error
    try:
        trainer.tracker.pause()
        save(trainer)
        kept = f"everything up to step {trainer.step} is saved, and the same command resumes from there"
    except (CheckpointError, NonFiniteError) as problem:
        kept = f"the steps after {before} could not be saved: {problem}"
    distributed.any_rank(False)
    return DataError(f"{error}; {kept}")


def restore(trainer: "Trainer", allow_changed: Collection[str] = ()) -> dict | None:
    """Puts the newest whole checkpoint into a trainer; returns what it kept of the tracker, None where there is none.

    Raises CheckpointError, and DataError where the data are other ones and `allow_changed` does not say so.
    """
    state = load_newest(trainer.folder / CHECKPOINTS, trainer.device)
    if state is None:
        return None
    before = _saved_pairs(trainer, state)
    check_surroundings(trainer.folder, state["surroundings"], trainer.surroundings, allow_changed)
    try:
        for name, part in parts(trainer).items():
            if isinstance(part, Optimizer):  # what the config and the device say, not what they said then
                for group in state[name]["param_groups"]:
                    group |= {key: part.defaults[key] for key in ("betas", "fused")}
            # An average that is allowed to begin now begins with the generator.
            part.load_state_dict(state["generator" if name == "ema" and name not in state else name])
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError):
        raise CheckpointError(
            f"{trainer.folder / CHECKPOINTS}: step {state['step']} is of networks of another shape; choose another "
            "--output, or begin anew with --fresh"
        ) from None
    trainer.step = trainer.saved_step = state["step"]
    trainer.samples_seen = _place(state["samples_seen"], before["train"].pairs, len(trainer.train_data))
    then, now = before.get("val"), Fingerprint.from_saved(trainer.surroundings["data"].get("val"))
    _restore_best(trainer, state, then.difference(now) is None if then and now else then is now)
    if distributed.rank() == 0:
        tell_of_more_epochs(load_config(trainer.folder / CONFIG), trainer.config, trainer.epoch + 1)
        _mend_weights(trainer)
    return state["window"]


def _restore_best(trainer: "Trainer", state: dict[str, Any], same: bool) -> None:
    """Sets the lowest validation L1 so far and its step; `same`: whether the validation pairs are the same as then."""
    if not same:  # the best on other pictures says nothing: whatever is validated next is better than none
        trainer.best, trainer.best_step = float("inf"), trainer.step
        return
    trainer.best, trainer.best_step = state["best"], state["best_step"]
    # A run that was stopped before the validation of this step has validated later, without another checkpoint.
    value = validated(trainer.folder, trainer.step)
    if value is not None and value < trainer.best and trainer.best_step < trainer.step:
        trainer.best, trainer.best_step = value, trainer.step


def validated(folder: Path, step: int) -> float | None:
    """The validation L1 that a run has recorded for a step, or None. Raises CheckpointError."""
    records = [record for record in read_metrics(folder / METRICS) if record["step"] == step]
    return next((record["val/l1"] for record in records if "val/l1" in record), None)


def _saved_pairs(trainer: "Trainer", state: dict[str, Any]) -> dict[str, Fingerprint]:
    """The fingerprints of the splits that a checkpoint was trained on.

    Raises CheckpointError where the progress that it records is not what a run can have made.
    """
    try:
        pairs = {split: Fingerprint.from_saved(value) for split, value in state["surroundings"]["data"].items()}
        counts = [state[name] for name in ("step", "samples_seen", "best_step")] + [state["window"]["count"]]
        sums = state["window"]["sums"].values()
        if (
            "train" in pairs
            and all(type(count) is int and count >= 0 for count in counts)
            and state["best_step"] <= state["step"] <= state["samples_seen"]
            and type(state["best"]) is float
            and state["best"] >= 0  # infinite before the first validation; false for NaN
            and all(type(value) is float and math.isfinite(value) for value in sums)
        ):
            return pairs
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise CheckpointError(
        f"{trainer.folder / CHECKPOINTS}: the newest one records progress that no run can have made; remove it to "
        "resume from the one before, choose another --output, or start again with --fresh"
    )


def _place(seen: int, before: int, now: int) -> int:
    """Pairs seen, so that as many epochs are done where their number was allowed to change."""
    epochs, more = divmod(seen, before)
    return epochs * now + min(more, now - 1)


def _mend_weights(trainer: "Trainer") -> None:
    """Writes what a crash has kept from being written after the checkpoint, or what was taken away since."""
    for name in _HANDED_OUT:
        if saved_step(trainer.folder / name) != trainer.step:
            _save_weights(trainer, name)
    step = trainer.best_step
    if not step or saved_step(trainer.folder / BEST) == step:
        return
    state = load_step(trainer.folder / CHECKPOINTS, step, trainer.device)
    if state is None:
        say(f"{trainer.folder / BEST}: is not that of step {step}, and that is not kept; the best is sought from here")
        trainer.best, trainer.best_step = float("inf"), trainer.step
        save_best(trainer)
        return
    best = copy.deepcopy(trainer.best_generator)
    best.load_state_dict(state["ema" if trainer.ema is not None and "ema" in state else "generator"])
    epoch = state["samples_seen"] // len(trainer.train_data)
    save_weights(trainer.folder / BEST, "generator", best, trainer.config, trainer.forms, step, epoch)


def require_agreement(trainer: "Trainer") -> None:
    """Raises DataError or CheckpointError where the ranks do not see the same data, or go on from other places."""
    data = trainer.surroundings["data"]
    seen = ", ".join(f"{split} {pairs['pairs']} pairs" for split, pairs in data.items())
    if not distributed.agreed(data):
        raise DataError(f"{trainer.folder}: the ranks see other data (this one {seen}); give all of them the same")
    if not distributed.agreed((trainer.step, trainer.samples_seen)):
        raise CheckpointError(
            f"{trainer.folder}: the ranks do not see the same checkpoints (this one is at step {trainer.step}); put "
            "the run where all of them see it with --output"
        )


def require_finite(trainer: "Trainer", weights: bool = False) -> None:
    """Raises NonFiniteError where a loss or a gradient was not finite since the last call; looks at weights if told."""
    saved = trainer.saved_step
    last = f"the last checkpoint is that of step {saved}" if saved else "there is no checkpoint yet"
    remedy = (
        f"nothing of it was applied or saved, and {last}; look at the data, go on with a "
        "lower rate (--set optimizer.lr=... --allow-changed optimizer.lr), or begin anew with --fresh"
    )
    if found := trainer.guard.first():
        step, names = found
        raise NonFiniteError(
            f"{trainer.folder}: at step {step} {', '.join(names)} became infinite or not a number"
            f"{_blame(trainer, step)}; {remedy}"
        )
    trainer.batches.clear()
    for name in ("generator", "discriminator") if weights else ():
        if not all_finite(getattr(trainer, name)):
            where = f"{trainer.folder}: by step {trainer.step} the {name}'s weights"
            raise NonFiniteError(f"{where} are infinite or not a number; {remedy}")


def _blame(trainer: "Trainer", step: int) -> str:
    """The files of a step's batch; of those, only the ones that are not finite themselves where there are any."""
    if step not in trainer.batches:
        return ""
    indices, data = trainer.batches[step].tolist(), trainer.train_data
    broken = [i for i in indices if not all(data[i][key].isfinite().all() for key in data.forms.parts)]
    if distributed.any_rank(bool(broken)) and not broken:
        return ", in what another rank read"
    files = [file for i in broken or indices for file in data.files(i)]
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return f", {'in' if broken else 'with'} {', '.join(files[:_NAMED])}{more}"


def save_best(trainer: "Trainer") -> None:
    """Writes the generator with the lowest validation L1 so far."""
    _save_weights(trainer, BEST)


def require_room(trainer: "Trainer") -> None:
    """Proves, before anything is trained, that the folder can hold a checkpoint. Raises CheckpointError."""
    tensors = [*trainer.generator.state_dict().values(), *trainer.discriminator.state_dict().values()]
    tensors *= 3  # Adam keeps two numbers a weight
    if trainer.ema is not None:
        tensors += trainer.ema.state_dict().values()
    size = sum(tensor.nbytes + _A_TENSOR for tensor in tensors)
    files.require_room(trainer.folder / CHECKPOINTS, size)


def _save_weights(trainer: "Trainer", name: str) -> None:
    kind = "discriminator" if name == "dis.pt" else "generator"
    network = trainer.discriminator if name == "dis.pt" else trainer.best_generator
    path, config = trainer.folder / name, trainer.config
    save_weights(path, kind, network, config, trainer.forms, trainer.step, trainer.epoch)
