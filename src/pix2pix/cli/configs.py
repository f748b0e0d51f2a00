"""`pix2pix configs`: list, print and copy the shipped configs, make one for a data set, and print the schema."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pix2pix.cli.options import add_data, add_verbosity, name, overrides_from
from pix2pix.cli.output import show
from pix2pix.cli.own import describe, find_recipe
from pix2pix.errors import CheckpointError

if TYPE_CHECKING:
    from pix2pix.cli.options import Verbs


def add_parser(verbs: Verbs) -> argparse.ArgumentParser:
    """Add the verb, its actions and their options."""
    parser = verbs.add_parser(
        "configs", help="the shipped configs and the schema", description="Look at the shipped configs."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    parsers = {
        action: actions.add_parser(action, help=words)
        for action, words in {
            "list": "name every shipped config",
            "show": "print one",
            "copy": "write one to a file, to change it",
            "make": "print one for the pairs of --data, with the reason of each value",
            "schema": "print the JSON schema, for editors",
        }.items()
    }
    for action in ("show", "copy"):
        parsers[action].add_argument("name", metavar="NAME")
    parsers["copy"].add_argument("--output", type=name, metavar="FILE", help="the file (NAME.yaml in this folder)")
    add_data(parsers["make"])
    parsers["make"].set_defaults(config=None)
    for action_parser in parsers.values():
        add_verbosity(action_parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the action; return the exit code."""
    from pix2pix.config import config_schema, locate_config, shipped_configs

    if args.action == "list":
        for config, path in shipped_configs().items():
            heading = path.read_text(encoding="utf-8").splitlines()[0]
            show(f"{config:<18}{heading.lstrip('# ')}")
        return 0
    if args.action == "schema":
        show(json.dumps(config_schema(), indent=2))
        return 0
    if args.action == "make":
        recipe = find_recipe(args, "make a config for")
        assert recipe is not None
        show(describe(recipe, overrides_from(args)), end="")
        return 0
    path, _ = locate_config(args.name)
    text = path.read_text(encoding="utf-8")
    if args.action == "show":
        show(text, end="")
    else:
        _copy(text, Path(args.output or path.name))
    return 0


def _copy(text: str, target: Path) -> None:
    """Write a file that does not exist yet. Raises CheckpointError."""
    from pix2pix.runtime.io import writing
    from pix2pix.runtime.log import info

    with writing(target):
        try:
            with open(target, "x", encoding="utf-8") as file:  # no link is followed
                file.write(text)
        except FileExistsError:
            raise CheckpointError(f"{target}: already exists; remove it or give another name with --output") from None
    info(f"wrote {target}; train with: pix2pix train --config {target if os.sep in str(target) else f'./{target}'}")
