"""Lists of the pairs of each split, such as `train.txt` or VOC's ImageSets, with a name or a path on each line."""

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pix2pix.data.discovery.words import SPLIT_NAME, split_named
from pix2pix.data.images.files import is_image
from pix2pix.data.images.storage import is_file, open_file
from pix2pix.errors import DataError

_FOLDERS = ("", "splits", "ImageSets/Segmentation", "ImageSets/Main", "ImageSets")
LIST_NAMES = tuple(f"{name}.txt" for name in SPLIT_NAME.split("|"))


@dataclass(frozen=True)
class SplitList:
    """The lines of a list: each with its location (file:line), its first name or path, and its second one or ""."""

    path: Path
    lines: tuple[tuple[str, str, str], ...]

    def restrict(
        self, root: Path, sides: Sequence[Mapping[str, Path]], missing: list[tuple[str, Path]] | None
    ) -> tuple[list[dict[str, Path]], list[bool]]:
        """Reduce the side that the list names to the listed images; return all sides, and which were not reduced.

        `missing`: a list that collects (line, path) of absent images, instead of raising DataError.
        """
        lookups = [_lookup(root, side) for side in sides]
        matches = [[_find(lookup, name) for _, name, _ in self.lines] for lookup in lookups]
        listed = max(range(len(sides)), key=lambda side: sum(name is not None for name in matches[side]))
        absent = [line for line, name in zip(self.lines, matches[listed], strict=True) if name is None]
        if absent and missing is None:
            location, name, _ = absent[0]
            others = f" (and {len(absent) - 1} more lines)" if absent[1:] else ""
            raise DataError(
                f"lists {name!r}, and there is no such image{others}",
                path=location,
                remedy="add the image, remove the line, or set data.unmatched to skip",
                code="split-list",
            )
        if missing is not None:
            missing += [(location, Path(name)) for location, name, _ in absent]
        names = {name for name in matches[listed] if name is not None}
        reduced = [
            {name: path for name, path in side.items() if index != listed or name in names}
            for index, side in enumerate(sides)
        ]
        return reduced, [index != listed for index in range(len(sides))]

    def require_partners(self, files: Mapping[str, tuple[Path, ...]]) -> None:
        """Raise DataError if the second file on a line is not the partner of the first."""
        partners = {paths[0].stem: paths[-1].stem for paths in files.values()}
        for location, name, second in self.lines:
            partner = partners.get(_stem(name).rpartition("/")[2])
            if is_image(Path(second)) and partner not in (None, Path(second).stem):
                raise DataError(
                    f"lists {second!r} as the partner of {name!r}, whose partner by name is {partner!r}",
                    path=location,
                    remedy="set data.manifest to a table of the pairs",
                    code="split-list",
                )


def find_split_lists(root: Path) -> dict[str, SplitList]:
    """Return the lists of a data set by split. Raises DataError if two are of the same split, or one is empty."""
    for folder in _FOLDERS:
        paths = [path for name in LIST_NAMES if is_file(path := root / folder / name)]
        lists: dict[str, SplitList] = {}
        for path in paths:
            split = split_named(path.stem) or ""
            if split in lists:
                raise DataError(
                    f"is a list of the split {split}, and so is {lists[split].path}", path=path,
                    remedy="rename one of them", code="split-list",
                )  # fmt: skip
            lists[split] = _read(path)
        if lists:
            return lists
    return {}


def _read(path: Path) -> SplitList:
    lines = []
    try:
        with io.TextIOWrapper(open_file(path), encoding="utf-8-sig") as file:
            for number, text in enumerate(file, start=1):
                cells = text.replace("\\", "/").split()
                if cells:
                    lines.append((f"{path}:{number}", cells[0], cells[1] if cells[1:] else ""))
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", path=path, remedy="save it as UTF-8", code="split-list") from None
    if not lines:
        raise DataError(
            "lists no images", path=path, remedy="write a name on each line, or remove it", code="split-list"
        )
    return SplitList(path, tuple(lines))


def _stem(name: str) -> str:
    return os.path.splitext(name)[0] if is_image(Path(name)) else name


def _lookup(root: Path, side: Mapping[str, Path]) -> dict[str, str]:
    """Return the names of a side by what a list may call them: the name, the path below the root, or the file name."""
    files = {
        name: _stem((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
        for name, path in side.items()
    }
    stems = Counter(path.stem for path in side.values())
    by_stem = {path.stem: name for name, path in side.items() if stems[path.stem] == 1}
    return by_stem | {file: name for name, file in files.items()} | {name: name for name in side}


def _find(lookup: Mapping[str, str], listed: str) -> str | None:
    """Return the name that a line refers to, by its whole path or else by the longest end of it that is known."""
    parts = _stem(listed).strip("/").split("/")
    return next((lookup[key] for i in range(len(parts)) if (key := "/".join(parts[i:])) in lookup), None)
