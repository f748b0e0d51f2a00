"""Distributed training with torchrun: ranks, collective decisions and gradient averaging.

In a single process, every function works as for one rank.
"""

import gc
import hashlib
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pix2pix.errors import DataError, LostRankError
from pix2pix.runtime.signals import Stopped, stop_requested

T = TypeVar("T")
_TIMEOUT = timedelta(hours=1)  # ranks wait while the first one validates and saves
_LOST_RANK = ("gloo", "NCCL", "Connection closed", "Connection reset", "timed out")


@contextmanager
def process_group() -> Iterator[None]:
    """Initialise the process group of torchrun's ranks, and destroy it at the end; without torchrun do nothing.

    Raises LostRankError where another rank has ended.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_TIMEOUT)
    try:
        yield
    except RuntimeError as error:  # not every version has an exception class for lost ranks
        if world_size() == 1 or not any(word in str(error) for word in _LOST_RANK):
            raise
        raise LostRankError(
            f"rank {rank()}: another rank has ended, and the job needs all of them; see that rank's output; "
            "the last checkpoint is intact, and the same command resumes from it"
        ) from None
    finally:
        gc.collect()  # a group that is still referenced at interpreter exit aborts the process
        dist.destroy_process_group()


def rank() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def largest(number: int) -> int:
    """Return the largest of the ranks' numbers. This is a barrier for all ranks, but does not wait for the GPU."""
    if world_size() == 1:
        return number
    numbers = torch.tensor(number)
    dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return int(numbers)


def any_rank(flag: bool) -> bool:
    """Return whether the flag is true on any rank. This is a barrier for all ranks."""
    return bool(largest(int(flag)))


def all_equal(value: object) -> bool:
    """Return whether all ranks have the same value, compared by `repr`. This is a barrier for all ranks."""
    if world_size() == 1:
        return True
    digest = int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=7).digest(), "big")
    ends = torch.tensor([digest, -digest])
    dist.all_reduce(ends, dist.ReduceOp.MAX)
    return bool(ends[0] == -ends[1])


@contextmanager
def stopped_together() -> Iterator[None]:
    """Raise Stopped on all ranks at the end of the block if any rank raised it within the block."""
    stopped = False
    try:
        yield
    except Stopped:
        stopped = True
    if any_rank(stopped):
        raise Stopped


def in_lockstep(items: Iterator[T]) -> Iterator[T]:
    """Yield this rank's items; all ranks must have the same number. The ranks communicate before each item.

    All ranks end after the same item: raises Stopped on all if one rank was asked to stop, and DataError on all if one
    rank cannot read its next item.
    """
    while True:
        item, error, stopping = None, None, stop_requested()
        try:
            item = None if stopping else next(items, None)
        except DataError as caught:
            error = caught
        state = largest(2 if error else int(stopping))
        if state == 2:
            raise error or DataError(f"rank {rank()}: another rank cannot read its data; see that rank's output")
        if state == 1:
            raise Stopped
        if item is None:
            return
        yield item


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Run the block on the first rank, then on all others."""
    if rank() > 0:
        any_rank(False)
    yield
    if rank() == 0:
        any_rank(False)


def shard(items: Sequence[T], rank: int, ranks: int) -> Sequence[T]:
    """Return a rank's share of a batch. Sizes differ by at most one, larger ones first; a share may be empty."""
    size, more = divmod(len(items), ranks)
    start = rank * size + min(rank, more)
    return items[start : start + size + (rank < more)]


def wrap_ddp(network: nn.Module) -> nn.Module:
    """Wrap a network so that each backward pass averages its gradients over the ranks."""
    if world_size() == 1:
        return network
    # Buffers are not broadcast: the discriminator has two forward passes before its backward pass, and a broadcast in
    # between would change the buffers that the backward pass needs. Torch 2.15 renamed the argument.
    names = inspect.signature(DistributedDataParallel).parameters
    switch = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    wrap: Callable[..., nn.Module] = DistributedDataParallel
    return wrap(network, **{switch: False})


def no_sync_but_last(network: nn.Module, parts: Sequence[T]) -> Iterator[T]:
    """Yield the micro-batches of a batch; gradients accumulate, and only the last one averages them over the ranks."""
    for part in parts:
        if isinstance(network, DistributedDataParallel) and part is not parts[-1]:
            with network.no_sync():
                yield part
        else:
            yield part


def mean(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return each scalar's mean over the ranks, in one all-reduce; one non-finite value makes it non-finite."""
    if world_size() == 1:
        return terms
    numbers = torch.stack([term.detach() for term in terms.values()])
    dist.all_reduce(numbers)
    return dict(zip(terms, (numbers / world_size()).unbind(), strict=True))
