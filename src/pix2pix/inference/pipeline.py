"""Translate many images: threads read and write while the network runs, and images of the same size share a batch."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from tqdm import tqdm

from pix2pix.errors import DataError, is_out_of_memory
from pix2pix.inference.translator import Translator
from pix2pix.runtime.log import bar_disabled
from pix2pix.runtime.parallel import cores
from pix2pix.runtime.signals import raise_if_stopped

_BATCH_PIXELS = 8 * 256 * 256  # of the inputs in a batch, by default; larger batches are hardly faster
_HELD_PIXELS = 4 * _BATCH_PIXELS  # of the inputs that were read and wait for a batch
_MOST = 64  # images that are read ahead, and images that wait to be written

Arrays = list[np.ndarray]
_Batch = list[tuple[int, Arrays]]  # the number of each job, and what it has read


@dataclass(frozen=True)
class Job:
    """An image to translate.

    `read` returns the inputs, [H, W, C] in the input formats, then whatever else `write` needs; it raises DataError.
    `write` gets these arrays and the translation. Both are called in threads. `name` names the image in errors.
    """

    name: str | Path
    read: Callable[[], Arrays]
    write: Callable[[Arrays, np.ndarray], object]


def translate_all(translator: Translator, jobs: Sequence[Job], batch_size: int | None = None) -> list[DataError]:
    """Translate and write the images of all jobs; return the errors of those that failed, in the order of the jobs.

    `batch_size`: the most images in a batch, by default as many as have the pixels of eight images of 256 x 256.
    Batches depend only on the jobs, never on the timing of threads. Raises Stopped, and what `write` raises;
    every image that was translated before is then written.
    """
    return _Pipeline(translator, jobs, batch_size).run()


class _Pipeline:
    def __init__(self, translator: Translator, jobs: Sequence[Job], batch_size: int | None):
        self.translator, self.jobs, self.batch_size = translator, jobs, batch_size
        self.failed: dict[int, DataError] = {}
        self.waiting: dict[tuple[int, ...], _Batch] = {}  # by the size of the images
        self.writes: deque[Future[object]] = deque()
        self.read_pixels, self.lock = 0, Lock()  # those of images that were read ahead

    def run(self) -> list[DataError]:
        with ExitStack() as stack:
            self.bar = stack.enter_context(
                tqdm(total=len(self.jobs), desc="translating", unit="image", disable=bar_disabled(), leave=False)
            )
            # Closed in reverse order: the reads that have not started are cancelled, then all writes are finished.
            self.writers = stack.enter_context(ThreadPoolExecutor(cores()))
            readers = ThreadPoolExecutor(cores())
            stack.callback(readers.shutdown, cancel_futures=True)
            for number, arrays in self._read_ahead(readers):
                self._add(number, arrays)
            for batch in list(self.waiting.values()):
                self._translate(batch)
            while self.writes:
                self._finish_write()
        return [self.failed[number] for number in sorted(self.failed)]

    def _read_ahead(self, readers: ThreadPoolExecutor) -> Iterator[tuple[int, Arrays]]:
        """Yield what each job reads, in order; large images are not read far ahead, since they need memory."""
        reads: deque[Future[Arrays | None]] = deque()
        ahead, submitted = cores(), 0
        for number in range(len(self.jobs)):
            while submitted < len(self.jobs) and len(reads) < ahead:
                reads.append(readers.submit(self._read_early, self.jobs[submitted]))
                submitted += 1
            raise_if_stopped()
            try:
                arrays = self._take(reads.popleft().result()) or self._read(self.jobs[number])
            except DataError as error:  # one broken image does not stop the others
                self._fail(number, error)
                continue
            ahead = min(max(1, _HELD_PIXELS // _pixels(arrays)), _MOST)
            yield number, arrays

    def _read_early(self, job: Job) -> Arrays | None:
        """Read a job in a thread; return None where the images that were read ahead are already large."""
        with self.lock:
            if self.read_pixels > _HELD_PIXELS:
                return None
        arrays = self._read(job)
        with self.lock:
            self.read_pixels += _pixels(arrays)
        return arrays

    def _take(self, arrays: Arrays | None) -> Arrays | None:
        """Return what was read ahead, which no longer counts."""
        with self.lock:
            self.read_pixels -= _pixels(arrays) if arrays else 0
        return arrays

    @staticmethod
    def _read(job: Job) -> Arrays:
        with _limited_memory(job.name):
            return job.read()

    def _add(self, number: int, arrays: Arrays) -> None:
        """Queue an image by size; translate its batch once it is full, or the oldest batch if too many images wait."""
        shape = arrays[0].shape[:2]
        batch = self.waiting.setdefault(shape, [])
        batch.append((number, arrays))
        if len(batch) >= (self.batch_size or max(1, _BATCH_PIXELS // _pixels(arrays))):
            self._translate(self.waiting.pop(shape))
        elif sum(len(held) * _pixels(held[0][1]) for held in self.waiting.values()) > _HELD_PIXELS:
            self._translate(self.waiting.pop(next(iter(self.waiting))))

    def _translate(self, batch: _Batch) -> None:
        raise_if_stopped()
        count = len(self.translator.formats.input)
        try:
            with _limited_memory(self.jobs[batch[0][0]].name):
                fakes = self.translator.translate_batch([arrays[:count] for _, arrays in batch])
        except DataError as error:
            if len(batch) == 1:
                self._fail(batch[0][0], error)
                return
            for job in batch:  # finds the broken image; or the memory suffices for single images
                self._translate([job])
            return
        for (number, arrays), fake in zip(batch, fakes, strict=True):
            while len(self.writes) >= min(max(2, _HELD_PIXELS // _pixels(arrays)), _MOST):
                self._finish_write()
            self.writes.append(self.writers.submit(self.jobs[number].write, arrays, fake))

    def _finish_write(self) -> None:
        self.writes.popleft().result()
        self.bar.update()

    def _fail(self, number: int, error: DataError) -> None:
        self.failed[number] = error
        self.bar.update()


def _pixels(arrays: Arrays) -> int:
    height, width, _ = arrays[0].shape
    return int(height * width)


@contextmanager
def _limited_memory(name: str | Path) -> Iterator[None]:
    """Turn running out of memory into a DataError that names the image, so that the others are still translated."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        error.__traceback__ = None  # releases the tensors that its frames refer to
        raise DataError(
            "is too large for the memory of this machine",
            path=name,
            remedy="make it smaller, or translate it with --resize or on another --device",
        ) from None
