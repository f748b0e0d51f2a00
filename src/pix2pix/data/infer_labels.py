"""Infer the classes of label files from their ids or colours, and read class names from a file next to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pix2pix.config import ImageFormatConfig
from pix2pix.data.formats.class_files import ClassFile
from pix2pix.data.formats.content import Colour, content_of
from pix2pix.data.formats.image_format import ImageFormat, SampleNote, label_dtype
from pix2pix.data.formats.kinds import VOID, has_void
from pix2pix.data.formats.labels import ids_of
from pix2pix.data.formats.mismatch import Mismatch
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.errors import DataError

_SHOWN = 8  # ids or colours that a note lists
_MOST_COLOURS = 256  # classes of a colour table that is inferred from files
_LOSSY = (".jpg", ".jpeg", ".jfif", ".mpo")

Palette = tuple[Colour, ...]


@dataclass
class Labels:
    """The format of label files, without its suffix, and observations about them."""

    fmt: ImageFormat
    notes: list[str] = field(default_factory=list)


@dataclass
class _LabelStats:
    """What the sampled files hold: ids, palettes with the ids that each file uses, and the colours of colour files."""

    ids: set[int] = field(default_factory=set)
    palettes: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # uint8 [n, 3], and the used ids
    colours: set[Colour] = field(default_factory=set)
    has_colour_files: bool = False
    is_exact: bool = True  # whether every colour file has few colours and none is a JPEG


def infer_labels(
    settings: ImageFormatConfig,
    name: str,
    files: Iterable[tuple[str | Path, DecodedImage]],
    listed: ClassFile | None,
    key: str,
    *,
    by_colour: bool = False,
    is_auto: bool = False,
) -> Labels:
    """Infer what `settings` leaves open in the format of label files, from the sample `files`.

    `listed`: the classes listed in a file beside them. `by_colour`: whether palette files are read by colour.
    `is_auto`: whether the kind was inferred; the id 255 is then ignored if it is far above the others. `name` and
    `key` are the side and its section in the config. Raises DataError if the id to ignore is that of a class.
    """
    stats = _LabelStats()
    for file, image in () if settings.palette is not None else files:
        _add_file(stats, image, file)
    ignore, palette, notes = settings.ignore, settings.palette, list[str]()
    is_table = palette is None and stats.is_exact and (stats.has_colour_files or by_colour)
    if is_table and 2 <= len(stats.colours) <= _MOST_COLOURS and settings.classes in (None, len(stats.colours)):
        palette, listed = _table(stats.colours, listed, name, notes)
    else:
        is_table = False
    snap = palette is not None
    if palette is not None:
        classes = len(palette)
    else:
        ignore = VOID if ignore is None and is_auto and has_void(stats.ids) else ignore
        classes = _count_classes(settings, stats.ids - {ignore}, name, key, notes, listed)
        palette = _common_palette(stats.palettes, classes)
    if ignore is not None and ignore < classes:
        raise DataError(
            f"{key}.ignore is {ignore}, which is one of the {classes} classes of the {name}s, 0 to {classes - 1}",
            remedy=f"set it to an id beyond them, such as 255, or set {key}.classes",
        )
    if ignore is not None and settings.ignore is None:
        notes.append(f"the id {ignore} of {name}s is ignored, as no class ({key}.ignore)")
    names = _names(listed, palette, classes, name, notes)
    dtype = label_dtype(classes, ignore)
    fmt = ImageFormat(
        *("labels", 1, dtype, (0.0, 1.0), classes, palette, snap), exact=is_table, ignore=ignore, class_names=names
    )
    return Labels(fmt, notes)


def _add_file(stats: _LabelStats, image: DecodedImage, file: str | Path) -> None:
    """Add what a file holds. Files without valid ids are refused later, when they are read."""
    if image.palette is not None or image.pixels.shape[2] >= 3:
        content = content_of(image, file)
        stats.colours.update(content.colours)
        lossy = Path(file).suffix.lower() in _LOSSY
        stats.is_exact &= content.few and bool(content.colours) and not lossy
        stats.has_colour_files |= content.storage == "colour"
    try:
        ids = np.unique(ids_of(image))
    except Mismatch:
        return
    stats.ids.update(ids.tolist())
    if image.palette is not None:
        stats.palettes.append((image.palette[:, :3], ids))


def _count_classes(
    settings: ImageFormatConfig, ids: set[int], name: str, key: str, notes: list[str], listed: ClassFile | None
) -> int:
    """Return the number of classes: that of the config, that of a class file, or the largest id + 1."""
    if settings.classes is not None:
        return settings.classes
    classes = min(max([2, *(index + 1 for index in ids)]), 65536)
    if listed is not None and not listed.colours and len(listed.names) >= classes:
        return len(listed.names)
    if 0 < len(ids) < classes:
        shown = ", ".join(map(str, sorted(ids)[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
        mask = f", or {key}.kind=mask" if len(ids) == 2 else ""
        notes.append(SampleNote(f"{name} labels: {classes} classes, {len(ids)} seen: {shown}; set {key}.classes{mask}"))
    return classes


def _table(
    colours: set[Colour], listed: ClassFile | None, name: str, notes: list[str]
) -> tuple[Palette, ClassFile | None]:
    """Return the colour of each class: in the order of a class file that lists most of them, else sorted."""
    if listed is not None and listed.colours:
        extra = sorted(colours - set(listed.colours))
        if 2 * len(extra) <= len(colours) and len(listed.colours) + len(extra) <= _MOST_COLOURS:
            if extra:
                shown = ", ".join(str(list(colour)) for colour in extra[:_SHOWN])
                notes.append(f"{name} colours that {listed.path.name} does not list become classes, too: {shown}")
            names = (*listed.names, *(f"colour {red} {green} {blue}" for red, green, blue in extra))
            return (*listed.colours, *extra), ClassFile(listed.path, names, (*listed.colours, *extra))
        notes.append(f"{listed.path.name} lists few of the colours of the {name}s and is not used")
        listed = None
    return tuple(sorted(colours)), listed


def _names(
    listed: ClassFile | None, palette: Sequence[Colour] | None, classes: int, name: str, notes: list[str]
) -> tuple[str, ...] | None:
    """Return the name of each class: by its colour if the file lists colours, else by its position."""
    if listed is None:
        return None
    by_colour = dict(zip(listed.colours, listed.names, strict=False))
    if palette is not None and by_colour and set(palette) <= set(by_colour):
        return tuple(by_colour[colour] for colour in palette)
    if len(listed.names) == classes and (not by_colour or palette is None):
        return listed.names
    notes.append(f"{listed.path.name} lists {len(listed.names)} classes, which do not fit the {classes} of the {name}s")
    return None


def _common_palette(palettes: Sequence[tuple[np.ndarray, np.ndarray]], classes: int) -> Palette | None:
    """Return the colour of each class in the first image that uses it, or in the longest palette."""
    colours = max((palette for palette, _ in palettes), key=len, default=np.zeros((0, 3), np.uint8))[:classes].copy()
    if len(colours) < classes:
        return None
    for palette, used in reversed(palettes):
        used = used[used < classes]
        colours[used] = palette[used]
    return tuple((red, green, blue) for red, green, blue in colours.tolist())
