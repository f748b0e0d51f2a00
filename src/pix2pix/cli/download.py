"""`pix2pix download`: fetch a published data set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pix2pix.cli.options import name
from pix2pix.datasets.catalogue import names

if TYPE_CHECKING:
    from pix2pix.cli.options import Verbs


def add_parser(verbs: Verbs) -> argparse.ArgumentParser:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "download",
        help="fetch a data set",
        description="Fetch a data set and check it. The same command again resumes an interrupted download.",
    )
    parser.add_argument("name", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--output", type=name, default="data", metavar="DIR", help="where its folder goes (data)")
    parser.add_argument("--url", help="fetch from another address")
    parser.add_argument(
        "--from", type=name, dest="source", metavar="DIR", help="cityscapes: where you unzipped what you fetched"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Fetch the data set; return the exit code."""
    from pix2pix.datasets.download import download

    download(args.name, args.output, args.url, args.source)
    return 0
