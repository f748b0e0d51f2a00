"""Batches: the order of an epoch, the crop of each pair; all from (seed, epoch, index), never from workers."""

import atexit
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from threading import Timer
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pix2pix.config import AugmentConfig, DataConfig
from pix2pix.data import worker_processes
from pix2pix.data.augment.geometry import margin, reflected, warp_numbers, window
from pix2pix.data.augment.params import AugmentParams, sample_augment_params
from pix2pix.data.training_data import PairSource
from pix2pix.errors import DataError
from pix2pix.runtime import distributed
from pix2pix.runtime.rng import ORDER, counter_rng

T = TypeVar("T")


class _Crops(Dataset):
    """(epoch, index) -> the crop of a pair, with the margin that is needed, and what its draw leaves to the device."""

    def __init__(self, dataset: PairSource, crop: tuple[int, int], flip: bool, seed: int, augment: AugmentConfig):
        self.dataset, self.crop, self.flip, self.seed, self.augment = dataset, crop, flip, seed, augment
        self.margin = margin(augment, crop)

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Tensor | int | bool] | DataError:
        epoch, index = place
        try:
            pair = self.dataset[index]
        except DataError as error:  # handed over as a value: raised in a worker, it would arrive wrapped in a traceback
            return error
        load = pair["input"].shape[-2:]
        it = sample_augment_params(self.seed, epoch, index, load, self.crop, self.flip, self.augment)
        rows, columns = (
            reflected(start - beside, want + 2 * beside, have)
            for start, beside, want, have in zip((it.top, it.left), self.margin, self.crop, load, strict=True)
        )
        images = {key: _signed(window(pair[key], rows, columns)) for key in self.dataset.formats.parts}
        return {**images, "flip": it.flip, "index": index, **self._changes(it)}

    def _changes(self, it: AugmentParams) -> dict[str, Tensor | int | bool]:
        """The numbers that `augment.prepare` needs, of what is on."""
        changes = {}
        if self.augment.flip_vertical:
            changes["flip_vertical"] = it.flip_vertical
        if self.augment.quarter_turns:
            changes["turns"] = it.turns
        if self.augment.warps:
            changes["warp"] = torch.tensor(warp_numbers(it.angle, it.scale))
        if self.augment.recolours:
            changes["colour"] = torch.tensor(it.colour)
        return changes


def _signed(pixels: Tensor) -> Tensor:
    """Of 16 bits, as int32: torch can do little with its own unsigned type."""
    return pixels.to(torch.int32) if pixels.dtype == torch.uint16 else pixels


def _collate(items: list[dict | DataError], copy: bool = True) -> dict[str, Tensor] | DataError:
    """One batch of them, or the first error; without `copy`, a batch of one is a view of what the data set keeps."""
    for item in items:
        if isinstance(item, DataError):
            return item

    def column(values: list) -> Tensor:
        if not isinstance(values[0], Tensor):
            return torch.tensor(values)
        return torch.stack(values) if copy or len(values) > 1 else values[0][None]

    return {key: column([item[key] for item in items]) for key in items[0]}


def _collate_in_worker(items: list[dict | DataError]) -> dict[str, Tensor] | DataError:
    batch = _collate(items)
    return batch if isinstance(batch, DataError) else worker_processes.shared(batch)


PATIENCE = 50  # seconds without a batch after which a worker counts as lost

_open: "weakref.WeakSet[PairLoader]" = weakref.WeakSet()


@cache
def _close_at_exit() -> None:
    """Python ends what workers are left with a SIGTERM that ours ignore, and would wait for them for ever."""

    def close_all() -> None:
        for loader in list(_open):
            loader.close()

    atexit.register(close_all)  # here, not on import: it must come after multiprocessing's own, so as to run before it


class _Late(Timer):
    """A timer that counts tenths by waking up. Where the whole job was suspended, as by Ctrl-Z or SLURM, the workers
    were so too: that time, however long, makes one tenth late."""

    def run(self) -> None:
        if not any(self.finished.wait(self.interval / 10) for _ in range(10)):
            self.function()


class _Order:
    """The batches of one epoch as lists of (epoch, index): a permutation drawn from (seed, epoch)."""

    def __init__(self, count: int, batch_size: int, seed: int, rank: int, ranks: int):
        self.count, self.batch_size, self.seed, self.rank, self.ranks = count, batch_size, seed, rank, ranks
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = counter_rng(self.seed, ORDER, self.epoch).permutation(self.count).tolist()[self.start :]
        places = [(self.epoch, index) for index in order]  # a list, so that the next epoch may be asked for meanwhile
        batches = [places[first : first + self.batch_size] for first in range(0, len(places), self.batch_size)]
        # A rank whose part of the last batch is empty reads a pair that stands in.
        return iter([distributed.shard(batch, self.rank, self.ranks) or batch[:1] for batch in batches])


class PairLoader:
    """Shuffled batches of a prepared data set, epoch by epoch.

    A batch is a dict: `input` (`input_2` and so on, where inputs are stacked) and `target`, [B, C, h, w] as the data
    set's `forms` keep them (16 bits as int32), of size `crop` and the margin that `augment` needs;
    `index`, int [B], into the data set; and for `augment.prepare` to carry out, `flip`, bool [B], and where they are on
    `flip_vertical`, bool [B], `turns`, int [B], `warp` [B, 2] and `colour` [B, 4]. An epoch's last may be short.
    Of several `ranks`, each gets its part of every batch.
    Pixels are to be read only: a batch may be a view of what the data set keeps.
    """

    def __init__(
        self,
        dataset: PairSource,
        crop: tuple[int, int],
        batch_size: int = 1,
        flip: bool = False,
        seed: int = 0,
        workers: int = 0,
        pin_memory: bool = False,
        augment: AugmentConfig | None = None,
        rank: int = 0,
        ranks: int = 1,
    ):
        self._order = _Order(len(dataset), batch_size, seed, rank, ranks)
        self._crops = _Crops(dataset, crop, flip, seed, augment or AugmentConfig())
        self._pin_memory = pin_memory
        self._loader = self._in_workers(workers) if workers else None

    def _in_workers(self, workers: int) -> DataLoader:
        _open.add(self)
        _close_at_exit()
        return DataLoader(
            self._crops,
            batch_sampler=self._order,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=self._pin_memory,
            collate_fn=_collate_in_worker,
            worker_init_fn=worker_processes.leave_signals_to_the_parent,
            generator=torch.Generator(),  # so that it takes no number from torch's global generator
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of an epoch, from its `start`-th pair on. With workers, asking for another ends this one.

        Raises DataError where a pair that was not read before turns out to be broken.
        """
        self._order.epoch, self._order.start = epoch, start
        if self._loader is None:
            return self._raising(map(self._read, iter(self._order)))
        with worker_processes.without_torchs_handler():
            batches = self._in_time(self._start)
        return self._raising(self._batches(batches))

    def _start(self) -> Iterator:
        if self._loader._iterator is None:
            worker_processes.require_semaphores(self._loader.num_workers)
        return iter(self._loader)

    def close(self) -> None:
        """Ends the workers, where there are any; another epoch starts new ones."""
        if self._loader is not None and self._loader._iterator is not None:
            iterator, self._loader._iterator = self._loader._iterator, None
            iterator._shutdown_workers()
            for worker in iterator._workers:
                worker.kill()  # one that is stopped cannot end itself
                worker.join()

    def __enter__(self) -> "PairLoader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kill(self) -> None:
        """Ends workers that may not be able to end themselves."""
        if self._loader is not None and self._loader._iterator is not None:
            for worker in self._loader._iterator._workers:
                worker.kill()

    def _worker_lost(self) -> DataError:
        iterator = self._loader._iterator
        if iterator is not None and worker_processes.died_of_shared_memory([one.exitcode for one in iterator._workers]):
            return worker_processes.out_of_shared_memory()
        return DataError(
            f"a process that reads data was killed, or gave nothing for {PATIENCE} seconds; lower data.workers, or see "
            "whether the disk or the memory is the reason"
        )

    def _in_time(self, ask: Callable[[], T]) -> T:
        """What workers are asked for; one that hangs is killed: a DataLoader's own timeout misses one that holds a
        batch, and an epoch's beginning."""
        late = _Late(PATIENCE, self._kill)
        late.start()
        try:
            return ask()
        except (OSError, EOFError, RuntimeError) as error:
            if worker_processes.is_out_of_shared_memory(error):
                raise worker_processes.out_of_shared_memory() from None
            killed = "DataLoader" in str(error) or isinstance(error, ConnectionError | EOFError)  # amid a batch
            if not killed and late.is_alive():
                raise
            raise self._worker_lost() from None
        finally:
            late.cancel()

    def _batches(self, batches: Iterator) -> Iterator:
        while (batch := self._in_time(lambda: next(batches, None))) is not None:
            yield batch

    def _read(self, places: list[tuple[int, int]]) -> dict[str, Tensor] | DataError:
        """A batch in this process: what a DataLoader does besides costs as much as the reading."""
        batch = _collate([self._crops[place] for place in places], copy=False)
        if not self._pin_memory or isinstance(batch, DataError):
            return batch
        return {key: value.pin_memory() for key, value in batch.items()}

    def _raising(self, batches: Iterator[dict[str, Tensor] | DataError]) -> Iterator[dict[str, Tensor]]:
        for batch in batches:
            if isinstance(batch, DataError):
                raise batch
            yield batch


def worker_count(workers: int | str, dataset: PairSource) -> int:
    """Processes that read: as asked for, or with `auto` none where pairs lie in memory, else one a core, at most 8.

    Where pairs lie on disk, two are enough to wait for it.
    """
    if workers != "auto":
        return workers
    if dataset.cache_state.where == "memory":
        return 0
    return min(8 if dataset.cache_state.where == "off" else 2, torch.get_num_threads())


def open_loader(data: DataConfig, dataset: PairSource, seed: int, pin_memory: bool = False) -> PairLoader:
    """The batches of a data set as a config wants them; of several ranks, this one's parts of them."""
    own = (worker_count(data.workers, dataset), pin_memory, data.augment, distributed.rank(), distributed.world_size())
    return PairLoader(dataset, data.crop, data.batch_size, data.flip, seed, *own)
