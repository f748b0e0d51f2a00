"""The step as a graph, without a GPU: what is recorded is tensor operations alone, as a CUDA graph records kernels."""

from functools import partial
from typing import ClassVar

import pytest
import torch
from commands import TINY, pix2pix
from runs import after, assert_identical, make_config, without_timing
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pix2pix import Trainer
from pix2pix.errors import ConfigError
from pix2pix.runtime import distributed
from pix2pix.training import trainer as trainer_module
from pix2pix.training.adam import Adam
from pix2pix.training.graph import StepGraph, require_cuda_graph
from pix2pix.training.networks import Networks

# What the step asks of the host on a CPU alone: whether each of the two optimizers skips its update.
HOST_READS = 2


class TapeGraph(TorchDispatchMode):
    """Records the operations of a function with their tensors; a replay repeats them and no Python of the function."""

    made: ClassVar[list["TapeGraph"]] = []

    def __init__(self, device):
        super().__init__()
        self.tape = []
        TapeGraph.made.append(self)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.tape.append((func, args, kwargs or {}, out))
        return out

    def warm_up(self, function):
        for _ in range(3):
            function()

    def capture(self, function):
        with self:
            return function()

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, out in self.tape:
            for old, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    @property
    def host_reads(self) -> int:
        return sum(func is torch.ops.aten._local_scalar_dense.default for func, *_ in self.tape)


@pytest.fixture(autouse=True)
def graphs_on_a_cpu(monkeypatch):
    """Graphs are tapes, and the learning rate is a tensor, as on CUDA."""
    TapeGraph.made = []
    monkeypatch.setattr(trainer_module, "require_cuda_graph", lambda *_: None)
    monkeypatch.setattr(trainer_module, "StepGraph", partial(StepGraph, make_graph=TapeGraph))
    settings = {"lr": 2e-3, "betas": (0.5, 0.999), "capturable": True}
    monkeypatch.setattr(Networks, "_optimizer", lambda self, network: Adam(network.parameters(), **settings))


def config(folder, cuda_graph, run=None, **sections):
    own = {"output": str(folder), "sample_every_epochs": 0, "cuda_graph": cuda_graph}
    return make_config(folder, run=own | (run or {}), **sections)


BATCH_NORM = {"model": {"generator": {"base_channels": 2, "dropout_up": [5, 4]}}}
VARIANTS = {
    "batch norm, average": BATCH_NORM | {"run": {"ema": 0.9}},
    "generator first, bf16": {
        "schedule": {"update_order": "generator-first", "epochs": 2},
        "run": {"precision": "bf16"},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_with_graphs_equals_one_without_to_the_bit(tmp_path, variant):
    """Odd last batches, a falling learning rate, validation, checkpoints and a resume are in between."""
    sections = {"schedule": {"epochs": 3, "decay_epochs": 2}} | VARIANTS[variant]
    eager = Trainer(config(tmp_path / "eager", False, **sections))
    assert eager.fit()
    first = Trainer(config(tmp_path / "graph", True, **sections))
    assert not first.fit(stop=after(first, 4))
    resumed = Trainer(first.config)
    assert resumed.fit()
    assert_identical(eager, resumed)
    assert len(TapeGraph.made) == 2 and all(graph.host_reads == HOST_READS for graph in TapeGraph.made)
    assert without_timing(tmp_path / "eager" / "metrics.jsonl") == without_timing(tmp_path / "graph" / "metrics.jsonl")


def both(tmp_path):
    """A trainer without graphs and one with, and four batches of two pairs, one of them not finite."""
    torch.manual_seed(1)
    batches = torch.rand(4, 2, 2, 3, 32, 32) * 2 - 1
    return [Trainer(config(tmp_path, graph, **BATCH_NORM)) for graph in (False, True)], batches


def test_metrics_are_not_overwritten_and_the_generators_state_is_that_of_a_step(tmp_path):
    (eager, graph), batches = both(tmp_path)
    assert eager.networks  # building them, which draws random numbers, does not change the first step of the other
    for trainer in (eager, graph):
        trainer.metrics = [trainer.train_step(x, y) for x, y in batches]
        trainer.random = torch.rand(3)
    assert graph.metrics == eager.metrics and len({float(metrics["g/l1"]) for metrics in graph.metrics}) == 4
    assert torch.equal(eager.random, graph.random)


def test_the_first_non_finite_step_is_named(tmp_path):
    (_, graph), batches = both(tmp_path)
    batches[2, 0, 0, 0, 0, 0] = torch.nan
    for x, y in batches:
        graph.train_step(x, y)
    step, names = graph.guard.first()
    assert step == 3 and "d/gradient" in names


def test_loading_changes_the_tensors_that_were_captured(tmp_path):
    (eager, graph), batches = both(tmp_path)
    for x, y in batches[:2]:
        graph.train_step(x, -y)
    for x, y in batches[:1]:
        eager.train_step(x, y)
    for name, part in graph.networks.stateful_objects.items():
        part.load_state_dict(eager.networks.stateful_objects[name].state_dict())
    graph.state.step = eager.state.step
    for trainer in (eager, graph):
        trainer.train_step(*batches[1])
    assert_identical(eager, graph)
    assert len(TapeGraph.made) == 1


def test_a_replaced_tensor_and_other_shapes_are_noticed(tmp_path):
    (eager, graph), batches = both(tmp_path)
    for trainer in (eager, graph):
        trainer.train_step(batches[0, 0, :1], batches[0, 1, :1])  # smaller, before the capture
        trainer.train_step(*batches[0])
        weight = next(trainer.generator.parameters())
        weight.data = weight.data * 2
        trainer.train_step(*batches[1])
        trainer.train_step(torch.zeros(2, 3, 64, 64), torch.ones(2, 3, 64, 64))
        trainer.train_step(*batches[2])
    assert_identical(eager, graph)
    assert len(TapeGraph.made) == 2


def test_it_is_refused_without_cuda_with_ranks_and_with_accumulation(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    on = ("--set", "run.cuda_graph=true")
    for more, key in (
        ((), "CUDA device"),
        (("--set", "optimizer.accumulation_steps=2"), "optimizer.accumulation_steps"),
    ):
        result = pix2pix("train", *TINY, *on, *more, "--output", "run")
        assert result.code == 2 and "run.cuda_graph" in result.err and key in result.err
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ConfigError, match=r"run.cuda_graph .* ranks"):
        require_cuda_graph(config(tmp_path, True), torch.device("cuda"))
    require_cuda_graph(config(tmp_path, False), torch.device("cuda"))
