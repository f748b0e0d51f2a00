"""`pix2pix benchmark` at a tiny size, and what it measures with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import pairs, pix2pix
from torch import nn

from pix2pix.benchmark.machine import copy_bandwidth, count_flops, matrix_peak, peak_memory
from pix2pix.benchmark.measure import Comparison, Times, by_turns
from pix2pix.benchmark.plain_data import PlainPairs
from pix2pix.data.augment.apply import to_float
from pix2pix.data.dataset import PairedDataset

CPU = torch.device("cpu")


@pytest.fixture
def fast_peaks(monkeypatch):
    monkeypatch.setattr("pix2pix.benchmark.machine._SECONDS", 0.01)


def test_the_plain_way_and_ours_agree_and_are_compared(fast_peaks, monkeypatch):
    monkeypatch.setattr("pix2pix.benchmark.report.retain_freed_memory", lambda: None)
    sizes = ("--size", 32, "--width", 4, "--rounds", 1, "--pairs", 3, "--batch-size", 1, 2, "--device", "cpu")
    result = pix2pix("--quiet", "benchmark", *sizes, "--json", "--output", "table.md")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    found = report["comparisons"]
    works = [(comparison["work"], comparison["batch"]) for comparison in found]
    assert works == [(work, batch) for batch in (1, 2) for work in ("step", "loader", "epoch")] + [("sampling", None)]
    for comparison in found:
        assert comparison["wall_ratio"] > 0 and comparison["cpu_ratio"] > 0 and comparison["rounds"] == 1
        assert comparison["of_floor"] > 0 and (comparison["gflop"] > 0) == (comparison["work"] != "loader")
        if comparison["work"] == "step":
            assert comparison["difference"] < 1e-4
    assert found[-1]["difference"] <= 1
    assert report["torch_version"] == torch.__version__ and report["processor"] and report["width"] == 4
    table = Path("table.md").read_text().splitlines()
    assert len([line for line in table if line.startswith("|")]) == 2 + len(found)


def test_a_plain_pair_is_ours_where_nothing_is_random():
    root = pairs("mine", "train", count=2, size=40)
    plain = PlainPairs(sorted((root / "train").iterdir()), 32, 32, flip=False)
    ours = PairedDataset.from_folder(root, direction="b2a", load_size=32, val_fraction=0)
    for number in range(2):
        for pixels, key in zip(plain[number], ("input", "target"), strict=True):
            expected = to_float(ours[number][key][None])[0]
            assert torch.allclose(pixels, expected, atol=1e-6) and expected.std() > 0.1


def test_operations_are_those_counted_by_hand(fast_peaks):
    conv = nn.Conv2d(3, 5, 4, stride=2, padding=1, bias=False)
    x = torch.rand(2, 3, 8, 8)
    forward = 2 * 2 * 5 * 4 * 4 * 3 * 4 * 4  # multiply and add, B, out, H, W, in, kernel
    assert count_flops(lambda: conv(x)) == forward
    assert count_flops(lambda: conv(x).sum().backward()) == 2 * forward  # the gradient of x is not needed
    assert matrix_peak(CPU, 64) > 1e6 and copy_bandwidth(CPU, 2**20) > 1e6


def test_peak_memory_is_what_was_allocated_and_freed():
    size = 64 << 20
    found = peak_memory(lambda: np.ones(size, np.uint8), CPU)
    assert found is None or 0.9 * size < found < 1.5 * size


def test_medians_and_ratios_are_by_round():
    comparison = Comparison("step", 2, 2, Times([2, 9, 4], [1, 1, 1]), Times([1, 3, 1], [1, 2, 4]), 0.25)
    found = comparison.to_dict()
    assert found["plain_wall_ms"] == 2000 and found["our_wall_ms"] == 500 and found["of_floor"] == 0.5
    assert found["wall_ratio"] == 3 and found["cpu_ratio"] == 0.5
    order = []
    plain, ours = by_turns(lambda: order.append("plain"), lambda: order.append("ours"), 3, 60, CPU)
    assert order == ["plain", "ours"] * 3 and len(plain.wall) == len(ours.cpu) == 3
    assert len(by_turns(lambda: None, lambda: None, 3, -1, CPU)[0].wall) == 1
