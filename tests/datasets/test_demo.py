"""The demo learns: a twelfth of its run is better, on facades it has not seen, than what needs no network."""

import runpy
from pathlib import Path

import numpy as np

from pix2pix import Trainer, load_config, load_generator
from pix2pix.data.dataset import open_split

BASELINES = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "baselines.py"))


def test_a_twelfth_of_the_demo_beats_the_best_colour_a_class(tmp_path):
    settings = ["schedule.epochs=2", "schedule.decay_epochs=1", f"run.output={tmp_path / 'run'}", "run.device=cpu"]
    settings += ["data.synthetic.train=150", "data.synthetic.val=4", "data.synthetic.test=10", "optimizer.lr=4e-4"]
    config = load_config("demo", settings)
    Trainer(config).fit()
    translator = load_generator(tmp_path / "run" / "gen.pt", "cpu")
    arrays, l1 = BASELINES["arrays"], BASELINES["l1"]
    labels, photographs = arrays(open_split(config.data, "train", config.data.crop))
    unseen, targets = arrays(open_split(config.data, "test", config.data.crop))
    score = l1(np.stack([translator.translate(image) for image in unseen]), targets)
    assert score < 0.85 * l1(BASELINES["class_colours"](labels, photographs, unseen), targets)
    assert score < l1(np.median(photographs, axis=0), targets)
    assert score < 0.3 * l1(unseen, targets)
