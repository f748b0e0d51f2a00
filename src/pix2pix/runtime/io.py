"""Write files atomically: a reader never sees a partial file."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pix2pix.errors import CheckpointError, ConfigError

# Remedies for errors about missing space.
FULL = {
    errno.ENOSPC: "free space",
    getattr(errno, "EDQUOT", errno.ENOSPC): "free space",  # not on Windows
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error while writing at or below `path` into a CheckpointError that names the path."""
    try:
        yield
    except OSError as error:
        raise _write_error(path, error) from None
    except RuntimeError as error:
        # The zip writer of torch.save raises this when it is closed during a write. Its context is the error that
        # interrupted the write: an OSError, or an error that a signal handler raised.
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        first = error.__context__
        if isinstance(first, RuntimeError):
            raise first from None
        raise _write_error(
            path, first if isinstance(first, OSError) else OSError(errno.ENOSPC, "No space left")
        ) from None


def _write_error(path: Path, error: OSError) -> CheckpointError:
    reason, remedy = error.strerror or str(error), FULL.get(error.errno or 0, "fix its permissions")
    if error.errno in FULL:
        reason = f"{reason}, {free_space(path):,} bytes are free"
    if error.errno == errno.ENOENT:
        reason, remedy = f"{path.parent} is gone", "restore it"
    resumable = (
        "; earlier checkpoints are complete, and the same command resumes from them" if path.parent.exists() else ""
    )
    return CheckpointError(f"{path}: cannot be written ({reason}); {remedy} or choose another --output{resumable}")


def output_path(folder: Path, relative: str | Path) -> Path:
    """Return `folder / relative` where that is below `folder`, links followed.

    `relative` may come from an untrusted file. Raises ConfigError where it leads out of `folder`: by `..`, as an
    absolute path or through a link.
    """
    path, root = folder / relative, folder.resolve()
    whole = os.path.normpath(path.parent.resolve() / path.name)
    if path.name in ("", "..") or not Path(whole).is_relative_to(root) or Path(whole) == root:
        raise ConfigError(
            f"{path}: is outside of {folder}, and nothing is written there; remove the link, or choose another --output"
        )
    return path


def free_space(path: Path) -> int:
    """Return the free bytes for a file at `path`, or 0 if none can be written; its folder need not exist yet."""
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    return shutil.disk_usage(folder).free if folder.is_dir() and os.access(folder, os.W_OK) else 0


def require_space(path: Path, size: int) -> None:
    """Raise CheckpointError unless a file of `size` bytes can be written at `path`. No file is left there."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with writing(path), open(temporary, "wb") as file:
            if free_space(path) < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if hasattr(os, "posix_fallocate"):  # respects quotas and limits of file size; not on macOS and Windows
                os.posix_fallocate(file.fileno(), 0, size)
    except CheckpointError as error:
        raise CheckpointError(f"{error} (it takes {size:,} bytes)") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, then rename that to `path`.

    Raises CheckpointError; a file at `path` is then unchanged.
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
    """Call torch.save with an open file, so that a failure to open it raises OSError instead of RuntimeError."""
    import torch

    with open(path, "wb") as file:
        torch.save(value, file)


def save_atomically(path: Path, value: object) -> None:
    """Write a file with `save_tensors` atomically. Raises CheckpointError."""
    replace_atomically(path, lambda temporary: save_tensors(temporary, value))


def prepare_folder(folder: Path) -> None:
    """Make a folder and check that files can be written there. Raises CheckpointError."""
    with writing(folder):
        if folder.is_symlink() and not folder.exists():
            raise CheckpointError(f"{folder}: is a dangling link; fix or remove it, or choose another --output")
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"{folder}: is a file, and a folder is needed; choose another --output")
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"pix2pix")
        probe.unlink(missing_ok=True)  # another process may have removed it as a leftover
