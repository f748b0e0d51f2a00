"""`pix2pix train`: train a run, or resume it."""

from __future__ import annotations

import argparse
import shlex
import time
from typing import TYPE_CHECKING

from pix2pix.cli.options import add_config, config_from, device, name, overrides_from
from pix2pix.cli.own import complete, explain, find_recipe
from pix2pix.errors import DataError

if TYPE_CHECKING:
    from pix2pix.cli.options import Verbs
    from pix2pix.config import Config


def add_parser(verbs: Verbs) -> argparse.ArgumentParser:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "train",
        help="train a run, or resume it",
        description="Train with a config, or without one, with settings chosen from the files of --data. "
        "The same command again resumes where the run stopped.",
    )
    add_config(parser)
    parser.add_argument("--output", type=name, metavar="DIR", help="the run folder (run.output)")
    parser.add_argument("--device", type=device, metavar="D", help="auto, cpu, cuda, cuda:N or mps (run.device)")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="fail unless a checkpoint exists")
    start.add_argument("--fresh", action="store_true", help="move an earlier run to <output>.old-N and start again")
    words = "run 28 steps, print where their time goes, write a trace to profile.json in the run folder, and stop"
    parser.add_argument("--profile", action="store_true", help=words)
    parser.add_argument(
        "--allow-changed",
        action="append",
        default=[],
        type=name,
        metavar="KEY",
        help="resume although this key or section differs from the earlier run's; `data` also allows other pairs",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Train; return the exit code."""
    from pix2pix.runtime.memory import retain_freed_memory
    from pix2pix.runtime.signals import stop_on_signals

    retain_freed_memory()  # saves 5 to 10 % of a step on a CPU
    with stop_on_signals() as stop:  # before torch is imported, which takes seconds
        config = _read_config(args)
        from pix2pix.runtime.distributed import process_group

        with process_group():
            finished = _fit(config, args)
        return 0 if finished else stop.exit_code


def _read_config(args: argparse.Namespace) -> Config:
    """Return the config of --config, or the completed recipe `own`. Raises ConfigError and DataError."""
    from pix2pix.runtime.log import info

    flags = {"run.output": args.output, "run.device": args.device}
    recipe = find_recipe(args, "train on")
    if recipe is None:
        return config_from(args, **flags)
    completed = complete(recipe, overrides_from(args, **flags), None if args.fresh else _earlier_config)
    info(explain(completed))
    return completed.config


def _earlier_config(config: Config) -> Config | None:
    """Return the config of the run that would be resumed, or None."""
    from pix2pix.config import load_config
    from pix2pix.training.run_dir import CONFIG, has_checkpoint, run_path

    path = run_path(config) / CONFIG
    return load_config(path) if path.exists() and has_checkpoint(config) else None


def _fit(config: Config, args: argparse.Namespace) -> bool:
    # In a separate function, so that the trainer, which refers to the process group, is freed before the group.
    from pix2pix.runtime.distributed import rank, stopped_together
    from pix2pix.runtime.log import info
    from pix2pix.runtime.signals import Stopped
    from pix2pix.training.run_dir import has_checkpoint
    from pix2pix.training.trainer import Trainer

    profiled = None
    if args.profile:
        from pix2pix.training.profile import ProfiledTrainer

        profiled = ProfiledTrainer(config)
    trainer = profiled or Trainer(config)
    try:
        with stopped_together():
            if rank() == 0 and (args.fresh or not has_checkpoint(config)):  # the ranks compare their data later
                _check_sample(config, args)
    except Stopped:
        info("stopped with nothing to save; the same command starts again")
        return False
    finished = trainer.fit(args.resume, args.fresh, args.allow_changed)
    return finished or (profiled is not None and profiled.complete)


def _check_sample(config: Config, args: argparse.Namespace) -> None:
    """Print the warnings of `check` about a sample of the pairs. Raises its first error as a DataError, and Stopped."""
    from pix2pix.check import check_sample
    from pix2pix.runtime.log import debug, warning

    start = time.perf_counter()
    report = check_sample(config.data)
    debug(f"checked {report.checked} of {report.pairs} pairs in {time.perf_counter() - start:.2f} s")
    command = _check_command(args)
    for finding in report.findings:
        if finding.severity == "error":
            raise DataError(
                finding.summary,
                remedy=f"{finding.remedy}; {command} shows more",
                code=finding.code,
            )
    if report.findings:
        warning([f"warning [{finding.code}] {finding.summary}; {finding.remedy}" for finding in report.findings])
        warning(f"this is what {report.checked} of {report.pairs} pairs show; {command} shows more")


def _check_command(args: argparse.Namespace) -> str:
    """Return the command that checks all pairs of this run."""
    words = ["pix2pix", "check"]
    for flag, values in (("--config", [args.config]), ("--data", [args.data]), ("--set", args.set)):
        words += [word for value in values if value is not None for word in (flag, shlex.quote(value))]
    return " ".join(words)
