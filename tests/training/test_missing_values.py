"""Runs on float TIFF files with missing values: the same to the bit, however they are read, stopped and resumed."""

import numpy as np
import pytest
from PIL import Image
from runs import after, assert_identical, make_config, without_timing

from pix2pix import Trainer

SIDE, PAIRS = 32, 5


@pytest.fixture(scope="module")
def terrain(tmp_path_factory):
    """Elevations, and the same with an offset; each file has a hole of -9999 of its own."""
    root = tmp_path_factory.mktemp("terrain")
    rng = np.random.default_rng(3)
    for number in range(PAIRS):
        heights = rng.uniform(100, 900, (SIDE, SIDE)).astype(np.float32)
        for name in ("input", "target"):
            values = heights + 50 * (name == "target")
            row, column = rng.integers(0, SIDE // 2, 2)
            values[row : row + 12, column : column + 12] = -9999
            path = root / "train" / name / f"{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    return root


def trained(terrain, output, stop=(), **data) -> Trainer:
    """Train for two epochs; `stop`: after how many steps to stop, and resume in a new trainer."""
    settings = {"root": str(terrain), "layout": "auto", "direction": None, "val_fraction": 0.2, "workers": 0} | data
    config = make_config(output, data=settings, schedule={"epochs": 2}, run={"log_every_steps": 1})
    for steps in stop:
        trainer = Trainer(config)
        assert not trainer.fit(stop=after(trainer, steps))
    trainer = Trainer(config)
    assert trainer.fit()
    return trainer


def test_runs_on_missing_values_do_not_depend_on_cache_workers_or_stops(terrain, tmp_path):
    first = trained(terrain, tmp_path / "a", cache="memory")
    records = without_timing(tmp_path / "a/metrics.jsonl")
    losses = [value for record in records for key, value in record.items() if "/" in key]
    assert len(losses) > 8 and np.isfinite(losses).all()
    others = {
        "b": {"cache": "disk", "stop": (1, 2)},
        "c": {"cache": "off", "stop": (3,)},
        "d": {"cache": "disk", "workers": 2},
    }
    for name, settings in others.items():
        assert_identical(first, trained(terrain, tmp_path / name, **settings))
        assert without_timing(tmp_path / name / "metrics.jsonl") == records
