"""The folder of a run: whose it is, whether it can be continued, whether it can be written."""

from pathlib import Path

from pix2pix.checkpoint import list_checkpoints
from pix2pix.config import Config, config_difference, dump_config, load_config
from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.runtime.console import say
from pix2pix.runtime.files import prepare_folder, remove_leftovers, replace_atomically, writing

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
_OWN_AFFAIR = {"run.output"}  # where a run lies says nothing of what it computes


def run_path(config: Config) -> Path:
    """Where a config's run lies; load_config has filled it in, and a config made in code may have left it out."""
    return Path(config.run.output or "runs/pix2pix")


def open_run(config: Config, resume: bool = False, fresh: bool = False) -> Path:
    """Makes or enters the run folder of a config and writes the resolved config there.

    `fresh` moves an earlier run, and nothing that is none, to `<output>.old-N` first. Raises ConfigError where the
    folder holds a run of another config, naming the differences; CheckpointError where it cannot be written, holds
    something else, or `resume` asks for a run that is not there.
    """
    folder = run_path(config)
    with writing(folder):
        if fresh and (folder / CONFIG).exists():
            _move_aside(folder)
        if resume and not list_checkpoints(folder / CHECKPOINTS):
            raise CheckpointError(
                f"{folder}: has no checkpoint to resume from; leave --resume out to start a run there"
            )
    prepare_folder(folder)
    remove_leftovers(folder)
    checkpoints, weights = list_checkpoints(folder / CHECKPOINTS), (folder / "gen.pt").exists()
    with writing(folder):
        strange = not (folder / CONFIG).exists() and any(folder.iterdir())
    if strange:
        raise CheckpointError(f"{folder}: holds other files and no run; choose another folder with --output")
    if checkpoints or weights:
        _require_same(config, folder)
    if weights and not checkpoints:
        raise CheckpointError(
            f"{folder}: holds trained weights, but its checkpoints are gone or cannot be read; "
            "choose another --output, or --fresh to move it aside"
        )
    if not checkpoints:  # a run that saved nothing, for broken data perhaps, may begin with another config
        replace_atomically(folder / CONFIG, lambda path: path.write_text(dump_config(config), encoding="utf-8"))
    return folder


def _move_aside(folder: Path) -> None:
    folder, number = folder.resolve(), 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    try:
        folder.rename(aside)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be moved to {aside} ({error.strerror}); choose another --output"
        ) from None
    say(f"moved the earlier run to {aside}")


def _require_same(config: Config, folder: Path) -> None:
    changed = [
        change for change in config_difference(load_config(folder / CONFIG), config) if change[0] not in _OWN_AFFAIR
    ]
    if changed:
        lines = [f"  {key}: was {old!r}, now {new!r}" for key, old, new in changed]
        raise ConfigError(
            f"{folder}: holds a run of another config; choose another --output, or --fresh to move it aside\n"
            + "\n".join(lines)
        )
