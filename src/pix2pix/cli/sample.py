"""`pix2pix sample`: translate images with trained weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pix2pix.cli.options import count, device, name
from pix2pix.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pix2pix.cli.options import Verbs
    from pix2pix.config import Config
    from pix2pix.data.index import DatasetIndex


def add_parser(verbs: Verbs) -> argparse.ArgumentParser:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "sample",
        help="translate images with trained weights",
        description="Translate images. Without --input: the val or test pairs of the data that the weights were "
        "trained on.",
    )
    parser.add_argument("--weights", required=True, type=name, metavar="FILE", help="a run's gen.pt or best.pt")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--input", type=name, metavar="FILE|DIR|GLOB", help="images to translate")
    source.add_argument(
        "--data",
        type=name,
        metavar="ROOT",
        help="a folder or a manifest of pairs; also writes a comparison with the targets",
    )
    parser.add_argument("--split", choices=("train", "val", "test"), help="which pairs (val, else test)")
    parser.add_argument(
        "--output",
        type=name,
        metavar="DIR|FILE",
        help="the folder (translated, beside the weights), or for one image its file",
    )
    parser.add_argument("--resize", action="store_true", help="resize to the training size instead of padding")
    parser.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="the most images of one size in a batch (those with the pixels of eight images of 256 x 256)",
    )
    parser.add_argument(
        "--max-pixels", type=count, metavar="N", help="the most pixels that an image may have (data.max_pixels)"
    )
    parser.add_argument("--device", type=device, default="auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    return parser


def run(args: argparse.Namespace) -> int:
    """Translate; return the exit code: 0, or the code of the first image that failed."""
    from pix2pix.runtime.log import info
    from pix2pix.runtime.parallel import let_idle_threads_sleep
    from pix2pix.runtime.signals import Stopped, stop_on_signals

    let_idle_threads_sleep()  # images are read and written while the network runs
    with stop_on_signals() as stop:
        try:
            return _translate(args)
        except Stopped:
            info("stopped; every image that was written is complete")
            return stop.exit_code


def _translate(args: argparse.Namespace) -> int:
    from pix2pix.inference.files import translate_files, translate_split
    from pix2pix.inference.translator import load_generator
    from pix2pix.runtime.log import error, info

    if args.input is not None and args.split is not None:
        raise ConfigError("--split names pairs of a data set; leave it out, or give --data instead of --input")
    translator = load_generator(args.weights, args.device, args.resize)
    if args.max_pixels is not None:
        data = translator.config.data.model_copy(update={"max_pixels": args.max_pixels})
        translator.config = translator.config.model_copy(update={"data": data})
    output = Path(args.output or Path(args.weights).parent / "translated")
    if args.input is None:
        config, index, split = _find_pairs(args, translator.config)
        translated, grid, failed = translate_split(translator, config, split, output, index, args.batch_size)
        info(f"{translated} translations in {output / split}, compared with their targets in {grid}")
    else:
        translated, failed = translate_files(translator, args.input, output, args.batch_size)
        info(f"{translated} translation{'' if output.is_file() else 's'} in {output}")
    for failure in failed:
        error(str(failure))
    return failed[0].exit_code if failed else 0


def _find_pairs(args: argparse.Namespace, config: Config) -> tuple[Config, DatasetIndex, str]:
    """Return the config, index and split to sample from: the data that were given, or those of the training.

    Raises DataError.
    """
    from pix2pix.config import config_from_dict
    from pix2pix.data.index import DatasetIndex, source_label
    from pix2pix.runtime.log import info

    try:
        if args.data is None:
            index = DatasetIndex.scan(config.data)
        else:
            index = DatasetIndex.scan_at(config.data, args.data)
            config = config_from_dict(config.model_dump() | {"data": index.data.model_dump()}, "--data")
        split = args.split or index.evaluation_split
    except DataError as error:
        if args.data is not None or error.code != "missing-root":
            raise
        raise DataError(
            f"{source_label(config.data)}: the data that {args.weights} was trained on was not found; give images with "
            "--input or pairs with --data and --split"
        ) from None
    label = source_label(config.data)
    if split is None:
        raise DataError(f"{label}: has no val and no test split; name one with --split, or give --input")
    if args.data is None:
        info(f"translating the {split} pairs of the data that the weights were trained on: {label}")
    return config, index, split
