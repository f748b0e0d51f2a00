"""The settings that are chosen from the files, by size, shape and number of pairs."""

import pytest
from commands import picture

from pix2pix.config import load_config
from pix2pix.data import recipe
from pix2pix.data.recipe import choose_settings, settings_of


def _chosen(*sizes, **settings):
    """Choose for pairs in two folders of these (height, width)."""
    for index, (height, width) in enumerate(sizes):
        for side in "ab":
            picture(f"mine/train/{side}/{index}.png", height, width, seed=index)
    config = load_config("own", ["data.root=mine", "data.val_fraction=0", *settings.get("overrides", [])])
    return {setting.key: setting.value for setting in choose_settings(config)}


@pytest.mark.parametrize(
    ("sizes", "image_size", "load_size"),
    [
        ([(256, 256)] * 2, 256, "jitter"),
        ([(480, 640), (240, 320)], [192, 256], "jitter"),  # one shape in two sizes
        ([(584, 565)], 256, "jitter"),
        ([(28, 28)], 32, "jitter"),
        ([(100, 100)], 96, "jitter"),
        ([(100, 140), (140, 100)], 96, "native"),
        ([(300, 400), (400, 300)], 256, "native"),
        ([(20, 70), (70, 20)], 32, "native"),
    ],
)
def test_the_size_follows_the_pictures(sizes, image_size, load_size):
    chosen = _chosen(*sizes)
    assert (chosen["data.image_size"], chosen["data.load_size"]) == (image_size, load_size)


def test_many_pairs_get_larger_batches_and_no_changes(monkeypatch):
    monkeypatch.setattr(recipe, "_MANY", 3)
    monkeypatch.setattr(recipe, "_SEEN", 60)
    chosen = _chosen(*[(32, 32)] * 3)
    assert chosen["data.batch_size"] == 4 and not {"data.flip", "data.load_size"} & chosen.keys()
    assert (chosen["schedule.epochs"], chosen["schedule.decay_epochs"]) == (20, 10)


def test_settings_of_a_completed_config_are_chosen_again():
    chosen = _chosen((32, 64))
    config = load_config("own", ["data.root=mine", *(f"{key}={value}" for key, value in chosen.items())])
    again = {setting.key: setting.value for setting in settings_of(config)}
    assert again.items() >= {**chosen, "data.image_size": (32, 64)}.items()
    assert {key for key in again if key not in chosen} == {"data.direction"}
