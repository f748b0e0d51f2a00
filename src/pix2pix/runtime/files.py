"""Writing files so that a reader never sees half of one."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pix2pix.errors import CheckpointError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what can go wrong while writing below `path` into one CheckpointError that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(
            f"{path}: cannot be written ({reason}); free space, mend its permissions or choose another --output"
        ) from None
    except RuntimeError as error:
        # A write that fails in the middle of torch.save ends as a RuntimeError of its zip writer.
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        raise CheckpointError(
            f"{path}: cannot be written (the disk may be full); free space and run the same command again"
        ) from None


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a temporary neighbour's path, then puts that in the place of `path`, complete or not at all.

    Raises CheckpointError; what stood at `path` is then still there.
    """
    temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    with writing(path):
        try:
            write(temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def save_tensors(path: Path, value: object) -> None:
    """torch.save into a file of our own, so that one which cannot be opened is an OSError, not torch's RuntimeError."""
    import torch

    with open(path, "wb") as file:
        torch.save(value, file)


def save_atomically(path: Path, value: object) -> None:
    """`save_tensors`, in place complete or not at all. Raises CheckpointError."""
    replace_atomically(path, lambda temporary: save_tensors(temporary, value))


def remove_leftovers(folder: Path) -> None:
    """Deletes what a killed process was writing in a run folder."""
    for path in (
        path for name in (".*.tmp-*", "samples/.*.tmp-*", "checkpoints/step_*.tmp-*") for path in folder.glob(name)
    ):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def prepare_folder(folder: Path) -> None:
    """Makes a folder and proves that files can be written there. Raises CheckpointError, naming it and the remedy."""
    with writing(folder):
        if folder.is_symlink() and not folder.exists():
            raise CheckpointError(f"{folder}: is a link to nothing; mend or remove it, or choose another --output")
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"{folder}: is a file, and a folder is needed; choose another --output")
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"pix2pix")
        probe.unlink()
