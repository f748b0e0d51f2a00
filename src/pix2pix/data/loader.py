"""Load shuffled batches of crops. Order and crops depend on (seed, epoch, index) alone, never on workers."""

import atexit
import weakref
from collections.abc import Callable, Iterator
from functools import cache, partial
from threading import Timer
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from pix2pix.config import AugmentConfig, DataConfig
from pix2pix.data import worker_processes
from pix2pix.data.augment.geometry import margin, reflected, warp_numbers, window
from pix2pix.data.augment.params import AugmentParams, sample_augment_params
from pix2pix.data.training_data import PairSource
from pix2pix.errors import DataError
from pix2pix.runtime import distributed
from pix2pix.runtime.rng import ORDER, counter_rng

T = TypeVar("T")
Place = tuple[int, int]  # (epoch, index)
Item = dict[str, Tensor | int | bool]
Batch = dict[str, Tensor]


class _Crops(Dataset[Item | DataError]):
    """Map (epoch, index) to the crop of a pair, with its margin, and the parameters of augmentation on the device."""

    def __init__(self, dataset: PairSource, crop: tuple[int, int], flip: bool, seed: int, augment: AugmentConfig):
        self.dataset, self.crop, self.flip, self.seed, self.augment = dataset, crop, flip, seed, augment
        self.margin = margin(augment, crop)

    def __getitem__(self, place: Place) -> Item | DataError:
        epoch, index = place
        try:
            pair = self.dataset[index]
        except DataError as error:  # returned: raised in a worker, it would be wrapped in a traceback
            return error
        height, width = pair["input"].shape[-2:]
        load = height, width
        params = sample_augment_params(self.seed, epoch, index, load, self.crop, self.flip, self.augment)
        rows, columns = (
            reflected(start - beside, want + 2 * beside, have)
            for start, beside, want, have in zip((params.top, params.left), self.margin, self.crop, load, strict=True)
        )
        images = {key: _signed(window(pair[key], rows, columns)) for key in self.dataset.formats.parts}
        return {**images, "flip": params.flip, "index": index, **self._device_params(params)}

    def _device_params(self, params: AugmentParams) -> Item:
        """Return the parameters that `augment.apply.prepare` needs for the augmentations that are on."""
        changes: Item = {}
        if self.augment.flip_vertical:
            changes["flip_vertical"] = params.flip_vertical
        if self.augment.quarter_turns:
            changes["turns"] = params.turns
        if self.augment.warps:
            changes["warp"] = torch.tensor(warp_numbers(params.angle, params.scale))
        if self.augment.recolours:
            changes["colour"] = torch.tensor(params.colour)
        return changes


def _signed(pixels: Tensor) -> Tensor:
    """Return 16-bit pixels as int32: torch supports few operations on uint16."""
    return pixels.to(torch.int32) if pixels.dtype == torch.uint16 else pixels


def _collate(items: list[Item | DataError], copy: bool = True) -> Batch | DataError:
    """Return one batch of the items, or the first error; without `copy`, a batch of one is a view of the cache."""
    loaded: list[Item] = []
    for item in items:
        if isinstance(item, DataError):
            return item
        loaded.append(item)

    def column(values: list[Tensor | int | bool]) -> Tensor:
        tensors = [value for value in values if isinstance(value, Tensor)]
        if not tensors:
            return torch.tensor(values)
        return torch.stack(tensors) if copy or len(tensors) > 1 else tensors[0][None]

    return {key: column([item[key] for item in loaded]) for key in loaded[0]}


def _collate_in_worker(items: list[Item | DataError]) -> Batch | DataError:
    batch = _collate(items)
    return batch if isinstance(batch, DataError) else worker_processes.shared(batch)


PATIENCE = 50  # seconds without a batch after which a worker is considered lost

_open: "weakref.WeakSet[PairLoader]" = weakref.WeakSet()


@cache
def _close_at_exit() -> None:
    """Close all loaders at exit: Python would send workers a SIGTERM, which they ignore, and wait for them forever."""

    def close_all() -> None:
        for loader in list(_open):
            loader.close()

    atexit.register(close_all)  # registered after multiprocessing's handler, to run before it


class _SuspendableTimeout(Timer):
    """A timeout that hardly counts the time that the process is suspended (Ctrl-Z, SLURM).

    It waits ten times for a tenth of the interval, so a suspension uses up one tenth at most.
    """

    def run(self) -> None:
        if not any(self.finished.wait(self.interval / 10) for _ in range(10)):
            self.function()


class _Order:
    """Yield the batches of one epoch as lists of (epoch, index): a permutation that depends on (seed, epoch)."""

    def __init__(self, count: int, batch_size: int, seed: int, rank: int, ranks: int):
        self.count, self.batch_size, self.seed, self.rank, self.ranks = count, batch_size, seed, rank, ranks
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[list[Place]]:
        order = counter_rng(self.seed, ORDER, self.epoch).permutation(self.count).tolist()[self.start :]
        places = [(self.epoch, index) for index in order]  # a list, so that a change of self.epoch does not affect it
        batches = [places[first : first + self.batch_size] for first in range(0, len(places), self.batch_size)]
        # A rank whose share of the last batch is empty reads a placeholder pair.
        return iter([list(distributed.shard(batch, self.rank, self.ranks)) or batch[:1] for batch in batches])


class PairLoader:
    """Shuffled batches of a prepared data set, epoch by epoch.

    A batch is a dict: `input` (`input_2` and so on, where inputs are stacked) and `target`, [B, C, h, w] in the data
    set's formats (16 bits as int32), of size `crop` plus the margin that `augment` needs; `index`, int [B], into the
    data set; and the parameters for `augment.apply.prepare`: `flip`, bool [B], and where they are on `flip_vertical`,
    bool [B], `turns`, int [B], `warp` [B, 2] and `colour` [B, 4]. The last batch of an epoch may be smaller.
    With several `ranks`, each gets its share of every batch. Pixels must not be modified: a batch may be a view of the
    data set's cache.
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

    def _in_workers(self, workers: int) -> DataLoader[Batch]:
        _open.add(self)
        _close_at_exit()
        return DataLoader[Any](  # torch's type ignores that collate_fn makes batches of another type than items
            self._crops,
            batch_sampler=self._order,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=self._pin_memory,
            collate_fn=_collate_in_worker,
            worker_init_fn=worker_processes.leave_signals_to_the_parent,
            generator=torch.Generator(),  # so that it takes no number from torch's global generator
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch from its `start`-th pair on. With workers, the next call ends this epoch.

        Raises DataError where a pair is broken that was not read before.
        """
        self._order.epoch, self._order.start = epoch, start
        if self._loader is None:
            return self._raising(map(self._read, iter(self._order)))
        with worker_processes.without_torchs_handler():
            batches = self._in_time(partial(self._start, self._loader))
        return self._raising(self._batches(batches))

    @staticmethod
    def _start(loader: DataLoader[Batch]) -> Iterator[Batch | DataError]:
        if loader._iterator is None:
            worker_processes.require_semaphores(loader.num_workers)
        return iter(loader)

    def _iterator(self) -> _MultiProcessingDataLoaderIter | None:
        """Return torch's iterator, which owns the workers; None without workers."""
        iterator = None if self._loader is None else self._loader._iterator
        return iterator if isinstance(iterator, _MultiProcessingDataLoaderIter) else None

    def close(self) -> None:
        """End the workers, if there are any; the next epoch starts new ones."""
        iterator = self._iterator()
        if self._loader is not None and iterator is not None:
            self._loader._iterator = None
            iterator._shutdown_workers()
            for worker in iterator._workers:
                worker.kill()  # a suspended process cannot end itself
                worker.join()

    def __enter__(self) -> "PairLoader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kill(self) -> None:
        """Kill workers that may be unable to end themselves."""
        iterator = self._iterator()
        for worker in iterator._workers if iterator is not None else ():
            worker.kill()

    def _worker_lost(self) -> DataError:
        iterator = self._iterator()
        if iterator is not None and worker_processes.died_of_shared_memory(
            [worker.exitcode for worker in iterator._workers]
        ):
            return worker_processes.out_of_shared_memory()
        return DataError(
            f"a process that reads data was killed, or returned no batch for {PATIENCE} seconds",
            remedy="lower data.workers, or check whether the disk is slow or memory is short",
        )

    def _in_time(self, ask: Callable[[], T]) -> T:
        """Return `ask()`; kill the workers if it takes longer than `PATIENCE`.

        The timeout of a DataLoader covers neither the start of an epoch nor a worker that hangs while sending a batch.
        """
        timeout = _SuspendableTimeout(PATIENCE, self._kill)
        timeout.start()
        try:
            return ask()
        except (OSError, EOFError, RuntimeError) as error:
            if worker_processes.is_out_of_shared_memory(error):
                raise worker_processes.out_of_shared_memory() from None
            killed = "DataLoader" in str(error) or isinstance(error, ConnectionError | EOFError)  # while sending
            if not killed and timeout.is_alive():
                raise
            raise self._worker_lost() from None
        finally:
            timeout.cancel()

    def _batches(self, batches: Iterator[Batch | DataError]) -> Iterator[Batch | DataError]:
        while (batch := self._in_time(lambda: next(batches, None))) is not None:
            yield batch

    def _read(self, places: list[Place]) -> Batch | DataError:
        """Return a batch read in this process: the overhead of a DataLoader costs as much as the reading."""
        batch = _collate([self._crops[place] for place in places], copy=False)
        if not self._pin_memory or isinstance(batch, DataError):
            return batch
        return {key: value.pin_memory() for key, value in batch.items()}

    def _raising(self, batches: Iterator[Batch | DataError]) -> Iterator[Batch]:
        for batch in batches:
            if isinstance(batch, DataError):
                raise batch
            yield batch


def worker_count(workers: int | Literal["auto"], dataset: PairSource) -> int:
    """Return the number of worker processes: `workers`, or for `auto` a number that suits the cache.

    `auto` is 0 for pairs cached in memory, 2 for pairs cached on disk, and else the number of cores, at most 8.
    """
    if workers != "auto":
        return workers
    if dataset.cache_state.where == "memory":
        return 0
    return min(8 if dataset.cache_state.where == "off" else 2, torch.get_num_threads())


def open_loader(data: DataConfig, dataset: PairSource, seed: int, pin_memory: bool = False) -> PairLoader:
    """Return the loader that a config describes; with several ranks, of this rank's share of each batch."""
    own = (worker_count(data.workers, dataset), pin_memory, data.augment, distributed.rank(), distributed.world_size())
    return PairLoader(dataset, data.crop, data.batch_size, data.flip, seed, *own)
