"""The notebook's walk in our library: preview a pair, train, Loss Progress, save, reload, eight pairs in eval mode.

python scripts/tutorial.py --config facades_tutorial        (add --set schedule.epochs=1 for a first look)
"""

import argparse
from pathlib import Path

import torch

from pix2pix import Trainer, load_config
from pix2pix.data.augment.apply import to_float, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.images.files import write_image
from pix2pix.models import inference
from pix2pix.models.build import build_generator
from pix2pix.visualization import comparison_grid, titles


def picture(image: torch.Tensor):
    """uint8 [3, H, W] as the array [H, W, 3] that a file holds."""
    return image.permute(1, 2, 0).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="facades_tutorial")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()

    # The data: pairs of one size, a preview of the first (8-bit pixels; the network sees x / 127.5 - 1).
    config = load_config(args.config, args.set)
    walk = Path(config.run.output).with_name(f"{Path(config.run.output).name}-walk")
    pairs = open_split(config.data, "train", config.data.crop)
    first = pairs[0]
    write_image(
        walk / "preview.png",
        comparison_grid([[picture(first["input"]), picture(first["target"])]], ("input", "target")),
    )

    # Training: the losses go to metrics.jsonl, and "Loss Progress" is drawn to loss.png.
    trainer = Trainer(config)
    trainer.fit()
    print(f"Loss Progress: {Path(config.run.output) / 'loss.png'}")

    # Saving both networks as plain state dicts, and loading the generator back into a new one.
    torch.save(trainer.generator.state_dict(), walk / "weights_gen.pt")
    torch.save(trainer.discriminator.state_dict(), walk / "weights_dis.pt")
    generator = build_generator(config)
    generator.load_state_dict(torch.load(walk / "weights_gen.pt", weights_only=True, map_location="cpu"))

    # Eight training pairs, real and generated, the generator in eval mode.
    rows = []
    for pair in (pairs[i] for i in range(min(8, len(pairs)))):
        with inference(generator):
            fake = to_pixels(generator(to_float(pair["input"][None])))[0]
        rows.append([picture(image) for image in (pair["input"], fake, pair["target"])])
    write_image(walk / "eight_pairs.png", comparison_grid(rows, titles()))
    print(f"preview, weights and eight pairs: {walk}")


if __name__ == "__main__":  # loader workers import this file again where they cannot fork
    main()
