"""What scripts/kinds.py shows, in little: 16-bit pictures are learnt from their files to unseen pairs."""

import dataclasses
import runpy
from pathlib import Path

KINDS = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "kinds.py"))


def test_two_epochs_on_16_bit_pictures_beat_the_median_target(tmp_path):
    case = dataclasses.replace(KINDS["CASES"]["deep"], epochs=2)
    KINDS["write_pairs"](case, tmp_path / "data")
    trainer = KINDS["trained"](case, tmp_path)
    assert trainer.formats.target.dtype == "uint16"
    scores, _ = KINDS["judge"](trainer)
    assert scores["generator"] < 0.95 * scores["median"]
