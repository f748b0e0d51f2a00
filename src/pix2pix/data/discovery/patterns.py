"""The layout of a data set whose files are given by patterns of their names."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.config.patterns import PLACEHOLDER, is_pattern
from pix2pix.data.discovery.folders import Folder
from pix2pix.data.discovery.names import token_ends, trimmed
from pix2pix.data.discovery.pairing import PairingSettings, Unmatched, pair_files
from pix2pix.data.discovery.sources import Listing, by_name, listing_of
from pix2pix.data.discovery.words import SPLIT_NAME, SPLITS, split_named
from pix2pix.errors import DataError

_REGEX = {"id": "(?P<id>[^/]+)", "split": f"(?P<split>(?i:{SPLIT_NAME}))"}


@dataclass(frozen=True)
class _File:
    split: str  # "" where the pattern has no {split}
    id: str
    path: Path


class PatternLayout:
    """The layout that the patterns data.input and data.target describe. Each folder is listed at most once.

    `splits`: the splits that have files, empty if no pattern has {split}. Raises OSError.
    """

    has_roles = True

    def __init__(self, data: DataConfig, root_folder: Folder | None = None):
        self.data, self.root = data, root_folder or Folder(Path(data.root or ""))
        inputs = [f"data.input[{i}]" for i in range(len(data.inputs))] if len(data.inputs) > 1 else ["data.input"]
        self.patterns = (*data.inputs, data.target or "")
        self.keys = (*inputs, "data.target")

    @cached_property
    def _files(self) -> list[list[_File]]:
        """The files of each side. One that matches `{id}.png` and `{id}_mask.png` belongs to the longer pattern."""
        sides = [list(self._matching(pattern)) for pattern in self.patterns]
        return [_own(files, [file for other in sides if other is not files for file in other]) for files in sides]

    @property
    def splits(self) -> list[str]:
        """The splits in which every side with {split} in its pattern has files."""
        splits_by_side = [{file.split for file in files} for files in self._with_split()]
        return [
            split for split in SPLITS if splits_by_side and all(split in side_splits for side_splits in splits_by_side)
        ]

    @property
    def is_empty(self) -> bool:
        """Whether one of the patterns matches no image."""
        return not all(self._files)

    def listing(self, split: str, unmatched: Unmatched | None = None) -> Listing:
        """List the pairs of a split, or all pairs if no pattern has {split}.

        Raises DataError if a pattern matches nothing, or two files with the same id, and as `pair_files` does.
        """
        for key, pattern, files in zip(self.keys, self.patterns, self._files, strict=True):
            if not files:
                raise self._no_match(key, pattern)
        if self._with_split() and split not in self.splits:
            raise DataError(
                f"{self.root.path}: the patterns data.input and data.target match no pairs of {split}; they match "
                f"{', '.join(self.splits) or 'no split on all sides'}",
                code="missing-split",
            )
        sides = [
            self._by_id(key, pattern, [file for file in files if file.split in ("", split)], unmatched)
            for key, pattern, files in zip(self.keys, self.patterns, self._files, strict=True)
        ]
        if self._with_split():  # a side without {split} also holds the files of the other splits
            wanted = {
                key for side, pattern in zip(sides, self.patterns, strict=True) if "{split}" in pattern for key in side
            }
            sides = [
                side if "{split}" in pattern else {key: path for key, path in side.items() if key in wanted}
                for side, pattern in zip(sides, self.patterns, strict=True)
            ]
        settings = PairingSettings(self.data.unmatched == "skip", unmatched, self.root.path, exact=True)
        folders = tuple(Path(pattern) for pattern in self.patterns)
        pairs = pair_files(f"{self.root.path}: patterns {' and '.join(self.patterns)}", folders, sides, settings)
        return listing_of("patterns", True, pairs, folders)

    def _with_split(self) -> list[list[_File]]:
        return [files for files, pattern in zip(self._files, self.patterns, strict=True) if "{split}" in pattern]

    def _matching(self, pattern: str) -> Iterator[_File]:
        """Yield the files that match a pattern, in the order of their paths."""
        base, rest = _static_folder(pattern)
        folder = self.root.at_path(base) if base else self.root
        if folder is None:
            return
        expression = _compiled(rest)
        images = folder.images() if "/" in rest else folder.own_images()
        for name, path in images:
            match = expression.fullmatch(name + os.path.splitext(path.name)[1])
            if match is not None:
                groups = match.groupdict()
                yield _File(split_named(groups.get("split")) or "", groups["id"], path)

    def _by_id(self, key: str, pattern: str, files: list[_File], unmatched: Unmatched | None) -> dict[str, Path]:
        try:
            return by_name(((file.id, file.path) for file in files), unmatched)
        except DataError as error:
            raise DataError(
                f"{key}: the pattern {pattern!r} gives two files one id ({error}); write more of the names into it, or "
                "**/{id} where their folders tell them apart",
                code="same-name",
            ) from None

    def _no_match(self, key: str, pattern: str) -> DataError:
        base, _ = _static_folder(pattern)
        folder = self.root.at_path(base) if base else self.root
        if folder is None:
            holds = f"{self.root.path / base}: no such folder; {self.root.path} holds {self.root.summary()}"
        else:
            example = next(iter(folder.images()), None)
            holds = f"{folder.path} holds {folder.summary()}" + (f", such as {example[1]}" if example else "")
        return DataError(f"{key}: the pattern {pattern!r} matches no image; {holds}; fix {key}", code="no-pairs")


def _own(files: list[_File], others: list[_File]) -> list[_File]:
    """Return the files of a side without those that match the longer pattern of another side, and others like these."""
    ids = {file.path: file.id for file in others}
    longer = {file.path for file in files if file.path in ids and len(ids[file.path]) < len(file.id)}
    if not longer:
        return files
    known = {*ids.values()}
    rest = [file for file in files if file.path not in longer]
    return [file for file in rest if file.id in known or not _starts_with_one_of(known, file.id)]


def _starts_with_one_of(ids: set[str], name: str) -> bool:
    """Return whether a name begins with one of the ids, followed by other tokens."""
    return any(trimmed(name[:end]) in ids for end in token_ends(name))


def _static_folder(pattern: str) -> tuple[str, str]:
    """Split a pattern into the folders without placeholders that it starts with, and the rest."""
    parts = pattern.split("/")
    count = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)
    base = "/".join(parts[:count])
    return base or ("/" if pattern.startswith("/") else ""), "/".join(parts[count:])


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of relative paths. `**/{id}` crosses folders; repeated placeholders match the same text."""
    seen: set[str] = set()
    crosses_folders = pattern.startswith("**/{id}") or "/**/{id}" in pattern
    text = pattern.replace("**/{id}", "{id}", 1) if crosses_folders else pattern
    parts = re.split(r"(\*\*/|\*|\{id\}|\{split\})", text)
    expression = ""
    for part in parts:
        if part == "**/":
            expression += "(?:[^/]+/)*"
        elif part == "*":
            expression += "[^/]*"
        elif placeholder := PLACEHOLDER.fullmatch(part):
            name = placeholder[1]
            first = "(?P<id>.+)" if name == "id" and crosses_folders else _REGEX[name]
            expression += f"(?P={name})" if name in seen else first
            seen.add(name)
        else:
            expression += re.escape(part)
    return re.compile(expression)
