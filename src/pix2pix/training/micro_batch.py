"""Split a batch into micro-batches (`optimizer.accumulation_steps`)."""

from dataclasses import dataclass

from torch import Tensor

from pix2pix.runtime import distributed


@dataclass
class MicroBatch:
    """A micro-batch; `weight` scales its losses so that they sum to the global batch mean.

    `ignored`: where target pixels have no value; there both `y` and `fake` are 0, so that they differ in no loss.
    """

    x: Tensor
    y: Tensor
    weight: float
    number: int
    ignored: Tensor | None = None
    fake: Tensor | None = None


def split_batch(x: Tensor, y: Tensor, weight: float, steps: int, ignores: bool) -> list[MicroBatch]:
    """Split this rank's pairs into `steps` micro-batches of the total `weight`, numbered across the ranks.

    `ignores`: whether NaN in `y` means that a pixel has no value.
    """
    batch = []
    for number, (inputs, targets) in enumerate(
        zip(x.chunk(steps), y.chunk(steps), strict=True), distributed.rank() * steps
    ):
        ignored = targets.isnan() if ignores else None
        targets = targets if ignored is None else targets.masked_fill(ignored, 0)
        batch.append(MicroBatch(inputs, targets, weight * len(inputs) / len(x), number, ignored))
    return batch
