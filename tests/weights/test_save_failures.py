"""Weights that cannot be written leave the earlier ones."""

import pytest
from commands import (
    contents,
    files_no_larger_than,
)

from pix2pix.data.formats.image_format import RGB
from pix2pix.errors import CheckpointError
from pix2pix.weights import load_generator_file, save_weights


def test_weights_that_do_not_fit_leave_the_earlier_ones(trained):
    before, file = contents(trained), load_generator_file(trained / "gen.pt")
    with files_no_larger_than(60_000), pytest.raises(CheckpointError, match=r"^run/gen.pt: cannot be written"):
        save_weights(trained / "gen.pt", "generator", file.generator, file.config, RGB, 9, 9)
    assert contents(trained) == before
