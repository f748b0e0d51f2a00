"""Writing files so that a reader never sees half of one."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pix2pix.errors import CheckpointError

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what can go wrong while writing below `path` into one CheckpointError that names it."""
    try:
        yield
    except OSError as error:
        raise _unwritten(path, error.strerror or str(error), error.errno in FULL) from None
    except RuntimeError as error:
        # A write that fails in the middle of torch.save ends as a RuntimeError of its zip writer.
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        raise _unwritten(path, "the disk may be full", True) from None


def _unwritten(path: Path, reason: str, full: bool) -> CheckpointError:
    room = f", {free_space(path):,} bytes are free" if full else ""
    remedy = "free space" if full else "free space, mend its permissions"
    return CheckpointError(
        f"{path}: cannot be written ({reason}{room}); {remedy} or choose another --output; what was saved before is "
        "whole, and the same command goes on from it"
    )


def free_space(path: Path) -> int:
    """Bytes free where a file would be written, 0 where none can be; its folder need not be there yet."""
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    return shutil.disk_usage(folder).free if folder.is_dir() and os.access(folder, os.W_OK) else 0


def require_room(path: Path, size: int) -> None:
    """Proves that a file of `size` bytes can be written at `path`, and takes it away again. Raises CheckpointError."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with writing(path), open(temporary, "wb") as file:
            if free_space(path) < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if hasattr(os, "posix_fallocate"):  # also meets quotas and limits of file size; not on macOS and Windows
                os.posix_fallocate(file.fileno(), 0, size)
    except CheckpointError as error:
        raise CheckpointError(f"{error} (it takes {size:,} bytes)") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
