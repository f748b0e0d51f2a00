"""Record and compare golden runs: a refactoring must not change a single bit of what training computes.

    python scripts/golden_runs.py record golden.json      # before a change
    python scripts/golden_runs.py compare golden.json     # after it, on the same machine

Each run trains tiny networks for at least ten steps through the command line. Recorded are the losses of every step and
a SHA-256 of all weights, EMA weights and optimizer states of the last checkpoint. Exits with 1 if a run differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # sums depend on the number of threads

import numpy as np
import torch
from PIL import Image

STEPS = 10
SMALL = {
    "data.image_size": 32,
    "data.load_size": 36,
    "data.batch_size": 2,
    "data.workers": 0,
    "data.cache": "memory",
    "data.input_format.kind": "image",
    "data.target_format.kind": "image",
    "model.generator.base_channels": 4,
    "model.discriminator.base_channels": 4,
    "schedule.epochs": 1,
    "schedule.decay_epochs": 0,
    "run.log_every_steps": 1,
    "run.device": "cpu",
    "run.precision": "fp32",
}
DRAWN = {"data.synthetic.val": 1, "data.synthetic.test": 1}
DISCRIMINATOR = {"model.discriminator.n_layers": 2}


def _norm(name: str) -> dict[str, object]:
    return {"model.generator.norm": name, "model.discriminator.norm": name, **DISCRIMINATOR}


# Name: shipped config, its settings beside SMALL, ranks. `data.root` "images", "labels" or "native" is made here.
RUNS: dict[str, tuple[str, dict[str, object], int]] = {
    "paper": (
        "facades_paper",
        {"data.root": "images", "data.batch_size": 1, "model.generator.dropout_up": [4], **DISCRIMINATOR},
        1,
    ),
    "tutorial": (
        "facades_tutorial",
        {
            "data.root": "images",
            "data.load_size": 32,
            "model.generator.dropout_down": [4, 5],
            "model.generator.dropout_up": [5, 4],
            "model.discriminator.n_layers": 3,
        },
        1,
    ),
    "generator-first": ("demo", {"schedule.update_order": "generator-first", **_norm("instance_affine")}, 1),
    "batch-norm": ("demo", _norm("batch"), 1),
    "instance-norm": ("demo", _norm("instance"), 1),
    "no-norm": ("demo", _norm("none"), 1),
    "accumulation": (
        "demo",
        {"data.batch_size": 4, "optimizer.accumulation_steps": 2, **_norm("instance_affine")},
        1,
    ),
    "two-ranks": ("demo", {"data.batch_size": 4, **_norm("instance_affine")}, 2),
    "ema": ("demo", {"run.ema": 0.9, **_norm("instance_affine")}, 1),
    "bf16": ("demo", {"run.precision": "bf16", **_norm("instance_affine")}, 1),
    "resnet": (
        "demo",
        {
            "model.generator.name": "resnet",
            "model.generator.blocks": 6,
            "model.generator.dropout": 0.5,
            "loss.adversarial": "hinge",
            **DISCRIMINATOR,
        },
        1,
    ),
    "labels": (
        "demo",
        {
            "data.root": "labels",
            "data.layout": "auto",
            "data.input_format.kind": "labels",
            "data.input_format.classes": 5,
            **_norm("instance_affine"),
        },
        1,
    ),
    "native": (
        "demo",
        {"data.root": "native", "data.layout": "auto", "data.load_size": "native", **_norm("instance_affine")},
        1,
    ),
    "augmented": (
        "demo",
        {
            "data.flip": True,
            "data.augment.flip_vertical": True,
            "data.augment.quarter_turns": True,
            "data.augment.rotation": 10,
            "data.augment.scale": [0.9, 1.2],
            "data.augment.brightness": 0.2,
            "data.augment.contrast": 0.2,
            "data.augment.saturation": 0.2,
            "data.augment.hue": 0.1,
            "model.discriminator.name": "pixel",
            "schedule.decay_epochs": 1,
            "schedule.epochs": 2,
        },
        1,
    ),
}


def _smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random uint8 picture [H, W, 3] of a few blocks."""
    blocks = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST))


def make_data(folder: Path) -> None:
    """Writes the three data sets as two folders input and target of 20 training and 2 validation pairs."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels", "native"):
        for split, count in (("train", 20), ("val", 2)):
            sides = ("a", "b") if name == "images" else ("input", "target")
            for side in sides:
                (folder / name / split / side).mkdir(parents=True)
            for number in range(count):
                size = (33 + number % 9, 34 + number % 7) if name == "native" else (40, 40)
                first, second = _smooth(rng, *size), _smooth(rng, *size)
                if name == "labels":
                    first = first[..., 0] // 52
                Image.fromarray(first).save(folder / name / split / sides[0] / f"{number}.png")
                Image.fromarray(second).save(folder / name / split / sides[1] / f"{number}.png")


def _digest(state: dict) -> str:
    digest = hashlib.sha256()

    def add(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                add(f"{name}.{key}", value[key])
        elif isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(
                value.contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else repr(value).encode()
            )

    for part in ("generator", "discriminator", "ema"):
        add(part, state.get(part, {}))
    for part in ("generator_optimizer", "discriminator_optimizer"):
        add(part, state[part]["state"])
    return digest.hexdigest()


def train(name: str, folder: Path) -> dict[str, object]:
    """Trains one run below `folder` and returns its losses by step and the digest of its state."""
    config, settings, ranks = RUNS[name]
    settings = SMALL | settings
    if config == "demo":
        settings = {"data.direction": "b2a"} | settings
    if "data.root" in settings:
        settings["data.root"] = str(folder / settings["data.root"])
        settings["data.direction"] = "b2a" if name in ("paper", "tutorial") else None
    else:
        settings |= DRAWN
    pairs = STEPS * settings["data.batch_size"] // settings["schedule.epochs"]
    settings["data.synthetic.train"] = pairs
    output = folder / f"run-{name}"
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command = ["train", "--config", config, *flags, "--output", str(output)]
    launcher = [sys.executable, "-m"]
    if ranks > 1:
        launcher += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), "-m"]
    done = subprocess.run([*launcher, "pix2pix", *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    losses = {
        str(record["step"]): {key: value for key, value in record.items() if key[:2] in ("d/", "g/")}
        for record in records
        if "g/l1" in record
    }
    newest = max((output / "checkpoints").glob("step_*"))
    state = torch.load(newest / "state.pt", weights_only=True)
    return {"steps": len(losses), "losses": losses, "sha256": _digest(state)}


def main() -> int:
    """Records or compares every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", nargs="+", choices=[*RUNS], default=[*RUNS], metavar="RUN", help=", ".join(RUNS))
    args = parser.parse_args()
    golden = json.loads(args.file.read_text()) if args.action == "compare" else {}
    different = 0
    with tempfile.TemporaryDirectory(prefix="pix2pix-golden-") as folder:
        os.environ["PIX2PIX_CACHE"] = f"{folder}/cache"
        make_data(Path(folder))
        for name in args.only:
            found = train(name, Path(folder))
            if args.action == "record":
                golden[name] = found
                print(f"{name}: {found['steps']} steps, {found['sha256'][:16]}", flush=True)
                continue
            same = found == golden[name]
            different += not same
            print(f"{name}: {'identical' if same else 'DIFFERENT'}", flush=True)
    if args.action == "record":
        args.file.write_text(json.dumps(golden, indent=1) + "\n")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
