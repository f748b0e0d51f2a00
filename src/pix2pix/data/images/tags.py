"""The tags of a TIFF with its georeference and resolution, to copy them to another TIFF."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from pix2pix.data.images.info import GDAL_NODATA, TIFF_MAGICS, Nodata
from pix2pix.data.images.storage import open_file

if TYPE_CHECKING:
    from collections.abc import Iterable

# ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams (OGC GeoTIFF
# 1.1, 7.4.1) and GDAL_METADATA.
_GEOREFERENCE = (33550, 33922, 34264, 34735, 34736, 34737, 42112)
_RESOLUTION = (282, 283, 296)  # XResolution, YResolution, ResolutionUnit (TIFF 6.0, section 8)
_ORIENTATION = 274
_ASCII, _RATIONAL = 2, 5
_LETTERS = {2: "s", 3: "H", 4: "I", 5: "2I", 11: "f", 12: "d"}  # TIFF's number types as tifffile writes them


@dataclass(frozen=True)
class TiffTags:
    """Tags by number: the number type (TIFF 6.0) and the values."""

    values: dict[int, tuple[int, Any]]

    def with_nodata(self, nodata: Nodata | None) -> "TiffTags":
        """Return the tags with this value as GDAL_NODATA."""
        return self if nodata is None else replace(self, values={**self.values, GDAL_NODATA: (_ASCII, _text(nodata))})

    def for_pillow(self) -> ImageFileDirectory_v2:
        """Return the tags as Pillow writes them."""
        directory = ImageFileDirectory_v2()
        for code, (kind, value) in self.values.items():
            directory.tagtype[code] = kind
            directory[code] = value
        return directory

    def for_tifffile(self) -> dict[str, Any]:
        """Return the tags as arguments of `tifffile.imwrite`."""
        values = {code: (kind, _as_tuple(value)) for code, (kind, value) in self.values.items()}
        options: dict[str, Any] = {}
        if all(code in values for code in _RESOLUTION[:2]):
            options["resolution"] = tuple(_fraction(values[code][1][0]) for code in _RESOLUTION[:2])
            options["resolutionunit"] = values[296][1][0] if 296 in values else 2
        options["extratags"] = [
            (code, _LETTERS[kind], 0 if kind == _ASCII else len(value), value[0] if kind == _ASCII else value, True)
            for code, (kind, value) in sorted(values.items())
            if code not in _RESOLUTION
        ]
        return options


def read_tags(path: Path) -> TiffTags:
    """Return the tags of a TIFF to copy; none for other files, or if the orientation tag rotates the image."""
    with open_file(path) as file:
        head = file.read(16)
        if head[:4] not in TIFF_MAGICS:
            return TiffTags({})
        is_big = head[2:4] in (b"+\0", b"\0+")
        directory = ImageFileDirectory_v2(head if is_big else head[:8])
        file.seek(directory.next)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tags that are not copied
            directory.load(file)
        if directory.get(_ORIENTATION, 1) != 1:
            return TiffTags({})
        return TiffTags(dict(_copied(directory, (*_GEOREFERENCE, *_RESOLUTION))))


def _copied(directory: ImageFileDirectory_v2, codes: "Iterable[int]") -> "Iterable[tuple[int, tuple[int, Any]]]":
    for code in codes:
        if code in directory and directory.tagtype[code] in _LETTERS:
            yield code, (directory.tagtype[code], directory[code])


def _text(nodata: Nodata) -> str:
    if isinstance(nodata, str):
        return nodata
    return repr(int(nodata) if nodata % 1 == 0 and abs(nodata) < 1e15 else nodata)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _fraction(value: Any) -> tuple[int, int]:
    rational = value if isinstance(value, IFDRational) else IFDRational(value)
    return int(rational.numerator), int(rational.denominator)
