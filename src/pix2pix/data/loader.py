"""Batches: the order of an epoch, one draw a pair, the crop; all from (seed, epoch, index), never from workers."""

import atexit
import signal
import weakref
from collections.abc import Iterator
from functools import cache
from threading import Timer
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pix2pix.config import AugmentConfig, DataConfig
from pix2pix.data.dataset import PairedDataset
from pix2pix.data.geometry import margin, reflected, warp_numbers, window
from pix2pix.errors import DataError
from pix2pix.runtime import distributed
from pix2pix.runtime.rng import AUGMENT, ORDER, chances, counter_rng


class Draw(NamedTuple):
    """What chance decides for one pair in one epoch; both of its images get the same."""

    top: int  # negative where the crop begins above the picture, in its reflection
    left: int
    flip: bool
    flip_vertical: bool = False
    turns: int = 0  # quarters against the clock
    angle: float = 0.0  # degrees against the clock
    scale: float = 1.0
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)  # brightness, contrast, saturation; turn of hue


def draw(
    seed: int,
    epoch: int,
    index: int,
    load: tuple[int, int],
    crop: tuple[int, int],
    flip: bool,
    augment: AugmentConfig | None = None,
) -> Draw:
    """Where the crop of size `crop` (H, W) lies in an image of size `load`, whether to mirror it, and the rest.

    The paper's random jitter and mirroring (appendix 6.2), then what `augment` has on. Everything has its number drawn,
    on or off, so that turning one thing on changes no other. An image smaller than the crop lies somewhere in it.
    """
    augment = augment or AugmentConfig()
    chance = chances(seed, AUGMENT, epoch, index)
    low, high = augment.scale

    def place(chance: float, room: int) -> int:
        return min(0, room) + int(chance * (abs(room) + 1))

    def swing(by: float, chance: float) -> float:
        return by * (2 * chance - 1)

    return Draw(
        top=place(chance[0], load[0] - crop[0]),
        left=place(chance[1], load[1] - crop[1]),
        flip=flip and chance[2] < 0.5,
        flip_vertical=augment.flip_vertical and chance[3] < 0.5,
        turns=int(4 * chance[4]) if augment.quarter_turns else 0,
        angle=swing(augment.rotation, chance[5]),
        scale=low + (high - low) * chance[6],
        colour=(
            1 + swing(augment.brightness, chance[7]),
            1 + swing(augment.contrast, chance[8]),
            1 + swing(augment.saturation, chance[9]),
            swing(augment.hue, chance[10]),
        ),
    )


class _Crops(Dataset):
    """(epoch, index) -> the crop of a pair, with the margin that is needed, and what its draw leaves to the device."""

    def __init__(self, dataset: PairedDataset, crop: tuple[int, int], flip: bool, seed: int, augment: AugmentConfig):
        self.dataset, self.crop, self.flip, self.seed, self.augment = dataset, crop, flip, seed, augment
        self.margin = margin(augment, crop)

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Tensor | int | bool] | DataError:
        epoch, index = place
        try:
            pair = self.dataset[index]
        except DataError as error:  # handed over as a value: raised in a worker, it would arrive wrapped in a traceback
            return error
        load = pair["input"].shape[-2:]
        it = draw(self.seed, epoch, index, load, self.crop, self.flip, self.augment)
        rows, columns = (
            reflected(start - beside, want + 2 * beside, have)
            for start, beside, want, have in zip((it.top, it.left), self.margin, self.crop, load, strict=True)
        )
        images = {key: _signed(window(pair[key], rows, columns)) for key in self.dataset.forms.parts}
        return {**images, "flip": it.flip, "index": index, **self._changes(it)}

    def _changes(self, it: Draw) -> dict[str, Tensor | int | bool]:
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


def _leave_signals_to_the_parent(worker: int) -> None:
    """A terminal's Ctrl-C reaches the workers too, and the parent still needs them to finish its step."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


PATIENCE = 50  # seconds without a batch after which a worker counts as lost

_open: "weakref.WeakSet[PairLoader]" = weakref.WeakSet()


@cache
def _close_at_exit() -> None:
    """Python ends what workers are left with a SIGTERM that ours ignore, and would wait for them for ever."""

    def close_all() -> None:
        for loader in list(_open):
            loader.close()

    atexit.register(close_all)  # here, not on import: it must come after multiprocessing's own, so as to run before it


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
        return iter([distributed.share(batch, self.rank, self.ranks) or batch[:1] for batch in batches])


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
        dataset: PairedDataset,
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
            collate_fn=_collate,
            worker_init_fn=_leave_signals_to_the_parent,
            generator=torch.Generator(),  # so that it takes no number from torch's global generator
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of an epoch, from its `start`-th pair on. With workers, asking for another ends this one.

        Raises DataError where a pair that was not read before turns out to be broken.
        """
        self._order.epoch, self._order.start = epoch, start
        if self._loader is None:
            return self._raising(map(self._read, iter(self._order)))
        return self._raising(self._in_time(iter(self._loader)))

    def close(self) -> None:
        """Ends the workers, where there are any; another epoch starts new ones."""
        if self._loader is not None and self._loader._iterator is not None:
            self._loader._iterator._shutdown_workers()
            self._loader._iterator = None

    def __enter__(self) -> "PairLoader":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Ends the workers; where one of them has died, which is told anywhere in the block, says so."""
        lost = isinstance(error, RuntimeError) and "DataLoader" in str(error)
        if lost:
            self._kill()
        self.close()
        if lost:
            raise self._worker_lost() from None

    def _kill(self) -> None:
        """Ends workers that may not be able to end themselves."""
        if self._loader is not None and self._loader._iterator is not None:
            for worker in self._loader._iterator._workers:
                worker.kill()

    def _worker_lost(self) -> DataError:
        return DataError(
            f"a process that reads data was killed, or gave nothing for {PATIENCE} seconds; lower data.workers, or see "
            "whether the disk or the memory is the reason; the same command goes on from the last checkpoint"
        )

    def _in_time(self, batches: Iterator) -> Iterator:
        """What workers give; one that hangs is killed: a DataLoader's own timeout misses one that holds a batch."""
        while True:
            late = Timer(PATIENCE, self._kill)
            late.start()
            try:
                batch = next(batches, None)
            except (OSError, EOFError, RuntimeError) as error:
                killed = "DataLoader" in str(error) or isinstance(error, ConnectionError | EOFError)  # amid a batch
                if not killed and late.is_alive():
                    raise
                raise self._worker_lost() from None
            finally:
                late.cancel()
            if batch is None:
                return
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


def worker_count(workers: int | str, dataset: PairedDataset) -> int:
    """Processes that read: as asked for, or with `auto` none where pairs lie in memory, else one a core, at most 8.

    Where pairs lie on disk, two are enough to wait for it.
    """
    if workers != "auto":
        return workers
    return 0 if dataset.cached else min(8 if dataset.kept.startswith("off") else 2, torch.get_num_threads())


def open_loader(data: DataConfig, dataset: PairedDataset, seed: int, pin_memory: bool = False) -> PairLoader:
    """The batches of a data set as a config wants them; of several ranks, this one's parts of them."""
    own = (worker_count(data.workers, dataset), pin_memory, data.augment, distributed.rank(), distributed.count())
    return PairLoader(dataset, data.crop, data.batch_size, data.flip, seed, *own)
