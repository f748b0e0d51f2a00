"""The command line: parses, calls one function of a lower room, prints. Heavy imports are made inside the verbs."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from pix2pix.cli.arguments import parser
from pix2pix.errors import CheckpointError, ConfigError, Pix2PixError, is_out_of_memory


def _train(args: argparse.Namespace) -> int:
    from pix2pix.runtime.signals import stop_on_signals

    with stop_on_signals() as stop:  # before torch is imported, which takes seconds
        from pix2pix.config import locate_config
        from pix2pix.runtime.distributed import process_group
        from pix2pix.runtime.log import info

        path, kind = locate_config(args.config)
        info(f"config {path} ({kind})")
        with process_group():
            finished = _fit(args)
        return 0 if finished else stop.exit_code


def _fit(args: argparse.Namespace) -> bool:
    """The trainer, and what it holds of the other ranks, is gone when this ends."""
    from pix2pix.training.trainer import Trainer

    return Trainer(_train_config(args)).fit(args.resume, args.fresh, args.allow_changed)


def _train_config(args: argparse.Namespace):
    from pix2pix.config import load_config

    flags = {"run.output": args.output, "run.device": args.device, "data.root": args.data}
    overrides = args.set + [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]
    if args.data is not None:  # a config of drawn facades has a layout without a folder
        drawn = load_config(args.config, overrides).data.layout == "synthetic"
        overrides += ["data.layout=auto"] * drawn
    return load_config(args.config, overrides)


def _sample(args: argparse.Namespace) -> int:
    from pix2pix.runtime.log import info
    from pix2pix.runtime.signals import Stopped, stop_on_signals

    with stop_on_signals() as stop:
        try:
            return _translate(args)
        except Stopped:
            info("stopped; every picture that was written is whole")
            return stop.exit_code


def _translate(args: argparse.Namespace) -> int:
    from pix2pix.inference.files import translate_files, translate_split
    from pix2pix.inference.translator import load_generator
    from pix2pix.runtime.log import info, warning

    if args.input is not None and args.split is not None:
        raise ConfigError("--split names pairs of a data set; leave it out, or give --data instead of --input")
    translator = load_generator(args.weights, args.device, args.resize)
    output = Path(args.output or Path(args.weights).parent / "translated")
    if args.input is None:
        config, split = _sample_data(args, translator.config)
        count, grid, failed = translate_split(translator, config, split, output)
        info(f"{count} translations in {output / split}, compared with their targets in {grid}")
    else:
        count, failed = translate_files(translator, args.input, output)
        info(f"{count} translations in {output}")
    for error in failed:
        warning(f"error: {error}")
    return failed[0].exit_code if failed else 0


def _sample_data(args: argparse.Namespace, config):
    """The data and the split to sample from: as given, else what the weights were trained on."""
    from pix2pix.config import config_from_dict
    from pix2pix.data.dataset import validation_split
    from pix2pix.data.discovery.layouts import source_label
    from pix2pix.data.pairs import at_another_place, available_splits
    from pix2pix.errors import DataError
    from pix2pix.runtime.log import info

    if args.data is not None:
        data = at_another_place(config.data, args.data)
        config = config_from_dict(config.model_dump() | {"data": data.model_dump()}, "--data")
    try:
        splits = available_splits(config.data)
        split = args.split or validation_split(splits)
    except DataError:
        if args.data is not None or os.path.exists(config.data.root or ""):
            raise
        raise DataError(
            f"{source_label(config.data)}: the data that {args.weights} was trained on is not there; give pictures "
            "with --input or pairs with --data and --split"
        ) from None
    if split is None:
        raise DataError(
            f"{source_label(config.data)}: has no val and no test split; name one with --split, or give --input"
        )
    if args.data is None:
        where = "drawn facades" if config.data.layout == "synthetic" else source_label(config.data)
        info(f"translating the {split} pairs of what the weights were trained on: {where}")
    return config, split


def _show(text: object, end: str = "\n") -> None:
    """Prints what a command was asked for. Raises CheckpointError where it cannot be had."""
    from pix2pix.runtime.log import discard, put

    try:
        put(str(text), sys.stdout, end)
    except OSError as error:
        discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # that is a reader who has seen enough, as `| head` has
            raise CheckpointError(f"stdout cannot be written ({error.strerror}); send it somewhere else") from None


def _check(args: argparse.Namespace) -> int:
    from pix2pix.check import check
    from pix2pix.config import config_from_dict
    from pix2pix.errors import DataError

    if args.config is None and args.data is None:
        raise ConfigError("there is nothing to look at; give --data ROOT, or --config FILE|NAME")
    given = {"data": {"root": args.data}}
    config = _train_config(args) if args.config else config_from_dict(given, "--data", args.set)
    report = check(config, args.preview)
    _show(json.dumps(report.to_dict(), indent=2) if args.json else report)
    return DataError.exit_code if report.fails else 0


def _download(args: argparse.Namespace) -> int:
    from pix2pix.datasets.download import download

    download(args.name, args.output, args.url, args.source)
    return 0


def _configs(args: argparse.Namespace) -> int:
    from pix2pix.config import config_schema, locate_config, shipped_configs

    if args.action == "list":
        for name, path in shipped_configs().items():
            first = path.read_text(encoding="utf-8").splitlines()[0]
            _show(f"{name:<18}{first.lstrip('# ')}")
    elif args.action == "schema":
        _show(json.dumps(config_schema(), indent=2))
    else:
        path, _ = locate_config(args.name)
        text = path.read_text(encoding="utf-8")
        if args.action == "show":
            _show(text, end="")
        else:
            _copy(text, Path(args.output or path.name))
    return 0


def _copy(text: str, target: Path) -> None:
    from pix2pix.runtime.io import writing
    from pix2pix.runtime.log import info

    with writing(target):
        try:
            with open(target, "x", encoding="utf-8") as file:  # no link is followed
                file.write(text)
        except FileExistsError:
            raise CheckpointError(f"{target}: is there already; remove it or give another name with --output") from None
    info(f"wrote {target}; train with: pix2pix train --config {target if os.sep in str(target) else f'./{target}'}")


_VERBS = {"train": _train, "check": _check, "sample": _sample, "download": _download, "configs": _configs}


def _report_bug() -> int:
    """Puts the traceback in a file and names it: 1 is a bug of ours, and this is what we need of it."""
    import tempfile
    import traceback

    from pix2pix.runtime.log import warning

    if os.environ.get("PIX2PIX_DEBUG") == "1":
        traceback.print_exc()
        return 1
    handle, path = tempfile.mkstemp(prefix="pix2pix-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    warning(f"error: a bug in pix2pix ({sys.exc_info()[1]!r}); please report it with {path}")
    return 1


def _report(error: Pix2PixError) -> int:
    """Prints what is wrong. All ranks of a machine find the same wrong with a config: the first of them says it."""
    from pix2pix.runtime.log import is_first_rank, warning

    if type(error) is ConfigError and not is_first_rank() and os.environ.get("LOCAL_RANK") != "0":
        time.sleep(1)  # for the first to say it: once one has left, torchrun ends the others
        return error.exit_code
    lines = str(error).split("\n")
    warning([f"error: {line}" if line == line.lstrip() else line for line in lines])
    return error.exit_code


def _require_directory() -> None:
    """Raises ConfigError where the current directory is deleted, in which torch cannot be loaded either."""
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError(
            f"the current directory cannot be found ({error.strerror}); it may be deleted: change to another one"
        ) from None


def _carry_out(args: argparse.Namespace) -> int:
    from pix2pix.runtime.log import warning

    try:
        _require_directory()
        return _VERBS[args.verb](args)
    except Pix2PixError as error:
        return _report(error)
    except KeyboardInterrupt:
        warning("interrupted; what was written is whole")
        return 130
    except Exception as error:
        if is_out_of_memory(error):
            warning(
                "error: out of memory; lower data.batch_size, data.image_size or model.generator.base_channels, or set "
                "data.cache=off"
            )
            return 2
        return _report_bug()


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code (see errors.py; argparse leaves with 2 by itself)."""
    from pix2pix.runtime.log import fill_missing_streams, to_console

    fill_missing_streams()
    with to_console():
        return _carry_out(parser().parse_args(argv))
