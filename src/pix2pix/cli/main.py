"""Run the verb of a command line, and turn errors into exit codes."""

import argparse
import logging
import os
import sys
import time

from pix2pix._version import __version__
from pix2pix.cli import benchmark, check, configs, download, sample, train
from pix2pix.cli.options import Parser, add_verbosity
from pix2pix.errors import ConfigError, Pix2PixError, is_out_of_memory
from pix2pix.runtime.log import error, fill_missing_streams, is_first_rank, to_console, warning

_VERBS = {
    "train": train,
    "check": check,
    "sample": sample,
    "download": download,
    "configs": configs,
    "benchmark": benchmark,
}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line; `verb` in its result is the verb."""
    parser = Parser(prog="pix2pix", description="Train a network that translates images, from pairs of images.")
    parser.add_argument("--version", action="version", version=f"pix2pix {__version__}")
    add_verbosity(parser, default=logging.INFO)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in _VERBS.values():
        add_verbosity(verb.add_parser(verbs))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code (see errors.py). A wrong command line raises SystemExit(2)."""
    fill_missing_streams()
    args = build_parser().parse_args(argv)
    with to_console(args.level):
        try:
            _require_directory()
            code: int = _VERBS[args.verb].run(args)
            return code
        except Pix2PixError as failure:
            return _report(failure)
        except KeyboardInterrupt:
            warning("interrupted; every file that was written is complete")
            return 130
        except Exception as failure:
            if is_out_of_memory(failure):
                error(
                    "out of memory; lower data.batch_size, data.image_size or model.generator.base_channels, or set "
                    "data.cache=off"
                )
                return ConfigError.exit_code
            return _report_bug(failure)


def _require_directory() -> None:
    """Raise ConfigError where the current directory was deleted: torch cannot be imported there."""
    try:
        os.getcwd()
    except OSError as failure:
        raise ConfigError(
            f"the current directory cannot be found ({failure.strerror}); it may be deleted: change to another one"
        ) from None


def _report(failure: Pix2PixError) -> int:
    """Log an error. A ConfigError is the same on all ranks of a machine, so only one of them logs it."""
    if type(failure) is ConfigError and not is_first_rank() and os.environ.get("LOCAL_RANK") != "0":
        time.sleep(1)  # torchrun ends all ranks once one has ended: let the first rank log the error before that
    else:
        error(str(failure).split("\n"))
    return failure.exit_code


def _report_bug(failure: Exception) -> int:
    """Write the traceback to a file and log its path; print the traceback instead if PIX2PIX_DEBUG is 1."""
    import tempfile
    import traceback

    if os.environ.get("PIX2PIX_DEBUG") == "1":
        traceback.print_exception(failure, file=sys.stderr)
        return 1
    handle, path = tempfile.mkstemp(prefix="pix2pix-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(failure, file=file)
    error(f"a bug in pix2pix ({failure!r}); please report it with {path}")
    return 1
