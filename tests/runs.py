"""Runs of seconds for the tests, and how two of them are compared: to the bit."""

from collections.abc import Callable
from pathlib import Path

import torch

from pix2pix import Trainer
from pix2pix.config import config_from_dict
from pix2pix.training.metrics import read_metrics


def make_config(output: Path, **sections):
    """A run of seconds: six drawn facades of 32 pixels, two channels wide, dropout on."""
    base = {
        "data": {
            "layout": "synthetic",
            "direction": "b2a",
            "image_size": 32,
            "load_size": 36,
            "flip": True,
            "batch_size": 2,
            "synthetic": {"train": 5, "val": 2, "test": 1},
        },
        "model": {
            "generator": {"base_channels": 2, "norm": "instance_affine", "dropout_up": [5, 4]},
            "discriminator": {"base_channels": 2, "n_layers": 2, "norm": "instance_affine"},
        },
        "schedule": {"epochs": 3, "decay_epochs": 1},
        "run": {"output": str(output), "log_every_steps": 2, "device": "cpu"},
    }
    for name, values in sections.items():
        base[name] = base[name] | values if name in base else values
    return config_from_dict(base, "test")


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Every number that training changes, optimizers included."""
    flat = {}
    for name, part in trainer.networks.stateful_objects.items():
        state = part.state_dict()
        if "state" in state:
            state = {f"{i}.{k}": v for i, values in state["state"].items() for k, v in values.items()}
        flat |= {f"{name}.{k}": v for k, v in state.items()}
    return flat


def assert_identical(a: Trainer, b: Trainer):
    first, second = weights_of(a), weights_of(b)
    assert first.keys() == second.keys()
    assert [k for k in first if not torch.equal(first[k], second[k])] == []


def without_timing(path: Path) -> list[dict]:
    return [{k: v for k, v in record.items() if k != "images_per_second"} for record in read_metrics(path)]


def after(trainer: Trainer, steps: int) -> Callable[[], bool]:
    """A stop after so many more updates than the run had when it was first asked."""
    start = []

    def stop() -> bool:
        if not start:
            start.append(trainer.state.step)
        return trainer.state.step >= start[0] + steps

    return stop
