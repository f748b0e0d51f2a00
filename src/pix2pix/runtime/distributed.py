"""Several processes that train one network, as torchrun starts them: a rank a GPU, or on CPUs.

Where there is one process only, every function does what that one would do by itself.
"""

import gc
import hashlib
import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pix2pix.errors import DataError, LostRankError
from pix2pix.runtime.signals import Stopped, stop_requested

T = TypeVar("T")
_PATIENCE = timedelta(hours=1)  # a rank waits so long while the first one validates and saves
_OF_RANKS = ("gloo", "NCCL", "Connection closed", "Connection reset", "timed out")


@contextmanager
def process_group() -> Iterator[None]:
    """Within it the ranks that torchrun has started know each other; nothing without torchrun.

    Raises LostRankError where another rank has gone.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield
    except RuntimeError as error:  # gloo's and NCCL's own errors are no class of theirs in every version
        if world_size() == 1 or not any(word in str(error) for word in _OF_RANKS):
            raise
        raise LostRankError(
            f"rank {rank()}: another rank has ended, which the job cannot go on without; look at what that one said; "
            "the last checkpoint is whole, and the same command goes on from it"
        ) from None
    finally:
        gc.collect()  # what still holds the group would end its threads in the midst of Python's own end, which aborts
        dist.destroy_process_group()


def rank() -> int:
    """This process's number among the ranks, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many ranks there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def largest(number: int) -> int:
    """The largest of the ranks' numbers; all of them wait for each other. The GPU is not waited for."""
    if world_size() == 1:
        return number
    numbers = torch.tensor(number)
    dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return int(numbers)


def any_rank(flag: bool) -> bool:
    """Whether it is true on any rank; all of them wait for each other."""
    return bool(largest(int(flag)))


def all_equal(value: object) -> bool:
    """Whether all ranks have the same, by its `repr`; all of them wait for each other."""
    if world_size() == 1:
        return True
    digest = int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=7).digest(), "big")
    ends = torch.tensor([digest, -digest])
    dist.all_reduce(ends, dist.ReduceOp.MAX)
    return bool(ends[0] == -ends[1])


@contextmanager
def stopped_together() -> Iterator[None]:
    """Where one rank is Stopped in the block, all of them are after it."""
    stopped = False
    try:
        yield
    except Stopped:
        stopped = True
    if any_rank(stopped):
        raise Stopped


def in_lockstep(items: Iterator[T]) -> Iterator[T]:
    """Each rank's own items, as many on each; all ranks leave between the same two, in one exchange an item.

    Raises Stopped on all of them on one, and DataError where one of them cannot read its next.
    """
    while True:
        item, error, stopping = None, None, stop_requested()
        try:
            item = None if stopping else next(items, None)
        except DataError as caught:
            error = caught
        state = largest(2 if error else int(stopping))
        if state == 2:
            raise error or DataError(f"rank {rank()}: another rank cannot read its data; look at what that one said")
        if state == 1:
            raise Stopped
        if item is None:
            return
        yield item


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """The first rank goes through the block, and then all the others do."""
    if rank() > 0:
        any_rank(False)
    yield
    if rank() == 0:
        any_rank(False)


def shard(items: Sequence[T], rank: int, ranks: int) -> Sequence[T]:
    """A rank's part of a batch, all of them as equal as can be, the first ones never smaller; it may be empty."""
    size, more = divmod(len(items), ranks)
    start = rank * size + min(rank, more)
    return items[start : start + size + (rank < more)]


def wrap_ddp(network: nn.Module) -> nn.Module:
    """The network with its gradients averaged over the ranks in each backward pass."""
    if world_size() == 1:
        return network
    # Buffers are the first rank's own: the discriminator goes forward twice before it goes back, and a broadcast in
    # between would change what it needs. Torch 2.15 has given the switch another name.
    names = inspect.signature(DistributedDataParallel).parameters
    switch = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    return DistributedDataParallel(network, **{switch: False})


def no_sync_but_last(network: nn.Module, parts: Sequence[T]) -> Iterator[T]:
    """The parts of a batch, one after the other; gradients are summed up and averaged over the ranks once."""
    for part in parts:
        alone = isinstance(network, DistributedDataParallel) and part is not parts[-1]
        with network.no_sync() if alone else nullcontext():
            yield part


def mean(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each scalar's mean over the ranks, in one exchange; a number that is not finite on one is so on all."""
    if world_size() == 1:
        return terms
    numbers = torch.stack([term.detach() for term in terms.values()])
    dist.all_reduce(numbers)
    return dict(zip(terms, (numbers / world_size()).unbind(), strict=True))
