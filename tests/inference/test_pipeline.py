"""The pipeline of `sample`: its order, its memory and its errors, without a network."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from pix2pix.errors import DataError
from pix2pix.inference import pipeline
from pix2pix.inference.pipeline import Job, translate_all

LARGE = np.broadcast_to(np.uint8(0), (3000, 3000, 3))  # takes no memory
SMALL = np.zeros((8, 8, 3), np.uint8)


class Copy:
    """Translates images to themselves; it takes a while for the first batch."""

    formats = SimpleNamespace(input=["image"])

    def __init__(self, wait: float = 0):
        self.wait = wait

    def translate_batch(self, images):
        time.sleep(self.wait)
        self.wait = 0
        return [inputs[0] for inputs in images]


def test_large_images_after_small_ones_are_not_all_read_ahead(monkeypatch):
    monkeypatch.setattr(pipeline, "cores", lambda: 2)
    lock, held, most, written = threading.Lock(), 0, 0, []

    def job(number: int, pixels: np.ndarray) -> Job:
        def read():
            nonlocal held, most
            with lock:
                held += pixels is LARGE
                most = max(most, held)
            return [pixels]

        def write(arrays, fake):
            nonlocal held
            with lock:
                held -= pixels is LARGE
                written.append(number)

        return Job(str(number), read, write)

    jobs = [job(number, SMALL) for number in range(8)] + [job(number, LARGE) for number in range(8, 40)]
    assert translate_all(Copy(0.3), jobs, batch_size=8) == []
    assert sorted(written) == list(range(40)) and most <= 8


def test_a_failed_write_ends_the_work_and_keeps_what_was_translated():
    written, stop = [], OSError("the disk is full")

    def job(number: int) -> Job:
        def write(arrays, fake):
            if number == 1:
                raise stop
            written.append(number)

        def read():
            if number == 0:
                raise DataError("broken", path="0")
            return [SMALL]

        return Job(str(number), read, write)

    before = threading.active_count()
    with pytest.raises(OSError, match="disk is full"):
        translate_all(Copy(), [job(number) for number in range(200)], batch_size=1)
    assert threading.active_count() == before and sorted(written) == list(range(2, 2 + len(written)))
