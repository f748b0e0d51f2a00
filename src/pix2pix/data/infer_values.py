"""Infer the range and the nodata value of images from a sample, unless the config sets them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pix2pix.config import ImageFormatConfig
from pix2pix.config.data import Nodata, PercentileRange, Range
from pix2pix.data.formats.image_format import FULL_RANGE, DType, fits
from pix2pix.data.formats.mismatch import Mismatch, require_finite
from pix2pix.data.formats.values import crowding, find_nodata, full_range, is_missing, percentile_ranges
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.errors import DataError


@dataclass(frozen=True)
class Values:
    """The fields of an `ImageFormat` that describe values, and observations, one sentence each."""

    range: Range
    nodata: Nodata | None = None
    clip: bool = False
    channel_ranges: tuple[Range, ...] | None = None
    notes: tuple[str, ...] = ()


def infer_values(
    settings: ImageFormatConfig,
    name: str,
    dtype: DType,
    channels: int,
    alpha: bool,
    tags: Sequence[Nodata | None],
    read: Callable[[], Sequence[tuple[object, DecodedImage]]],
) -> Values:
    """Return the range and the nodata value of one side; `name` is input or target, `settings` its config section.

    `tags`: the nodata value in the header of each sampled file. `read` returns the names and images of the sample, and
    is called only if their values matter. Raises DataError.
    """
    key = f"data.{name}_format"
    _require_possible(settings, key, dtype, alpha)
    given = settings.range if isinstance(settings.range, tuple) else None
    if dtype == "uint8" and not isinstance(settings.range, PercentileRange):
        return Values(given or FULL_RANGE[dtype], None if settings.nodata == "auto" else settings.nodata)
    sample = [
        (file, image.colours().astype(dtype, copy=False))
        for file, image in read()
        if image.colours().dtype.name == dtype or (dtype, image.pixels.dtype.name) == ("float32", "int16")
    ]
    arrays = [pixels for _, pixels in sample]
    nodata, how = find_nodata(arrays, tags, dtype) if settings.nodata == "auto" else (settings.nodata, "")
    notes = [f"{name} values of {nodata} are missing ones, {how}; if not, set {key}.nodata: null"] if how else []
    valid = [_valid(file, pixels, nodata, dtype, f"{key}.nodata") for file, pixels in sample]
    if isinstance(settings.range, PercentileRange):
        split = [
            [pixels[..., n][mask[..., n]] for (_, pixels), mask in zip(sample, valid, strict=True)]
            for n in range(channels)
            if all(pixels.shape[2] == channels for pixels in arrays)
        ]
        if not split:
            split = [[pixels[mask] for pixels, mask in zip(arrays, valid, strict=True)]]
        ranges = percentile_ranges(split, settings.range, dtype)
        ends = min(low for low, _ in ranges), max(high for _, high in ranges)
        return Values(ends, nodata, True, tuple(ranges) if len(ranges) > 1 else None, tuple(notes))
    values = [present for pixels, mask in zip(arrays, valid, strict=True) if (present := pixels[mask]).size]
    if not values:
        return Values(given or FULL_RANGE.get(dtype, (0.0, 1.0)), nodata, notes=tuple(notes))
    limits = given or full_range(values, dtype)
    if crowded := crowding(values, limits):
        low, high, share = crowded
        notes.append(
            f"99.9 % of the sampled {name} values lie in {low:g} to {high:g}, {share:.1%} of the range {limits[0]:g} "
            f"to {limits[1]:g}; set {key}.range: {{percentiles: [0.1, 99.9]}} to use all of it for them"
        )
    return Values(limits, nodata, notes=tuple(notes))


def _require_possible(settings: ImageFormatConfig, key: str, dtype: DType, alpha: bool) -> None:
    if settings.nodata not in ("auto", None) and not fits(settings.nodata, dtype):
        raise DataError(
            f"{key}.nodata {settings.nodata} cannot occur in {dtype} pixels; set it to a value of the files"
        )
    if alpha and isinstance(settings.range, PercentileRange):
        raise DataError(f"{key}.range: percentiles do not go with transparency; set {key}.channels, or [low, high]")


def _valid(file: object, pixels: np.ndarray, nodata: Nodata | None, dtype: DType, key: str) -> np.ndarray:
    """Return a mask of the pixels that have a value. Raises DataError if such a value is NaN or infinite."""
    missing = np.zeros(pixels.shape, bool) if nodata is None else is_missing(pixels, nodata)
    try:
        require_finite(pixels, missing, key)
    except Mismatch as mismatch:
        raise mismatch.error(file, fixed=False) from None
    return ~missing
