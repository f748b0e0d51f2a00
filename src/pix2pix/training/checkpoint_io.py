"""Read and write checkpoint folders: atomically, with a manifest of sizes and SHA-256 digests."""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pix2pix.errors import CheckpointError
from pix2pix.runtime.io import save_tensors, writing
from pix2pix.runtime.log import info
from pix2pix.runtime.ownership import CHECKPOINT_FILES as FILES
from pix2pix.runtime.ownership import holds_only, remove_folder
from pix2pix.runtime.tensors import read_tensors

VERSION = 1
_STATE, _MANIFEST = "state.pt", "manifest.json"
_MANIFEST_LIMIT = 1 << 20  # bytes
_MALFORMED: tuple[type[Exception], ...] = (  # raised when a damaged manifest is read
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError),
    RecursionError,  # deep brackets
)


def _write(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Write a state and flush it to the disk; return its entry in the manifest."""
    save_tensors(path, state)
    _fsync(path)
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_checkpoint(
    folder: Path, state: dict[str, Any], step: int, keep: int, also: Collection[int] = (), **facts: Any
) -> Path:
    """Write `state` to `folder/step_<step>/`, then delete all checkpoints but the newest `keep` and the steps `also`.

    `facts` are recorded in the manifest, for people who read it. A crash at any point leaves every earlier checkpoint
    intact. Return the checkpoint's path. Raises CheckpointError.
    """
    final = folder / _name(step)
    temporary = folder / f"{final.name}.tmp-{os.getpid()}"
    with writing(final):
        if os.path.lexists(final):
            _require_written_by_pix2pix(final)
        else:
            folder.mkdir(exist_ok=True)  # not its parents: a run folder that was removed is not created again
            temporary.mkdir()
            try:
                files = {_STATE: _write(temporary / _STATE, state)}
                manifest = {"version": VERSION, "step": step, **facts, "files": files}
                (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=1))
                _fsync(temporary / _MANIFEST)
                _fsync(temporary)
                os.rename(temporary, final)
                _fsync(folder)
            finally:
                remove_folder(temporary, FILES)
        kept = {_name(step) for step in also}
        for old in list_checkpoints(folder)[keep:]:
            if old.name not in kept:
                _remove(old)
    return final


def _name(step: int) -> str:
    return f"step_{step:08d}"


def _remove(path: Path) -> None:
    """Delete a checkpoint that holds only its own files; any other folder, and a link, is left alone.

    The folder is renamed before it is deleted, so that a half-deleted one is never reported as a damaged checkpoint.
    """
    if path.is_symlink() or not _is_written_by_pix2pix(path) or not holds_only(path, FILES):
        return
    doomed = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    os.rename(path, doomed)
    remove_folder(doomed, FILES)


def _manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a checkpoint, or None unless pix2pix wrote it. Raises OSError."""
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        names = {"version", "step", "files"}
        return manifest if names <= manifest.keys() and isinstance(manifest["files"], dict) else None
    except _MALFORMED:
        return None


def _is_written_by_pix2pix(path: Path) -> bool:
    """Return whether the manifest shows that pix2pix wrote the checkpoint."""
    manifest = _manifest(path)
    return manifest is not None and manifest["step"] == _step(path)


def _require_written_by_pix2pix(path: Path) -> None:
    if not _is_written_by_pix2pix(path):
        raise CheckpointError(
            f"{path}: has the name of a checkpoint and was not made by pix2pix; move it, or choose another --output"
        )


def require_only_checkpoints(folder: Path) -> None:
    """Raise CheckpointError where a file or folder that pix2pix did not make has the name of a checkpoint."""
    known = {*list_checkpoints(folder)}
    for path in _named(folder):
        if path not in known:
            _require_written_by_pix2pix(path)


def _step(path: Path) -> int | None:
    """Return the step in the name of a checkpoint, or None for any other name, such as a copy's."""
    match = re.fullmatch(r"step_([0-9]{8,})", path.name)
    return int(match[1]) if match else None


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the folders of checkpoints, intact or damaged, newest first.

    A folder without a readable manifest counts as a damaged checkpoint if it holds no other files than a checkpoint's.
    Raises CheckpointError where the folder cannot be read.
    """
    with _reading(folder):
        return [path for path in _named(folder) if _is_written_by_pix2pix(path) or holds_only(path, FILES)]


def _named(folder: Path) -> list[Path]:
    """Return everything named like a checkpoint, newest first. Raises CheckpointError."""
    with _reading(folder):
        try:
            paths = [path for path in folder.iterdir() if _step(path) is not None]
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted(paths, key=lambda path: _step(path) or 0, reverse=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an OSError (missing permissions, a lost network share) into a CheckpointError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{error.filename or path}: cannot be read ({reason}); fix that, or try again") from None


def _damage(path: Path) -> str | None:
    """Return the reason why a checkpoint is damaged, or None if it is intact.

    Raises CheckpointError where a newer pix2pix wrote the checkpoint, and OSError where it cannot be read.
    """
    try:
        with open(path / _MANIFEST, encoding="utf-8") as file:
            manifest = json.loads(file.read(_MANIFEST_LIMIT))
        if manifest["version"] > VERSION:
            raise CheckpointError(
                f"{path}: was written by a newer pix2pix; upgrade, choose another --output, or start again with --fresh"
            )
        if manifest["step"] != _step(path):
            return "its manifest and its name disagree on the step"
        if manifest["files"].keys() != {_STATE}:  # an unexpected name could be that of a device
            return f"{_MANIFEST} is damaged"
        for name, written in manifest["files"].items():
            content = path / name
            if content.stat().st_size != written["bytes"] or _sha256(content) != written["sha256"]:
                return f"{name} is damaged"
    except _MALFORMED:
        return f"a file is missing or {_MANIFEST} is damaged"
    return None


def load_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the state of the newest intact checkpoint, or None where there are no checkpoints.

    Damaged checkpoints that are newer are reported and renamed to `<name>.damaged`, so that the run can use their names
    again. Raises CheckpointError where every checkpoint is damaged, where one was written by a newer pix2pix, and
    where one cannot be read. In these cases nothing is renamed, since the checkpoint may be intact.
    """
    damaged = []
    for path in list_checkpoints(folder):
        with _reading(path):
            reason = _damage(path)
        if reason:
            info(f"{path}: {reason}; skipped")
            damaged.append(path)
            continue
        state = _load(path / _STATE, device)
        for other in damaged:
            with writing(other):
                other.rename(_free_name(f"{other}.damaged"))
        return state
    if damaged:
        raise CheckpointError(f"{folder}: no checkpoint there can be used; start again with --fresh")
    return None


def _free_name(path: str) -> str:
    """Return the path, with a number appended if it exists already."""
    names = (path, *(f"{path}-{number}" for number in range(2, 10_000)))
    return next(name for name in names if not os.path.lexists(name))


def newest_environment(folder: Path) -> object:
    """Return the environment in the newest manifest that can be read; None where there is none."""
    with _reading(folder):
        manifests = (_manifest(path) for path in list_checkpoints(folder))
        return next((manifest.get("surroundings") for manifest in manifests if manifest), None)


def load_step(folder: Path, step: int, device: torch.device) -> dict[str, Any] | None:
    """Return the state of one checkpoint, or None where it is missing or damaged. Raises CheckpointError."""
    path = folder / _name(step)
    with _reading(path):
        damaged = _damage(path)
    return None if damaged else _load(path / _STATE, device)


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        with _reading(path):
            state: dict[str, Any] = read_tensors(path, device, checksums=False)
            return state
    except ValueError:  # the file matches its manifest, but holds something else
        raise CheckpointError(
            f"{path}: is not a checkpoint of pix2pix; choose another --output, or start again with --fresh"
        ) from None
