"""Batches: the order of an epoch, one draw a pair, the crop; all from (seed, epoch, index), never from workers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pix2pix.data.dataset import PairedDataset
from pix2pix.runtime.rng import AUGMENT, ORDER, counter_rng


@dataclass(frozen=True)
class Draw:
    """What chance decides for one pair in one epoch; both of its images get the same."""

    top: int
    left: int
    flip: bool


def draw(seed: int, epoch: int, index: int, load: tuple[int, int], crop: tuple[int, int], flip: bool) -> Draw:
    """Where the crop of size `crop` (H, W) lies in an image of size `load`, and whether to mirror it.

    The paper's random jitter and mirroring (appendix 6.2).
    """
    rng = counter_rng(seed, AUGMENT, epoch, index)
    top, left = (int(rng.integers(0, have - want + 1)) for have, want in zip(load, crop, strict=True))
    return Draw(top, left, bool(rng.integers(2)) and flip)


class _Crops(Dataset):
    """(epoch, index) -> the crop of a pair and its draw's flip."""

    def __init__(self, dataset: PairedDataset, crop: tuple[int, int], flip: bool, seed: int):
        self.dataset, self.crop, self.flip, self.seed = dataset, crop, flip, seed

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Tensor | int | bool]:
        epoch, index = place
        pair = self.dataset[index]
        it = draw(self.seed, epoch, index, self.dataset.load_size, self.crop, self.flip)
        rows, columns = slice(it.top, it.top + self.crop[0]), slice(it.left, it.left + self.crop[1])
        images = {key: pair[key][:, rows, columns] for key in ("input", "target")}
        return {**images, "flip": it.flip, "index": index}


class _Order:
    """The batches of one epoch as lists of (epoch, index): a permutation drawn from (seed, epoch)."""

    def __init__(self, count: int, batch_size: int, seed: int):
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = counter_rng(self.seed, ORDER, self.epoch).permutation(self.count).tolist()[self.start :]
        places = [(self.epoch, index) for index in order]  # a list, so that the next epoch may be asked for meanwhile
        return iter([places[first : first + self.batch_size] for first in range(0, len(places), self.batch_size)])


def _collate(samples: list[dict[str, Tensor | int | bool]], copy: bool = True) -> dict[str, Tensor]:
    """One batch of them; without `copy`, a batch of one is a view of what the data set keeps."""

    def column(values: list) -> Tensor:
        if not isinstance(values[0], Tensor):
            return torch.tensor(values)
        return torch.stack(values) if copy or len(values) > 1 else values[0][None]

    return {key: column([sample[key] for sample in samples]) for key in samples[0]}


class PairLoader:
    """Shuffled batches of a prepared data set, epoch by epoch.

    A batch is a dict: `input` and `target`, uint8 [B, 3, h, w] of size `crop`; `flip`, bool [B], for `augment.prepare`
    to carry out; `index`, int [B], into the data set. The last batch of an epoch may be short. Pixels are to be read
    only: a batch may be a view of what the data set keeps.
    """

    def __init__(
        self,
        dataset: PairedDataset,
        crop: tuple[int, int],
        batch_size: int = 1,
        flip: bool = False,
        seed: int = 0,
        workers: int = 0,
        pin_memory: bool = False,
    ):
        self._order = _Order(len(dataset), batch_size, seed)
        self._crops, self._pin_memory, self._loader = _Crops(dataset, crop, flip, seed), pin_memory, None
        if workers:
            self._loader = self._in_workers(workers)

    def _in_workers(self, workers: int) -> DataLoader:
        return DataLoader(
            self._crops,
            batch_sampler=self._order,
            collate_fn=_collate,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=self._pin_memory,
            generator=torch.Generator(),  # so that it takes no number from torch's global generator
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of an epoch, from its `start`-th pair on. With workers, asking for another ends this one."""
        self._order.epoch, self._order.start = epoch, start
        return map(self._read, iter(self._order)) if self._loader is None else iter(self._loader)

    def _read(self, places: list[tuple[int, int]]) -> dict[str, Tensor]:
        """A batch in this process: what a DataLoader does besides costs as much as the reading."""
        batch = _collate([self._crops[place] for place in places], copy=False)
        return {key: value.pin_memory() for key, value in batch.items()} if self._pin_memory else batch


def worker_count(workers: int | str, dataset: PairedDataset) -> int:
    """Processes that read: as asked for, or with `auto` none where pairs lie in memory, else one a core, at most 8.

    Where pairs lie on disk, two are enough to wait for it.
    """
    if workers != "auto":
        return workers
    return 0 if dataset.cached else min(8 if dataset.kept.startswith("off") else 2, torch.get_num_threads())
