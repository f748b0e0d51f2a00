"""Small networks learn every kind of picture, judged on unseen pairs: python scripts/kinds.py [--only NAME].

Each case writes drawn facades as files of its kind, trains with `pix2pix.Trainer` for a fixed budget, and has to get
below the L1 of the per-pixel median of the training targets, on held-out pairs. L1 is in [-1, 1] units as the networks
see it, of labels over their one-hot channels. Exit 1 where a case fails.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pix2pix import Trainer
from pix2pix.config import config_from_dict
from pix2pix.data import draw_pair
from pix2pix.data.augment.apply import to_networks
from pix2pix.data.dataset import open_eval_split
from pix2pix.data.images.files import write_image
from pix2pix.datasets.synthetic.draw import CLASSES, PALETTE

TRAIN, VAL = 240, 24
SIZE = (64, 64)
Pictures = dict[str, np.ndarray]  # the pictures of a pair by their folder, [H, W, C]

# The 12 classes as 8: cornices, sills, decorations and moldings are one, and so are doors and shops.
EIGHT = np.array([0, 1, 2, 3, 4, 4, 5, 6, 4, 4, 7, 3], np.uint8)


@dataclass(frozen=True)
class Case:
    """How the pictures of a pair are made from (photograph, label map), both uint8 [H, W, 3], and how to train."""

    what: str
    make: Callable[[np.ndarray, np.ndarray], Pictures]
    data: dict = field(default_factory=dict)
    size: Callable[[int], tuple[int, int]] = lambda index: SIZE
    epochs: int = 8


def classes_of(labels: np.ndarray) -> np.ndarray:
    """The id of each pixel, [H, W]."""
    return (labels[:, :, None] == PALETTE).all(-1).argmax(-1)


def grey(photo: np.ndarray, top: int) -> np.ndarray:
    """[H, W, 1], 0 to `top`."""
    return (photo.mean(-1, keepdims=True) * (top / 255)).round().astype(np.uint8 if top < 256 else np.uint16)


def with_alpha(photo: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """RGBA, each class of another opacity."""
    opacity = np.linspace(40, 255, len(CLASSES)).astype(np.uint8)
    return np.dstack([photo, opacity[classes_of(labels)]])


def edges(labels: np.ndarray) -> np.ndarray:
    """[H, W, 1], white where a class ends."""
    ids = np.pad(classes_of(labels), (0, 1), "edge")
    ends = (ids[:-1, :-1] != ids[1:, :-1]) | (ids[:-1, :-1] != ids[:-1, 1:])
    return ends[..., None] * np.uint8(255)


def depth(labels: np.ndarray) -> np.ndarray:
    """[H, W, 1], how far each class stands out."""
    return (classes_of(labels)[..., None] * (255 // (len(CLASSES) - 1))).astype(np.uint8)


def other_size(index: int) -> tuple[int, int]:
    """A size of its own for each pair, some smaller than the crop."""
    return 56 + 8 * (index % 5), 56 + 8 * (index % 7)


CASES = {
    "rectangular": Case(
        "label map -> photo, 256x384",
        lambda p, m: {"input": m, "target": p},
        {"image_size": [256, 384]},
        lambda _: (256, 384),
        epochs=3,
    ),
    "grey": Case("label map -> grey photo, 8-bit", lambda p, m: {"input": m, "target": grey(p, 255)}),
    "rgba": Case("label map -> photo and alpha", lambda p, m: {"input": m, "target": with_alpha(p, m)}),
    "labels": Case(
        "photo -> labels of 8 classes",
        lambda p, m: {"input": p, "target": EIGHT[classes_of(m)][..., None]},
        {"target_format": {"kind": "labels"}},
        epochs=14,
    ),
    "native": Case(
        "label map -> photo, of many sizes", lambda p, m: {"input": m, "target": p}, {"load_size": "native"}, other_size
    ),
    "deep": Case("label map -> grey photo, 16-bit", lambda p, m: {"input": m, "target": grey(p, 65535)}),
    "stacked": Case(
        "edges and depth -> photo",
        lambda p, m: {"edges": edges(m), "depth": depth(m), "photo": p},
        {"input": ["edges", "depth"], "target": "photo"},
    ),
}


def write_pairs(case: Case, root: Path) -> None:
    """Two splits of drawn facades; labels as palette pictures."""
    is_labels = case.data.get("target_format", {}).get("kind") == "labels"
    for split, start, count in (("train", 0, TRAIN), ("val", 10_000, VAL)):
        for index in range(count):
            for folder, pixels in case.make(*draw_pair(start + index, size=case.size(index))).items():
                palette = PALETTE[:8] if is_labels and folder == "target" else None
                write_image(root / split / folder / f"{index:04d}.png", pixels, palette)


def trained(case: Case, folder: Path) -> Trainer:
    """The trainer at the end of its run in `folder`/run."""
    small = {"base_channels": 16, "norm": "instance_affine"}
    settings = {
        "data": {"root": str(folder / "data"), "image_size": SIZE[0], "batch_size": 4, "cache": "memory"} | case.data,
        "model": {"generator": {"name": "unet"} | small, "discriminator": {"name": "patchgan"} | small},
        "optimizer": {"lr": 4e-4},
        "schedule": {"epochs": case.epochs, "decay_epochs": case.epochs // 3},
        "run": {"output": str(folder / "run"), "device": "cpu", "sample_every_epochs": case.epochs},
    }
    trainer = Trainer(config_from_dict(settings, "kinds.py"))
    trainer.fit()
    return trainer


def tensors(trainer: Trainer, split: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a whole split, [N, C, H, W] in [-1, 1]."""
    formats = trainer.formats
    pairs = open_eval_split(trainer.config.data, split, formats=formats).prepare()
    made = [to_networks({key: pairs[i][key][None] for key in formats.parts}, formats) for i in range(len(pairs))]
    return tuple(torch.cat(side) for side in zip(*made, strict=True))


def judge(trainer: Trainer) -> tuple[dict[str, float | None], str]:
    """The L1 on held-out pairs of the generator, the median target and copying the input; and of labels, how many
    pixels the generator and the commonest class a pixel get right."""
    _, seen = tensors(trainer, "train")
    x, y = tensors(trainer, "val")
    fake = torch.cat([trainer.networks.translate(one[None]) for one in x])
    guesses = {"generator": fake, "median": seen.median(0).values, "copying": x if x.shape == y.shape else None}
    scores = {name: None if guess is None else (guess - y).abs().mean().item() for name, guess in guesses.items()}
    if trainer.formats.target.kind != "labels":
        return scores, ""
    commonest = seen.mean(0).argmax(0)
    right = [(ids == y.argmax(1)).float().mean().item() for ids in (fake.argmax(1), commonest)]
    return scores, "pixels right {:.3f}, commonest class {:.3f}".format(*right)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--output", type=Path, help="keeps the data and the runs there")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in [args.only] if args.only else CASES:
            start, folder = time.monotonic(), (args.output or Path(temporary)) / name
            write_pairs(CASES[name], folder / "data")
            trainer = trained(CASES[name], folder)
            rows.append((name, *judge(trainer), trainer.state.step, time.monotonic() - start))
    print(f"{'case':<12} {'what':<36} steps seconds  generator median copying")
    for name, scores, note, steps, seconds in rows:
        columns = " ".join(f"{'-' if score is None else format(score, '.4f'):>7}" for score in scores.values())
        verdict = "ok" if scores["generator"] < scores["median"] else "FAILED"
        print(f"{name:<12} {CASES[name].what:<36} {steps:>5} {seconds:>7.0f}  {columns}  {verdict}  {note}".rstrip())
    return any(scores["generator"] >= scores["median"] for _, scores, *_ in rows)


if __name__ == "__main__":
    sys.exit(main())
