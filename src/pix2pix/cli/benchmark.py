"""`pix2pix benchmark`: compare the speed of training and sampling with a plain implementation."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pix2pix.cli.options import count, device, name
from pix2pix.cli.output import show

if TYPE_CHECKING:
    from pix2pix.cli.options import Verbs


def add_parser(verbs: Verbs) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser = verbs.add_parser(
        "benchmark",
        help="compare the speed with that of the plain way on this machine",
        description="Compare the speed of training steps, loading, epochs and sampling with a plain implementation "
        "of the same recipe, on drawn facades.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="batch sizes 1 and 4 only, in under 3 minutes on two cores"
    )
    parser.add_argument("--batch-size", type=count, nargs="+", metavar="N", help="(1 4 16 32)")
    parser.add_argument("--size", type=count, default=256, metavar="PIXELS", help="of the images (256)")
    parser.add_argument("--width", type=count, default=64, metavar="N", help="base_channels of both networks (64)")
    parser.add_argument("--pairs", type=count, metavar="N", help="images in an epoch and in the sampling (32)")
    parser.add_argument("--rounds", type=count, metavar="N", help="the most rounds of each comparison (15)")
    parser.add_argument("--threads", type=count, metavar="N", help="threads of PyTorch (one for each core)")
    parser.add_argument("--device", type=device, default="auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--output", type=name, metavar="FILE", help="also write the table to a Markdown file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the benchmark; return the exit code."""
    from pix2pix.runtime.log import info
    from pix2pix.runtime.signals import Stopped, stop_on_signals

    with stop_on_signals() as stop:
        try:
            return _run(args)
        except Stopped:
            info("stopped; nothing was written")
            return stop.exit_code


def _run(args: argparse.Namespace) -> int:
    import torch

    from pix2pix.benchmark.report import benchmark
    from pix2pix.runtime.io import replace_atomically, require_space

    if args.output is not None:
        require_space(Path(args.output), 10_000)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    batches, pairs, rounds, seconds = ([1, 4], 8, 5, 8.0) if args.quick else ([1, 4, 16, 32], 32, 15, 60.0)
    report = benchmark(
        args.batch_size or batches,
        args.size,
        args.width,
        args.pairs or pairs,
        args.rounds or rounds,
        seconds,
        args.device,
    )
    if args.output is not None:
        replace_atomically(Path(args.output), lambda path: path.write_text(f"{report}\n", encoding="utf-8"))
    show(json.dumps(report.to_dict(), indent=2) if args.json else str(report))
    return 0
