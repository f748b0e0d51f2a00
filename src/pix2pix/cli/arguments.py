"""What may be typed: the verbs of the command line and their options."""

import argparse
from typing import NoReturn

from pix2pix._version import __version__
from pix2pix.text import show_text


class _Parser(argparse.ArgumentParser):
    """Escapes what was typed, which a shell may have taken from file names."""

    def error(self, message: str) -> NoReturn:
        super().error(show_text(message))


def _not_empty(text: str) -> str:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("a name is needed, and this is none")
    return text


def _device(text: str) -> str:
    import re

    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?|mps", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device; give auto, cpu, cuda, cuda:N or mps")
    return text


def _add_config(verb: argparse.ArgumentParser, required: bool) -> None:
    words = "a YAML file or a shipped config's name"
    verb.add_argument("--config", required=required, type=_not_empty, metavar="FILE|NAME", help=words)
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. data.flip=true")
    verb.add_argument("--data", type=_not_empty, metavar="ROOT", help="the folder or the manifest of pairs (data.root)")


def _add_train(verbs: argparse._SubParsersAction) -> None:
    train = verbs.add_parser(
        "train",
        help="train, or go on with a run",
        description="Train as a config says. The same command again goes on where the run stopped.",
    )
    _add_config(train, required=True)
    train.add_argument("--output", type=_not_empty, metavar="DIR", help="the run folder (run.output)")
    train.add_argument("--device", type=_device, metavar="D", help="auto, cpu, cuda, cuda:N or mps (run.device)")
    start = train.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="insist that there is a run to go on with")
    start.add_argument("--fresh", action="store_true", help="move an earlier run to <output>.old-N and start anew")
    train.add_argument(
        "--allow-changed",
        action="append",
        default=[],
        type=_not_empty,
        metavar="KEY",
        help="go on although this key or section differs from the earlier run's; `data` also allows other pairs",
    )


def _add_check(verbs: argparse._SubParsersAction) -> None:
    check = verbs.add_parser(
        "check",
        help="look at a data set before training",
        description="Look at every pair of a data set and say what is wrong, worst first. Exit code 3: training fails.",
    )
    _add_config(check, required=False)
    check.add_argument("--json", action="store_true", help="one JSON object instead, with every file")
    check.add_argument("--preview", type=_not_empty, metavar="SHEET.png", help="draw pairs as the networks see them")
    check.set_defaults(output=None, device=None)


def _add_sample(verbs: argparse._SubParsersAction) -> None:
    sample = verbs.add_parser(
        "sample",
        help="translate pictures with trained weights",
        description="Translate pictures. "
        "Without --input: the val or test pairs of the data that the weights were trained on.",
    )
    sample.add_argument("--weights", required=True, type=_not_empty, metavar="FILE", help="a run's gen.pt or best.pt")
    source = sample.add_mutually_exclusive_group()
    source.add_argument("--input", type=_not_empty, metavar="FILE|DIR|GLOB", help="pictures to translate")
    source.add_argument(
        "--data",
        type=_not_empty,
        metavar="ROOT",
        help="a folder or a manifest of pairs; also writes a comparison with the targets",
    )
    sample.add_argument("--split", choices=("train", "val", "test"), help="which pairs (val, else test)")
    sample.add_argument(
        "--output", type=_not_empty, metavar="DIR", help="where to write (translated, beside the weights)"
    )
    sample.add_argument("--resize", action="store_true", help="resize to the training size instead of padding")
    sample.add_argument("--device", type=_device, default="auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps")


def _add_configs(verbs: argparse._SubParsersAction) -> None:
    configs = verbs.add_parser("configs", help="the shipped configs and the schema", description="Look at the configs.")
    actions = configs.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="name every shipped config")
    actions.add_parser("show", help="print one").add_argument("name", metavar="NAME")
    copy = actions.add_parser("copy", help="write one to a file, to change it")
    copy.add_argument("name", metavar="NAME")
    copy.add_argument("--output", type=_not_empty, metavar="FILE", help="the file (NAME.yaml in this folder)")
    actions.add_parser("schema", help="print the JSON schema, for editors")


def _add_download(verbs: argparse._SubParsersAction) -> None:
    from pix2pix.datasets.catalogue import names

    download = verbs.add_parser(
        "download", help="fetch a data set", description="Fetch a data set, resuming and checking."
    )
    download.add_argument("name", metavar="NAME", help=", ".join(names()))
    download.add_argument(
        "--output", type=_not_empty, default="data", metavar="DIR", help="where its folder goes (data)"
    )
    download.add_argument("--url", help="fetch from another address")
    download.add_argument(
        "--from", type=_not_empty, dest="source", metavar="DIR", help="cityscapes: where you unzipped what you fetched"
    )


def parser() -> argparse.ArgumentParser:
    """The whole command line; `verb` is what was asked for."""
    whole = _Parser(prog="pix2pix", description="Train a network to turn one kind of picture into another.")
    whole.add_argument("--version", action="version", version=f"pix2pix {__version__}")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")

    _add_train(verbs)
    _add_check(verbs)
    _add_sample(verbs)
    _add_download(verbs)
    _add_configs(verbs)
    return whole
