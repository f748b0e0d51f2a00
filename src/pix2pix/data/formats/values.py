"""The values of a sample of images: the one that marks missing measurements, and the range of the others.

The rules are in docs/your-own-pairs.md, under "Missing values" and "Ranges".
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pix2pix.config.data import Nodata, PercentileRange
from pix2pix.data.formats.image_format import FULL_RANGE, fits

# Values by which programs and formats mark missing measurements (GDAL, ESRI, SRTM, netCDF).
_MARKS = np.array(
    [*(-999, -9999, -99999, -32767, -32768, 65535, 9999, 99999), *(-3.4028235e38, 3.4028235e38, 1e20, 9.96921e36)],
    np.float32,
)
_HUGE = 1e6  # a value without a name must be at least this large
_APART = 1000  # and this many times as far from the others as they are from each other
_DISTINCT = 16  # minimum number of distinct other values; with fewer, the image may be a mask
_SENSOR_BITS = (10, 12, 14, 16)
_SAMPLED = 1 << 18  # values of a channel of an image that percentiles are computed from
_BULK, _NARROW = 99.9, 0.05  # percent of the values, and the share of the range in which they are crowded

Pixels = NDArray[np.generic]


def nodata_value(nodata: Nodata) -> float:
    """Return the value of stored pixels: the nearest float32, perhaps infinite, where they are floats."""
    with np.errstate(over="ignore"):
        return float(np.float32(nodata))


def is_missing(pixels: Any, nodata: Nodata) -> Any:
    """Return where pixels, an array or a tensor, have no value: bools of the same shape."""
    return pixels != pixels if nodata == "nan" else pixels == nodata_value(nodata)


def find_nodata(arrays: Sequence[Pixels], tags: Sequence[Nodata | None], dtype: str) -> tuple[Nodata | None, str]:
    """Return the value that marks missing pixels, and how it was found; (None, "") where there is none.

    `tags`: what the files' GDAL_NODATA tags say. Without tags, only a value of 16-bit or float images that is far
    beyond all others is taken: a usual mark at least as far from them as they are from each other, or any huge value
    that is much farther.
    """
    tagged = [tag for tag in tags if tag is not None and fits(tag, dtype)]
    if tagged:
        return Counter(tagged).most_common(1)[0][0], "by the files' GDAL_NODATA tag"
    ends = [end for array in arrays if np.isfinite(array).all() for end in (array.min(), array.max())]
    if len(ends) < 2 * len(arrays):
        return None, ""  # NaN without a tag is refused when the files are read
    for mark in sorted({float(min(ends)), float(max(ends))}, key=abs, reverse=True):
        if others := _others(arrays, mark, dtype):
            return mark, f"far beyond the others, {others[0]:g} to {others[1]:g}"
    return None, ""


def _others(arrays: Sequence[Pixels], mark: float, dtype: str) -> tuple[float, float] | None:
    """Return the range of the other values if `mark` is far beyond them, else None."""
    known = bool(np.isin(np.float32(mark), _MARKS))
    if not known and (dtype != "float32" or abs(mark) < _HUGE):
        return None
    rest = [values for array in arrays if (values := array[array != mark]).size]
    if not rest:
        return None
    low, high = float(min(values.min() for values in rest)), float(max(values.max() for values in rest))
    gap, span = max(low - mark, mark - high), high - low
    distinct = np.unique(np.concatenate([_thinned(values) for values in rest])).size
    far = gap >= span if known else gap >= _APART * span
    return (low, high) if far and distinct >= _DISTINCT else None


def _thinned(values: Pixels) -> Pixels:
    return values[:: -(-values.size // _SAMPLED)]


def full_range(arrays: Sequence[Pixels], dtype: str) -> tuple[float, float]:
    """Return a range for all valid values [n] of each image: that of the number type, of the sensor, or rounded."""
    low, high = float(min(array.min() for array in arrays)), float(max(array.max() for array in arrays))
    if dtype == "uint16":
        return 0.0, float(next(2**bits - 1 for bits in _SENSOR_BITS if high < 2**bits))
    if low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    return _rounded_outward(low, high)


def _rounded_outward(low: float, high: float) -> tuple[float, float]:
    """Widen a range, since a sample does not show every value, and round its ends outward to two digits."""
    room = (high - low) / 20 or max(abs(high), 1) / 2
    low, high = (0.0 if low >= 0 else low - room), (0.0 if high <= 0 else high + room)

    def round_out(value: float, up: bool) -> float:
        if value == 0:
            return 0.0
        unit = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
        return float((np.ceil if up else np.floor)(value / unit) * unit)

    return round_out(low, False), round_out(high, True)


def percentile_ranges(
    channels: Sequence[Sequence[Pixels]], settings: PercentileRange, dtype: str
) -> list[tuple[float, float]]:
    """Return one range for all channels, or one for each: between two percentiles of their valid values.

    `channels`: the valid values of each channel, one array [n] an image. Ends are rounded outward to whole numbers
    unless the pixels are floats. Values that are all equal get a range of 1 around them.
    """
    groups = channels if settings.by_channel else [[array for channel in channels for array in channel]]
    ranges = []
    for arrays in groups:
        values = np.concatenate([_thinned(array) for array in arrays]) if arrays else np.zeros(1)
        low, high = map(float, np.percentile(values.astype(np.float64), settings.percentiles))
        if dtype != "float32":
            low, high = float(np.floor(low)), float(np.ceil(high))
        if low == high:
            top = FULL_RANGE.get(dtype, (0, np.inf))[1]
            low, high = (low - 1, high) if high >= top else (low, high + 1)
        ranges.append((low, high))
    return ranges


def crowding(arrays: Sequence[Pixels], limits: tuple[float, float]) -> tuple[float, float, float] | None:
    """Return (low, high, share of the range) of the middle 99.9 % of the values [n]; None if the share is large."""
    values = np.concatenate([_thinned(array) for array in arrays]).astype(np.float64)
    low, high = map(float, np.percentile(values, [(100 - _BULK) / 2, (100 + _BULK) / 2]))
    share = (high - low) / (limits[1] - limits[0])
    return (low, high, share) if 0 < share <= _NARROW else None
