"""`pix2pix check`: look at a data set before training."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from typing import TYPE_CHECKING

from pix2pix.cli.options import add_config, config_from, count, name, overrides_from
from pix2pix.cli.output import show
from pix2pix.cli.own import complete_for_check, find_recipe
from pix2pix.errors import DataError

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
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead, with every file")
    parser.add_argument("--limit", type=count, metavar="N", help="read N pairs of each split, evenly spread")
    parser.add_argument("--preview", type=name, metavar="SHEET.png", help="draw pairs as the networks see them")
    return parser


def run(args: argparse.Namespace) -> int:
    """Check a data set and print the report; return the exit code."""
    from pix2pix.check import check

    recipe = find_recipe(args, "check")
    config = config_from(args) if recipe is None else complete_for_check(recipe, overrides_from(args))
    report = check(config, args.preview, args.limit)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # a file or a program gets all of it
    show(json.dumps(report.to_dict(), indent=2) if args.json else report.to_text(width))
    return DataError.exit_code if report.fails else 0
