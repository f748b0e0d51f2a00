"""Training without a config: the recipe `own`, completed with settings chosen from the files of a data set."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pix2pix.errors import ConfigError, DataError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from pix2pix.config import Config
    from pix2pix.config.base import Section
    from pix2pix.data.recipe import Setting

OWN = "own"
_UNKNOWN_OUTPUT = f"runs/{OWN}"  # the default output of the recipe


class Completed(NamedTuple):
    """The completed recipe, the chosen settings, and whether these come from an earlier run."""

    config: Config
    settings: list[Setting]
    is_earlier: bool = False


def find_recipe(args: argparse.Namespace, purpose: str) -> Path | None:
    """Return the file of the recipe if --config names it or is absent, else None.

    Raises ConfigError if the command names no data; `purpose` completes the message.
    """
    from pix2pix.config import locate_config, shipped_configs

    if args.config is None and args.data is None and not args.set:
        raise ConfigError(f"there is no data set to {purpose}; give --data ROOT, or --config FILE|NAME")
    recipe = shipped_configs()[OWN]
    return recipe if args.config is None or locate_config(args.config)[0] == recipe else None


def complete(
    path: Path, overrides: Sequence[str], earlier: Callable[[Config], Config | None] | None = None
) -> Completed:
    """Read the recipe at `path` with the `overrides` of --set, and choose the settings that neither of them sets.

    `earlier` returns the config of the run that is about to resume, if there is one: what was chosen when it started
    is chosen again, so that a data set that has grown is the only difference. Raises ConfigError and DataError.
    """
    from pix2pix.config import read_config
    from pix2pix.data.recipe import choose_settings, settings_of

    given = read_config(path, overrides, needs_source=True)
    output = given.run.output if given.run.output != _UNKNOWN_OUTPUT else f"runs/{_name(given)}"
    given = given.model_copy(update={"run": given.run.model_copy(update={"output": output})})
    before = earlier(given) if earlier is not None else None
    settings = choose_settings(given) if before is None else settings_of(before)
    chosen = [setting for setting in settings if not _is_set(given, setting.key)]
    assignments = [f"{setting.key}={json.dumps(setting.value)}" for setting in chosen]
    config = read_config(path, [*assignments, f"run.output={json.dumps(output)}", *overrides])
    return Completed(config, chosen, before is not None)


def complete_for_check(path: Path, overrides: Sequence[str]) -> Config:
    """Complete the recipe; if the data are too broken to choose anything from, return it with its defaults."""
    from pix2pix.config import read_config

    try:
        return complete(path, overrides).config
    except DataError:
        return read_config(path, overrides)


def explain(completed: Completed) -> list[str]:
    """Return lines that show what was chosen, why, and how to change it."""
    config = completed.config
    if completed.is_earlier:
        return [f"recipe {OWN}, with the settings that {config.run.output} was started with"]
    lines = [f"recipe {OWN}, completed with what the files show:"]
    lines += [f"  {setting.key} = {json.dumps(setting.value)}: {setting.reason}" for setting in completed.settings]
    data = shlex.quote(config.data.root or "ROOT")
    return [*lines, f"to edit it: pix2pix configs make --data {data} > mine.yaml; pix2pix train --config mine.yaml"]


def describe(path: Path, overrides: Sequence[str]) -> str:
    """Return the completed recipe as commented YAML (`pix2pix configs make`). Raises ConfigError and DataError."""
    from pix2pix.config.commented import dump_commented
    from pix2pix.data.index import DatasetIndex, source_label

    config, settings, _ = complete(path, overrides)
    heading = [
        f"The recipe {OWN} for the pairs in {source_label(config.data)}: a config to edit. Defaults are left out.",
        "",
        f"Data: {DatasetIndex.scan(config.data).layout('train')}.",
        "Sizes in a config are [height, width], or one side of a square.",
        "",
        "Train: pix2pix train --config mine.yaml (the name of this file)",
    ]
    return dump_commented(config, heading, {setting.key: setting.reason for setting in settings}, {"run.output"})


def _name(config: Config) -> str:
    """Return the name of the data set, for the run folder."""
    source = config.data.root or config.data.manifest
    path = Path(source).resolve() if source else Path()
    return (path.name if path.is_dir() else path.stem) or OWN


def _is_set(config: Section, key: str) -> bool:
    """Return whether the user has set a dotted key."""
    section, _, rest = key.partition(".")
    if not rest:
        return section in config.model_fields_set
    return _is_set(getattr(config, section), rest)
