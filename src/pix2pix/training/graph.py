"""The whole training step as one CUDA graph (`run.cuda_graph`)."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from pix2pix.config import Config
from pix2pix.errors import ConfigError
from pix2pix.runtime import distributed

Metrics = dict[str, Tensor]
Step = Callable[[Tensor, Tensor, float, int | Tensor], Metrics]  # (x, y, weight, number of the step from 1)


class Graph(Protocol):
    """The operations of a CUDA graph that `StepGraph` uses; tests replace it with one that needs no GPU."""

    def warm_up(self, function: Callable[[], Metrics]) -> None:
        """Run the function, so that lazily created state and library handles exist before the capture."""

    def capture(self, function: Callable[[], Metrics]) -> Metrics:
        """Record the operations of the function; return its tensors, which each replay overwrites."""

    def replay(self) -> None:
        """Run the recorded operations on the same memory."""


class CudaGraph:
    """A `torch.cuda.CUDAGraph`, warmed up and captured on the same side stream.

    PyTorch registers the device's default random generator with the graph. Each replay reads the generator's seed and
    offset, so seeding it before a replay gives the dropout masks of a step without a graph.
    """

    WARM_UP_STEPS = 3

    def __init__(self, device: torch.device):
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, function: Callable[[], Metrics]) -> None:
        """Run the function several times on the side stream, as PyTorch requires."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            for _ in range(self.WARM_UP_STEPS):
                function()
        current.wait_stream(self._stream)

    def capture(self, function: Callable[[], Metrics]) -> Metrics:
        """Record the operations of the function without running them."""
        # thread_local: the thread of the data loader that pins batches may call CUDA meanwhile.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            return function()

    def replay(self) -> None:
        """Run the recorded operations on the current stream."""
        self._graph.replay()


class StepGraph:
    """Runs a training step, as a replayed graph for batches of the usual shape.

    `step(x, y, weight, number)` must not wait for the device, and must read from tensors whatever changes from step to
    step. `tensors()` returns every tensor that it updates. Those are restored after warm-up and capture, so that the
    graph starts where training is; tensors that the warm-up creates are set to 0. The caller seeds the random
    generators before each call. Batches of other shapes, such as the last one of an epoch, run without the graph.
    If a tensor has been replaced since the capture, the step is captured again. Metrics are copies, which later replays
    do not overwrite.
    """

    def __init__(
        self,
        step: Step,
        tensors: Callable[[], list[Tensor]],
        batch_size: int,
        make_graph: Callable[[torch.device], Graph] = CudaGraph,
    ):
        self._step, self._tensors, self._batch_size, self._make_graph = step, tensors, batch_size, make_graph
        self._graph: Graph | None = None
        self._addresses: list[int] = []
        self._inputs: tuple[Tensor, Tensor, Tensor]
        self._metrics: Metrics

    def __call__(self, x: Tensor, y: Tensor, weight: float, number: int | Tensor) -> Metrics:
        """Do one step as `step` does, and return its metrics."""
        if not self._fits(x, y, weight):
            return self._step(x, y, weight, number)
        if self._graph is None or self._addresses != self._current_addresses():
            self._graph = None  # frees its memory before the next one is captured
            self._graph = self._capture(x, y)
        inputs, targets, step_number = self._inputs
        inputs.copy_(x)
        targets.copy_(y)
        step_number.fill_(number)
        self._graph.replay()
        return {name: value.clone() for name, value in self._metrics.items()}

    def _fits(self, x: Tensor, y: Tensor, weight: float) -> bool:
        """Return whether the batch is full, and has the captured shapes if there is a graph."""
        if len(x) != self._batch_size or weight != 1:
            return False
        return self._graph is None or all(
            value.shape == buffer.shape and value.dtype == buffer.dtype
            for value, buffer in zip((x, y), self._inputs[:2], strict=True)
        )

    def _capture(self, x: Tensor, y: Tensor) -> Graph:
        device = x.device
        self._inputs = x.clone(), y.clone(), torch.ones((), dtype=torch.long, device=device)
        before = [(tensor, tensor.detach().clone()) for tensor in self._tensors()]
        graph = self._make_graph(device)

        def step() -> Metrics:
            inputs, targets, number = self._inputs
            return self._step(inputs, targets, 1.0, number)

        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            graph.warm_up(step)
            self._metrics = graph.capture(step)
        known = {id(tensor) for tensor, _ in before}
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
            for tensor in self._tensors():
                if id(tensor) not in known:
                    tensor.zero_()
        self._addresses = self._current_addresses()
        return graph

    def _current_addresses(self) -> list[int]:
        return [tensor.data_ptr() for tensor in self._tensors()]


def require_cuda_graph(config: Config, device: torch.device) -> None:
    """Raise ConfigError where `run.cuda_graph` is set and the step cannot be captured."""
    if not config.run.cuda_graph:
        return
    if device.type != "cuda":
        raise ConfigError(f"run.cuda_graph needs a CUDA device, and this run uses {device}; set it to false")
    if distributed.world_size() > 1:
        raise ConfigError("run.cuda_graph does not work with several ranks; set it to false, or train on one GPU")
