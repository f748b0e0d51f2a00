"""`pix2pix check`: look at a data set before training."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from pix2pix.cli.options import add_config, config_from, name
from pix2pix.cli.output import show
from pix2pix.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pix2pix.cli.options import Verbs


def add_parser(verbs: Verbs) -> argparse.ArgumentParser:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "check",
        help="look at a data set before training",
        description="Look at every pair of a data set and report problems, the worst first. "
        "Exit code 3: training would fail.",
    )
    add_config(parser, required=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead, with every file")
    parser.add_argument("--preview", type=name, metavar="SHEET.png", help="draw pairs as the networks see them")
    return parser


def run(args: argparse.Namespace) -> int:
    """Check a data set and print the report; return the exit code."""
    from pix2pix.check import check
    from pix2pix.config import config_from_dict

    if args.config is None and args.data is None:
        raise ConfigError("there is no data set to check; give --data ROOT, or --config FILE|NAME")
    data = {"data": {"root": args.data}}
    config = config_from(args) if args.config is not None else config_from_dict(data, "--data", args.set)
    report = check(config, args.preview)
    show(json.dumps(report.to_dict(), indent=2) if args.json else str(report))
    return DataError.exit_code if report.fails else 0
