"""An index of the files that pix2pix wrote, so that it never replaces or deletes any other file.

Each output folder has an index, `.pix2pix-output.json`: the kind of the folder, and for translations the names of the
files. Comparison images of a run or a check carry a PNG text chunk instead, since they may be anywhere.
"""

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pix2pix.errors import ConfigError
from pix2pix.runtime.io import output_path, replace_atomically

INDEX = ".pix2pix-output.json"
SOFTWARE = "pix2pix"  # the PNG text "Software"
_LARGEST = 64 << 20  # bytes; a larger index is not read
_PNG_HEAD = 512  # bytes of a PNG in which the text is found

CHECKPOINT_FILES = frozenset({"state.pt", "manifest.json"})
# By subfolder of a run folder. Each name contains the id of the process that wrote the file.
_LEFTOVERS = {
    "": re.compile(
        r"\.probe-\d+|\.checkpoints\.tmp-\d+|\.(config|metrics|loss|gen|dis|best|\.pix2pix-output)"
        r"\.tmp-\d+\.(yaml|jsonl?|png|pt)"
    ),
    "samples": re.compile(r"\.epoch_\d+\.tmp-\d+\.png"),
    "checkpoints": re.compile(r"step_\d{8,}\.tmp-\d+"),
}

Kind = Literal["run", "translations", "staging"]


@dataclass(frozen=True)
class Index:
    """The content of an index file. `id` is random; `files` are relative names with `/`."""

    kind: Kind
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    files: frozenset[str] = frozenset()


def read_index(folder: str | Path) -> Index | None:
    """Return the index of a folder, or None where there is no valid one."""
    path = os.path.join(folder, INDEX)
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        index = Index(content["kind"], content["id"], frozenset(content["files"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (index.kind, index.id, *index.files)
    return index if content.get("software") == SOFTWARE and all(isinstance(text, str) for text in texts) else None


def write_index(folder: Path, index: Index) -> None:
    """Write the index of a folder. Raises ConfigError where another file has its name, and CheckpointError."""
    path = folder / INDEX
    if os.path.lexists(path) and read_index(folder) is None:
        raise ConfigError(f"{path}: was not written by pix2pix; move it, or choose another --output")
    content = {"software": SOFTWARE, **asdict(index), "files": sorted(index.files)}
    replace_atomically(path, lambda temporary: temporary.write_text(json.dumps(content), encoding="utf-8"))


def is_run(folder: str | Path) -> bool:
    """Return whether a folder is a run's: by its index, or by two files that every run has for runs without one."""
    index = read_index(folder)
    if index is not None:
        return index.kind == "run"
    return all(os.path.isfile(os.path.join(folder, name)) for name in ("config.yaml", "metrics.jsonl"))


def made_files(folder: str | Path) -> set[str]:
    """Return the paths of the files that the index of a folder lists: those that pix2pix wrote."""
    index = read_index(folder)
    return {os.path.join(folder, *name.split("/")) for name in index.files} if index else set()


def claim_outputs(folder: Path, outputs: Collection[Path], read: Iterable[str | Path]) -> None:
    """Check that no output replaces an input or a file that pix2pix did not write, and add all to the index.

    `outputs`: paths in `folder`, which exists. `read`: the files that this command reads. Raises ConfigError before
    anything is written.
    """
    index = read_index(folder) or Index("run" if is_run(folder) else "translations")
    sources = {os.path.realpath(path) for path in read}
    names = {}
    for path in outputs:
        name = names[path] = path.relative_to(folder).as_posix()
        if os.path.realpath(path) in sources:
            raise ConfigError(f"{path}: is an input and would be overwritten; choose another --output")
        if os.path.lexists(path) and (name not in index.files or not _is_plain_file(path)):
            raise ConfigError(
                f"{path}: exists and was not made by pix2pix here; move or delete it, or choose another --output"
            )
        output_path(folder, name)
    write_index(folder, Index(index.kind, index.id, index.files | {*names.values()}))


def _is_plain_file(path: Path) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)


def is_signed_picture(path: Path) -> bool:
    """Return whether a file is a PNG that pix2pix signed (see `write_image`)."""
    try:
        if not _is_plain_file(path):
            return False
        with open(path, "rb") as file:
            head = file.read(_PNG_HEAD)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and b"tEXtSoftware\0" + SOFTWARE.encode() in head


def may_write_image(path: Path) -> bool:
    """Return whether a signed image may be written: the path is free, or holds an image that pix2pix signed."""
    return not os.path.lexists(path) or is_signed_picture(path)


def remove_folder(path: Path, names: Collection[str]) -> bool:
    """Delete a folder that holds no files other than `names`; return whether it is gone. Links are not followed.

    Raises OSError where a file cannot be deleted.
    """
    if path.is_symlink() or not holds_only(path, names):
        return False
    for name in names:
        (path / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a file was added meanwhile
        path.rmdir()
    return not path.exists()


def leftovers(folder: Path) -> list[Path]:
    """Return the temporary files of killed processes in a run folder, by their exact names; links are skipped."""
    paths = []
    for below, pattern in _LEFTOVERS.items():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder / below) as entries:
            paths += [
                folder / below / entry.name
                for entry in entries
                if pattern.fullmatch(entry.name) and not entry.is_symlink()
            ]
    return paths


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of killed processes in a run folder. Raises OSError where one cannot be deleted."""
    for path in leftovers(folder):
        if path.is_dir():
            remove_folder(path, CHECKPOINT_FILES)
        else:
            path.unlink(missing_ok=True)


def holds_only(path: Path, names: Collection[str]) -> bool:
    """Return whether a path is a folder that holds only plain files of `names`. Raises OSError."""
    try:
        with os.scandir(path) as entries:
            return all(entry.name in names and entry.is_file(follow_symlinks=False) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
