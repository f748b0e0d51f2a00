"""L1 of a generator on a split beside what needs no network: python scripts/baselines.py --weights gen.pt --split test.

Baselines: copying the input; the per-pixel median target of the training split; and, where the inputs are exact label
maps, the best colour a class (its median over the training split). L1 is in [-1, 1] units, at the training size.
"""

import argparse

import numpy as np

from pix2pix import load_generator
from pix2pix.config import config_from_dict
from pix2pix.data.dataset import PairedDataset, open_split

MOST_CLASSES = 64


def arrays(dataset: PairedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Every (input, target) of a data set, uint8 [N, H, W, 3] each."""
    pairs = [dataset[i] for i in range(len(dataset))]
    return tuple(np.stack([p[key].permute(1, 2, 0).numpy() for p in pairs]) for key in ("input", "target"))


def l1(image: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute difference in [-1, 1] units of two uint8 arrays."""
    return float(np.abs(image.astype(np.float32) - target).mean() / 127.5)


def codes(labels: np.ndarray) -> np.ndarray:
    """Each pixel's colour as one number."""
    return (labels.astype(np.int64) * (1 << 16, 1 << 8, 1)).sum(-1)


def class_colours(labels: np.ndarray, targets: np.ndarray, test_labels: np.ndarray) -> np.ndarray | None:
    """The test label maps painted with each class's median training colour, or None where inputs are no label maps."""
    train, test = codes(labels), codes(test_labels)
    classes = np.unique(train)
    if len(classes) > MOST_CLASSES:
        return None
    painted = np.broadcast_to(np.median(targets, axis=(0, 1, 2)), test_labels.shape).copy()  # for a class never seen
    for colour in classes:
        painted[test == colour] = np.median(targets[train == colour], axis=0)
    return painted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", help="the folder of pairs, where it is not where the weights say")
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    translator = load_generator(args.weights)
    config = translator.config
    if args.data:
        data = config.data.model_dump(mode="json") | {"root": args.data, "layout": "auto"}
        config = config_from_dict(config.model_dump(mode="json") | {"data": data}, "--data")
    train_inputs, train_targets = arrays(open_split(config.data, "train", config.data.crop).prepare())
    inputs, targets = arrays(open_split(config.data, args.split, config.data.crop).prepare())
    results = {
        "generator": np.stack([translator.translate(image) for image in inputs]),
        "copying the input": inputs,
        "median photograph": np.median(train_targets, axis=0),
        "best colour a class": class_colours(train_inputs, train_targets, inputs),
    }
    scores = {name: l1(image, targets) for name, image in results.items() if image is not None}
    for name, score in scores.items():
        print(f"{name:<20} L1 {score:.4f}   generator / this {scores['generator'] / score:.3f}")


if __name__ == "__main__":
    main()
