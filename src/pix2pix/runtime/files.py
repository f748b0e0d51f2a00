"""Writing files so that a reader never sees half of one."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pix2pix.errors import CheckpointError, ConfigError

# What helps where there is no room.
FULL = {
    errno.ENOSPC: "free space",
    getattr(errno, "EDQUOT", errno.ENOSPC): "free space",  # not on Windows
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what can go wrong while writing below `path` into one CheckpointError that names it."""
    try:
        yield
    except OSError as error:
        raise _unwritten(path, error) from None
    except RuntimeError as error:
        # The zip writer of torch.save complains when it is closed amid a write, after what has kept it from writing:
        # an OSError, or a signal's doing, such as the end of a process that reads data.
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        first = error.__context__
        if isinstance(first, RuntimeError):
            raise first from None
        raise _unwritten(
            path, first if isinstance(first, OSError) else OSError(errno.ENOSPC, "No space left")
        ) from None


def _unwritten(path: Path, error: OSError) -> CheckpointError:
    reason, remedy = error.strerror or str(error), FULL.get(error.errno, "mend its permissions")
    if error.errno in FULL:
        reason = f"{reason}, {free_space(path):,} bytes are free"
    if error.errno == errno.ENOENT:
        reason, remedy = f"{path.parent} is gone", "put it back"
    kept = "; what was saved before is whole, and the same command goes on from it" if path.parent.exists() else ""
    return CheckpointError(f"{path}: cannot be written ({reason}); {remedy} or choose another --output{kept}")


def output_path(folder: Path, relative: str | Path) -> Path:
    """`folder / relative`, a file that may be written: below `folder`, links followed.

    `relative` may come from a file that somebody else has made. Raises ConfigError where it leads out of `folder`, by
    `..`, as an absolute path or through a link.
    """
    path, root = folder / relative, folder.resolve()
    whole = os.path.normpath(path.parent.resolve() / path.name)
    if path.name in ("", "..") or not Path(whole).is_relative_to(root) or Path(whole) == root:
        raise ConfigError(
            f"{path}: is outside of {folder}, and nothing is written there; remove the link, or choose another --output"
        )
    return path


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
        probe.unlink(missing_ok=True)  # another process may have taken it for a leftover
