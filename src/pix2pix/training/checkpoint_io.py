"""Checkpoints: a folder that is complete or not there, its manifest written last, the newest whole one used."""

import errno
import hashlib
import io
import json
import os
import re
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.serialization import config

from pix2pix.errors import CheckpointError
from pix2pix.runtime.io import writing
from pix2pix.runtime.log import info
from pix2pix.runtime.ownership import CHECKPOINT_FILES as FILES
from pix2pix.runtime.ownership import holds_only, remove_folder
from pix2pix.runtime.tensors import read_tensors

VERSION = 1
_STATE, _MANIFEST = "state.pt", "manifest.json"
_BLOCK = 1 << 20  # bytes
_BROKEN = (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError)
_BROKEN += (RecursionError,)  # deep brackets


class _HashedFile(io.FileIO):
    """A file that a thread reads and hashes behind what is written: the disk and the digest are busy at the same time,
    to the end of the last flush."""

    def __init__(self, path: Path):
        super().__init__(path, "w")
        self.size, self.ended, self.grown = 0, False, threading.Condition()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._write(view)
        self._tell(len(view))
        return len(view)

    def _write(self, view: memoryview) -> None:
        while view:
            view = view[super().write(view) :]

    def _tell(self, more: int, ended: bool = False) -> None:
        with self.grown:
            self.size, self.ended = self.size + more, ended
            self.grown.notify()

    def end(self) -> None:
        """Lets the hashing end, too."""
        self._tell(0, ended=True)

    def hash(self) -> str:
        """The SHA-256 of all that is written until `end`."""
        digest, done = hashlib.sha256(), 0
        with open(self.name, "rb", buffering=0) as file:
            while True:
                with self.grown:
                    while self.size == done and not self.ended:
                        self.grown.wait()
                    size = self.size
                if done == size:
                    return digest.hexdigest()
                while done < size:
                    block = file.read(min(_BLOCK, size - done))
                    if not block:
                        raise OSError(errno.EIO, "is shorter than what was written")
                    digest.update(block)
                    done += len(block)


def _write(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Writes a state and flushes it to the disk; returns its entry in the manifest."""
    quick = config.patch({"save.compute_crc32": False})  # our digest tells more
    with ThreadPoolExecutor(1) as pool, _HashedFile(path) as file, quick:
        digest = pool.submit(file.hash)
        try:
            torch.save(state, file)
            os.fsync(file.fileno())
        finally:
            file.end()
        return {"bytes": file.size, "sha256": digest.result()}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


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
    """Writes `state` to `folder/step_<step>/`, then deletes all but the newest `keep` and those of the steps `also`.

    `facts` go into the manifest, for people. A crash at any point leaves every earlier checkpoint whole. Returns the
    checkpoint's path. Raises CheckpointError.
    """
    final = folder / _name(step)
    temporary = folder / f"{final.name}.tmp-{os.getpid()}"
    with writing(final):
        if os.path.lexists(final):
            _require_own(final)
        else:
            folder.mkdir(exist_ok=True)  # the run folder itself may have been taken away, and is not made again
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
    """Deletes a checkpoint that holds only the files of its manifest; others, and links, are a person's and stay.

    It gets another name first, so that one which is half gone is never taken for a damaged one.
    """
    if path.is_symlink() or not _is_own(path) or not holds_only(path, FILES):
        return
    going = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    os.rename(path, going)
    remove_folder(going, FILES)


def _manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a checkpoint, or None where there is none that pix2pix wrote. Raises OSError."""
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        names = {"version", "step", "files"}
        return manifest if names <= manifest.keys() and isinstance(manifest["files"], dict) else None
    except (*_BROKEN, RecursionError):
        return None


def _is_own(path: Path) -> bool:
    """Whether pix2pix wrote a checkpoint, by its manifest."""
    manifest = _manifest(path)
    return manifest is not None and manifest["step"] == _step(path)


def _require_own(path: Path) -> None:
    if not _is_own(path):
        raise CheckpointError(
            f"{path}: is in the place of a checkpoint and was not made by pix2pix; move it, or choose another --output"
        )


def require_own_names(folder: Path) -> None:
    """Raises CheckpointError where something that pix2pix did not make has the name of a checkpoint."""
    known = {*list_checkpoints(folder)}
    for path in _named(folder):
        if path not in known:
            _require_own(path)


def _step(path: Path) -> int | None:
    """The step that a checkpoint's name tells; None for any other name, such as that of a person's own copy."""
    match = re.fullmatch(r"step_([0-9]{8,})", path.name)
    return int(match[1]) if match else None


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints' folders, newest first, whole or not, and no folder of a person's that has such a name.

    One without a readable manifest is a damaged checkpoint where it holds no files of other names. Raises
    CheckpointError where that cannot be read.
    """
    with _reading(folder):
        return [path for path in _named(folder) if _is_own(path) or holds_only(path, FILES)]


def _named(folder: Path) -> list[Path]:
    """What has the name of a checkpoint, newest first. Raises CheckpointError where the folder cannot be read."""
    with _reading(folder):
        try:
            paths = [path for path in folder.iterdir() if _step(path) is not None]
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted(paths, key=_step, reverse=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tells what keeps a file from being read though it may be whole: no right to, a disk or a share that is away."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{error.filename or path}: cannot be read ({reason}); mend that, or try again") from None


def _damage(path: Path) -> str | None:
    """Why a checkpoint cannot be used, or None.

    Raises CheckpointError where only a newer pix2pix can tell, and OSError where nobody can before that is mended.
    """
    try:
        with open(path / _MANIFEST, encoding="utf-8") as file:
            manifest = json.loads(file.read(_BLOCK))
        if manifest["version"] > VERSION:
            raise CheckpointError(
                f"{path}: was written by a newer pix2pix; upgrade, choose another --output, or begin anew with --fresh"
            )
        if manifest["step"] != _step(path):
            return "is of another step than its name says"
        if manifest["files"].keys() != {_STATE}:  # any other name could be that of a device
            return f"{_MANIFEST} is damaged"
        for name, written in manifest["files"].items():
            file = path / name
            if file.stat().st_size != written["bytes"] or _sha256(file) != written["sha256"]:
                return f"{name} is damaged"
    except _BROKEN:
        return f"a file is missing or {_MANIFEST} is damaged"
    return None


def load_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of the newest whole checkpoint, or None where there is none at all.

    Damaged ones that are newer are named and renamed to `<name>.damaged`, so that the run can write there again.
    Raises CheckpointError where there are checkpoints and none is whole, or the newest is a newer pix2pix's or cannot
    be read now: it may be whole, and nothing is renamed.
    """
    damaged = []
    for path in list_checkpoints(folder):
        with _reading(path):
            reason = _damage(path)
        if reason:
            info(f"{path}: {reason}; passed over")
            damaged.append(path)
            continue
        state = _load(path / _STATE, device)
        for other in damaged:
            with writing(other):
                other.rename(_free_name(f"{other}.damaged"))
        return state
    if damaged:
        raise CheckpointError(f"{folder}: no checkpoint there can be used; start anew with --fresh")
    return None


def _free_name(path: str) -> str:
    """The path, with a number where there is something already."""
    names = (path, *(f"{path}-{number}" for number in range(2, 10_000)))
    return next(name for name in names if not os.path.lexists(name))


def load_step(folder: Path, step: int, device: torch.device) -> dict[str, Any] | None:
    """The state of one checkpoint, or None where it is not there or damaged. Raises CheckpointError."""
    path = folder / _name(step)
    with _reading(path):
        damaged = _damage(path)
    return None if damaged else _load(path / _STATE, device)


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        with _reading(path):
            return read_tensors(path, device, checksums=False)
    except ValueError:
        # It is as its manifest says: it was made so.
        raise CheckpointError(
            f"{path}: is no checkpoint of pix2pix; choose another --output, or begin anew with --fresh"
        ) from None
