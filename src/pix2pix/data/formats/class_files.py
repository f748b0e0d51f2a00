"""Read the names, and in some formats the colours, of classes from a text file next to label images."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pix2pix.data.formats.content import Colour

NAMES = ("class_dict.csv", "label_colors.txt", "classes.txt", "labels.txt")  # colours before plain names
_LEVELS = 3  # folders above the images that are searched
_LARGEST = 2**20  # bytes
_COLOURED = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(.+)")  # R G B name
_NUMBERED = re.compile(r"(\d{1,5})(?:\s*[:,]\s*|\s+)(.+)")  # 0: name


@dataclass(frozen=True)
class ClassFile:
    """The classes that a file lists, in its order; `colours` is empty if it has only names."""

    path: Path
    names: tuple[str, ...]
    colours: tuple[Colour, ...] = ()


def find_class_file(image: Path, root: Path | None = None) -> ClassFile | None:
    """Return the classes listed next to an image or in the folders above it, up to `root`, or None.

    A file that lists no classes, or cannot be read, is skipped.
    """
    for folder in list(image.parents)[:_LEVELS]:
        for path in _candidates(folder):
            classes = _read(path)
            if classes is not None:
                return classes
        if root is not None and folder == root:
            break
    return None


def _candidates(folder: Path) -> Iterator[Path]:
    try:
        files = {path.name.lower(): path for path in sorted(folder.glob("*.[ctCT]*")) if path.is_file()}
    except OSError:
        return
    yield from (files[name] for name in NAMES if name in files)


def _read(path: Path) -> ClassFile | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = list(_csv_rows(lines)) if path.suffix.lower() == ".csv" else _coloured_rows(lines)
    if rows:
        colours = tuple(colour for colour, _ in rows)
        distinct = len(set(colours)) == len(colours) and all(max(colour) <= 255 for colour in colours)
        return ClassFile(path, tuple(name for _, name in rows), colours) if distinct else None
    names = _plain_names(lines) if path.suffix.lower() == ".txt" else ()
    return ClassFile(path, names) if len(names) > 1 else None


def _csv_rows(lines: Sequence[str]) -> Iterator[tuple[Colour, str]]:
    """Yield (colour, name) of the columns name, r, g and b, in any order."""
    for row in csv.DictReader(lines, skipinitialspace=True):
        cells = {str(key).strip().lower(): value for key, value in row.items()}
        try:
            red, green, blue = (int(cells[key]) for key in "rgb")
            yield (red, green, blue), cells["name"].strip()
        except (KeyError, ValueError, TypeError, AttributeError):
            return


def _coloured_rows(lines: Sequence[str]) -> list[tuple[Colour, str]]:
    """Return (colour, name) of lines `R G B name`; none unless all lines are like that."""
    rows = [_COLOURED.fullmatch(line) for line in lines]
    matches = [match for match in rows if match is not None]
    if len(matches) < len(rows):
        return []
    return [((int(match[1]), int(match[2]), int(match[3])), match[4].strip()) for match in matches]


def _plain_names(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the names of lines `name`, or `id name` where the ids count from 0."""
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    matches = [match for match in numbered if match is not None]
    if len(matches) == len(lines):
        ids = [int(match[1]) for match in matches]
        if ids[:1] != [0] or any(after != before + 1 for before, after in pairwise(ids)):
            return ()
        lines = [match[2].strip() for match in matches]
    is_list_of_files = any("/" in line or "\\" in line or Path(line).suffix.lower() in _IMAGES for line in lines)
    return () if is_list_of_files or len(set(lines)) < len(lines) else tuple(lines)


_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".npy", ".webp")
