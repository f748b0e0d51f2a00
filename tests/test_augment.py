"""What chance does to a pair: alike to both of its pictures, as the draw says, and nothing unless asked."""

import hashlib

import torch
from making import noise, save_halves

from pix2pix.data import PairedDataset
from pix2pix.data.augment import prepare
from pix2pix.data.loader import PairLoader

CPU = torch.device("cpu")


def test_without_augmentation_batches_are_what_they_always_were(tmp_path):
    """Hashed before there was any augmentation: an older run that is continued must see the same."""
    for i in range(6):
        save_halves(tmp_path / f"train/{i}.png", noise(20, 16, i), noise(20, 16, 100 + i))
    data = PairedDataset.from_folder(tmp_path, load_size=(20, 16)).prepare()
    seen = hashlib.sha256()
    for epoch in (0, 1, 5):
        for batch in PairLoader(data, (12, 9), 4, True, 11).epoch(epoch):
            for part in (*(batch[key] for key in ("input", "target", "flip", "index")), *prepare(batch, CPU)):
                seen.update(part.contiguous().numpy().tobytes())
    assert seen.hexdigest() == "83f83634929d74d94abacd7f5450040ccc7dcc23d59138017ff6ddee4417dd57"
