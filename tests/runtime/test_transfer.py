"""Copies to a GPU, without one: what is asked of the streams, in which order."""

from contextlib import contextmanager

import torch

from pix2pix.runtime.transfer import Transfer

CUDA = torch.device("cuda")


class Recorder:
    """Stands for `torch.cuda`, its two streams and a tensor; notes what is called on which stream."""

    def __init__(self, name="main", log=None):
        self.name, self.log = name, [] if log is None else log

    def Stream(self, device):
        return Recorder("side", self.log)

    @contextmanager
    def stream(self, stream):
        self.name, before = stream.name, self.name
        yield
        self.name = before

    def current_stream(self, device):
        return self

    def wait_stream(self, stream):
        self.log.append(f"{self.name} waits for {stream.name}")


class Pixels:
    def __init__(self, cuda, pinned=False):
        self.cuda, self.pinned = cuda, pinned

    def pin_memory(self):
        return Pixels(self.cuda, pinned=True)

    def to(self, device, non_blocking):
        self.cuda.log.append(f"copy on {self.cuda.name}, pinned {self.pinned}, without waiting {non_blocking}")
        return Pixels(self.cuda)

    def record_stream(self, stream):
        self.cuda.log.append(f"used on {stream.name}")


def test_pixels_are_copied_on_the_side_stream_and_used_after_it():
    cuda = Recorder()
    batch = {"input": Pixels(cuda), "flip": torch.tensor([True])}
    moved = Transfer(CUDA, cuda)(batch, ["input"])
    assert cuda.log == ["copy on side, pinned True, without waiting True", "main waits for side", "used on main"]
    assert moved["flip"] is batch["flip"] and moved["input"] is not batch["input"]


def test_other_devices_copy_nothing():
    batch = {"input": torch.arange(3)}
    assert Transfer(torch.device("cpu"))(batch, ["input"]) is batch
