"""Options that several verbs share. Imports only what `--help` needs."""

from __future__ import annotations

import argparse
import json
import logging
from typing import TYPE_CHECKING, NoReturn

from pix2pix.text import show_text

if TYPE_CHECKING:
    from pix2pix.config import Config

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


class Parser(argparse.ArgumentParser):
    """A parser that escapes control characters in its errors: the arguments may be untrusted file names."""

    def error(self, message: str) -> NoReturn:
        super().error(show_text(message))


def name(text: str) -> str:
    """Accept the name of a file or a folder. Raises ArgumentTypeError."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("the name is empty or has a null character; give another name")
    return text


def count(text: str) -> int:
    """Accept a number of at least 1. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0; give one such as 100")
    return int(text)


def device(text: str) -> str:
    """Accept the name of a device. Raises ArgumentTypeError."""
    import re

    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?|mps", text):
        raise argparse.ArgumentTypeError(f"unknown device {text!r}; give auto, cpu, cuda, cuda:N or mps")
    return text


def add_verbosity(parser: argparse.ArgumentParser, default: int | str = argparse.SUPPRESS) -> None:
    """Add --quiet and --verbose, which set `level`, the lowest level of `logging` that is shown.

    The parsers of verbs have no default, so that they do not reset an option that was given before the verb.
    """
    levels = parser.add_mutually_exclusive_group()
    for flag, level, words in (
        ("--quiet", logging.WARNING, "show warnings and errors only, and no progress bars"),
        ("--verbose", logging.DEBUG, "show details too"),
    ):
        levels.add_argument(flag, dest="level", action="store_const", const=level, default=default, help=words)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config, --set and --data, which `config_from` reads."""
    words = "a YAML file, or the name of a shipped config (own, which fits the data)"
    parser.add_argument("--config", type=name, metavar="FILE|NAME", help=words)
    add_data(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --set and --data."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. data.flip=true")
    parser.add_argument("--data", type=name, metavar="ROOT", help="the folder or the manifest of pairs (data.root)")


def overrides_from(args: argparse.Namespace, **flags: str | None) -> list[str]:
    """Return the overrides of --set and --data, and those of `flags`, None meaning none; the last one wins."""
    flags["data.root"] = args.data
    overrides: list[str] = args.set + [
        f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None
    ]
    return overrides


def config_from(args: argparse.Namespace, **flags: str | None) -> Config:
    """Read the config that --config, --set and --data describe; `flags` are further overrides. Raises ConfigError."""
    from pix2pix.config import locate_config, read_config
    from pix2pix.runtime.log import info

    path, source = locate_config(args.config)
    if not getattr(args, "json", False):  # --json prints one object and nothing else
        info(f"config {path} ({source})")
    overrides = overrides_from(args, **flags)
    config = read_config(path, overrides, needs_source=True)
    if args.data is not None and config.data.layout == "synthetic":  # drawn pairs need no folder, and --data names one
        config = read_config(path, [*overrides, "data.layout=auto"], needs_source=True)
    return config
