"""Checkpoints: a folder that is complete or not there, its manifest written last, the newest whole one used."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from pix2pix.errors import CheckpointError
from pix2pix.runtime.console import say
from pix2pix.runtime.files import save_tensors, writing

VERSION = 1
_STATE, _MANIFEST = "state.pt", "manifest.json"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
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


def save_checkpoint(folder: Path, state: dict[str, Any], step: int, keep: int) -> Path:
    """Writes `state` to `folder/step_<step>/` and then deletes all but the newest `keep`. Returns its path.

    A crash at any point leaves every earlier checkpoint whole. Raises CheckpointError.
    """
    final = folder / f"step_{step:08d}"
    temporary = folder / f"{final.name}.tmp-{os.getpid()}"
    with writing(final):
        if not final.exists():
            try:
                temporary.mkdir(parents=True)
                save_tensors(temporary / _STATE, state)
                _fsync(temporary / _STATE)
                size, digest = (temporary / _STATE).stat().st_size, _sha256(temporary / _STATE)
                manifest = {"version": VERSION, "step": step, "files": {_STATE: {"bytes": size, "sha256": digest}}}
                (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=1))
                _fsync(temporary / _MANIFEST)
                _fsync(temporary)
                os.rename(temporary, final)
                _fsync(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        for old in list_checkpoints(folder)[keep:]:
            shutil.rmtree(old)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints' folders, newest first, whole or not."""
    return sorted((path for path in folder.glob("step_*") if "." not in path.name), reverse=True)


def _damage(path: Path) -> str | None:
    """Why a checkpoint cannot be used, or None."""
    try:
        manifest = json.loads((path / _MANIFEST).read_text())
        if manifest["version"] > VERSION:
            return "was written by a newer pix2pix"
        for name, written in manifest["files"].items():
            file = path / name
            if file.stat().st_size != written["bytes"] or _sha256(file) != written["sha256"]:
                return f"{name} is damaged"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"a file is missing or {_MANIFEST} is damaged"
    return None


def load_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of the newest whole checkpoint, or None where there is none at all.

    Damaged ones that are newer are named and renamed to `<name>.damaged`, so that the run can write there again.
    Raises CheckpointError where there are checkpoints and none is whole.
    """
    damaged = []
    for path in list_checkpoints(folder):
        if reason := _damage(path):
            say(f"{path}: {reason}; passed over")
            damaged.append(path)
            continue
        for other in damaged:
            with writing(other):
                shutil.rmtree(f"{other}.damaged", ignore_errors=True)
                other.rename(f"{other}.damaged")
        return torch.load(path / _STATE, map_location=device, weights_only=True)
    if damaged:
        raise CheckpointError(f"{folder}: no checkpoint there can be used; start anew with --fresh")
    return None
