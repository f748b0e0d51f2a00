"""What happens after an epoch: validation, the sample grid, the loss plot, the checkpoint; all after the last one."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pix2pix import keeping
from pix2pix.data.dataset import open_fixed
from pix2pix.errors import DataError
from pix2pix.runtime import distributed
from pix2pix.tracking import METRICS, plot_losses
from pix2pix.validation import Stop, write_sample_grid

if TYPE_CHECKING:
    from pix2pix.trainer import Trainer


def end(trainer: "Trainer", stop: Stop) -> None:
    """Does what is due after an epoch. Raises Stopped, CheckpointError and NonFiniteError."""
    _do(trainer, stop, *_due(trainer))


def left_over(trainer: "Trainer") -> tuple[str, ...]:
    """What a stop has kept from happening after the epoch at whose end the checkpoint is."""
    if trainer.step == 0 or trainer.samples_seen % len(trainer.train_data):
        return ()
    validate, sample = _due(trainer)
    validate = validate and keeping.validated(trainer.folder, trainer.step) is None
    sample = sample and not _grid_path(trainer).exists()
    return ("validation",) * validate + ("samples",) * sample


def make_up_for(trainer: "Trainer", stop: Stop) -> None:
    """Does what is left over. Raises as `end` does."""
    left = left_over(trainer)
    if distributed.any_rank(bool(left)):
        _do(trainer, stop, "validation" in left, "samples" in left)


def _do(trainer: "Trainer", stop: Stop, validate: bool, sample: bool) -> None:
    """Validation, whose result the checkpoint keeps, then the checkpoint, then pictures: they can fail at no cost."""
    trainer.tracker.pause()
    keeping.require_finite(trainer, weights=True)
    with distributed.stopped_together():
        if distributed.rank() == 0:
            keeping.require_same_run(trainer.folder, trainer.run_id)
        if validate and distributed.rank() == 0:  # the others wait
            try:
                _validate(trainer, stop)
            except (DataError, MemoryError, torch.OutOfMemoryError):
                keeping.save(trainer)  # the networks are whole
                raise
    if _every(trainer, trainer.config.run.checkpoint_every_epochs):
        keeping.save(trainer)
    with distributed.stopped_together():
        if distributed.rank() == 0:
            with trainer.tracker.extra("the loss plot"):
                plot_losses(trainer.folder / METRICS, trainer.folder / "loss.png")
            keeping.require_same_run(trainer.folder, trainer.run_id)
            if sample:  # last: where its picture is missing, the next start draws both again
                with trainer.tracker.extra("the sample grid"):
                    _sample(trainer, stop)
    trainer.tracker.resume()


def _due(trainer: "Trainer") -> tuple[bool, bool]:
    """Whether validation and the sample grid are."""
    run = trainer.config.run
    validate = trainer.val_data is not None and _every(trainer, run.validate_every_epochs)
    return validate, _every(trainer, run.sample_every_epochs)


def _every(trainer: "Trainer", epochs: int) -> bool:
    return epochs > 0 and (trainer.epoch == trainer.config.schedule.epochs or trainer.epoch % epochs == 0)


def _validate(trainer: "Trainer", stop: Stop) -> None:
    value = trainer.validate(trainer.val_data, stop)
    if value < trainer.best:
        trainer.best, trainer.best_step = value, trainer.step
        keeping.save_best(trainer)
    # Last, since this record tells the next start that the rest is done.
    trainer.tracker.write({"step": trainer.step, "epoch": trainer.epoch, "val/l1": value})
    trainer.tracker.say(f"epoch {trainer.epoch}/{trainer.config.schedule.epochs}  val/l1 {value:.4f}")


def _grid_path(trainer: "Trainer") -> Path:
    return trainer.folder / "samples" / f"epoch_{trainer.epoch:04d}.png"


def _sample(trainer: "Trainer", stop: Stop) -> None:
    """The grid of fixed validation pairs, or of training pairs where there are no others."""
    dataset = trainer.val_data
    if dataset is None:
        dataset = open_fixed(trainer.config.data, "train", forms=trainer.forms, stop=stop)
    path = _grid_path(trainer)
    if odd := write_sample_grid(path, trainer.translate, dataset, trainer.config.run.sample_pairs, stop):
        trainer.tracker.say(f"warning: at step {trainer.step} {odd}: see {path}; a lower optimizer.lr may help")
