"""Create, lock and validate the run directory."""

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pix2pix.config import Config, dump_config, load_config
from pix2pix.errors import CheckpointError, ConfigError
from pix2pix.runtime.io import prepare_folder, replace_atomically, writing
from pix2pix.runtime.lock import lock
from pix2pix.runtime.log import info
from pix2pix.runtime.ownership import INDEX, Index, is_run, leftovers, read_index, remove_leftovers, write_index
from pix2pix.training.checkpoint_io import list_checkpoints, require_only_checkpoints
from pix2pix.training.resume import check_allowed, check_config

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
_LOCK = ".lock"


def run_path(config: Config) -> Path:
    """Return a config's run directory; `run.output` can be missing only in a config that was made in code."""
    return Path(config.run.output or "runs/pix2pix")


def has_checkpoint(config: Config) -> bool:
    """Return whether a config's run directory has a checkpoint to resume from. Raises CheckpointError."""
    return bool(list_checkpoints(run_path(config) / CHECKPOINTS))


@contextmanager
def open_run_dir(
    config: Config, resume: bool = False, fresh: bool = False, allow_changed: Collection[str] = ()
) -> Iterator[Path]:
    """Create or enter the run directory of a config, and lock it while training.

    `fresh` moves an earlier run to `<output>.old-N` first. Raises ConfigError where the directory holds a run of
    another config, naming the differences, unless `allow_changed` names them; CheckpointError where it cannot be
    written or moved, holds other files or a run without its config, another process trains there, or `resume` finds no
    checkpoint.
    """
    check_allowed(config, allow_changed)
    folder = run_path(config)
    with writing(folder):
        if fresh and _holds_run(folder):
            _require_elsewhere(folder)
            with ExitStack() as held:
                note = held.enter_context(_sole_trainer(folder))
                if os.name == "nt":
                    held.close()  # Windows cannot move a folder with an open file in it
                else:
                    note.unlink()  # otherwise it would be moved too
                _move_aside(folder)
        if resume and not list_checkpoints(folder / CHECKPOINTS):
            raise CheckpointError(
                f"{folder}: has no checkpoint to resume from; leave --resume out to start a run there"
            )
    prepare_folder(folder)
    with writing(folder):
        try:
            _require_run_or_nothing(folder)
        except CheckpointError:
            if not (folder / _LOCK).exists():
                raise  # and no lock file is left in the folder
    with ExitStack() as held:
        with writing(folder):
            held.enter_context(_sole_trainer(folder))
            _require_run_or_nothing(folder)  # another process may have written its first files during the first check
            remove_leftovers(folder)
            _sign(folder)
        _check(config, folder, allow_changed)
        yield folder


def _holds_run(folder: Path) -> bool:
    return bool(list_checkpoints(folder / CHECKPOINTS)) or _holds_run_config(folder)


def _holds_run_config(folder: Path) -> bool:
    """Return whether a run wrote the config in a folder; one written by hand has no index and a different text."""
    path = folder / CONFIG
    try:
        return path.exists() and (is_run(folder) or path.read_text(encoding="utf-8") == dump_config(load_config(path)))
    except (OSError, ValueError, ConfigError):
        return False


def _sign(folder: Path) -> None:
    """Write the index by which other commands recognise a run directory."""
    index = read_index(folder)
    if index is None or index.kind != "run":
        write_index(folder, replace(index, kind="run") if index else Index("run"))


def run_id(folder: Path) -> str:
    """Return the id in a run directory's index, which stays the same when it is moved; empty without an index."""
    index = read_index(folder)
    return index.id if index else ""


def require_same_run(folder: Path, run: str) -> None:
    """Raise CheckpointError unless the directory is that of the run with the id `run`."""
    index = read_index(folder)
    if folder.exists() and (index.id != run if index else not (folder / CONFIG).exists()):
        raise CheckpointError(
            f"{folder}: the run directory was moved, and another one is in its place; move it back and run the same "
            "command again to resume from the last checkpoint"
        )


def _require_run_or_nothing(folder: Path) -> None:
    """Raise CheckpointError where a folder holds files of something else, or a run whose config is missing."""
    if (folder / CONFIG).exists() and _holds_run(folder):
        return
    if list_checkpoints(folder / CHECKPOINTS):
        raise CheckpointError(
            f"{folder}: holds checkpoints, but {CONFIG} is missing; put it back, or move the run aside with --fresh"
        )
    ours = {*leftovers(folder), *folder.glob(f"{_LOCK}*")} | ({folder / INDEX} if is_run(folder) else set())
    if {*folder.iterdir()} - ours:
        raise CheckpointError(f"{folder}: holds other files and no run; choose another folder with --output")


def _sole_trainer(folder: Path) -> AbstractContextManager[Path]:
    return lock(folder / _LOCK, folder, "training in it")


def _check(config: Config, folder: Path, allow_changed: Collection[str]) -> None:
    """Raise ConfigError or CheckpointError where the run in the folder cannot be resumed."""
    require_only_checkpoints(folder / CHECKPOINTS)
    checkpoints, weights = list_checkpoints(folder / CHECKPOINTS), (folder / "gen.pt").exists()
    if checkpoints or weights:  # a run that has saved nothing may start again with another config
        check_config(folder, load_config(folder / CONFIG), config, allow_changed)
    if weights and not checkpoints:
        raise CheckpointError(
            f"{folder}: holds trained weights, but its checkpoints are missing or cannot be read; "
            "choose another --output, or move it aside with --fresh"
        )


def keep_config(config: Config, folder: Path) -> None:
    """Write the resolved config into the run directory. Raises CheckpointError."""
    path, text = folder / CONFIG, dump_config(config)
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
        replace_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _require_elsewhere(folder: Path) -> None:
    """Raise CheckpointError where the current directory is inside a folder that is about to be moved."""
    if Path.cwd().resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(
            f"{folder}: the current directory is in it, and --fresh would move it away; start from another directory"
        )


def _move_aside(folder: Path) -> None:
    """Move a folder to `<folder>.old-N` and create it again, empty, so that a link to it stays valid."""
    folder, number = folder.resolve(), 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    try:
        folder.rename(aside)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be moved to {aside} ({error.strerror}); choose another --output"
        ) from None
    info(f"moved the earlier run {folder} to {aside}")
    folder.mkdir()
