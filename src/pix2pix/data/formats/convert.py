"""Convert the pixels of files to a format without loss, and pixels of a format to files and previews."""

import numpy as np

from pix2pix.data.formats.image_format import FULL_RANGE, ImageFormat
from pix2pix.data.formats.labels import decode_labels
from pix2pix.data.formats.mismatch import Mismatch, require_finite
from pix2pix.data.formats.values import is_missing, nodata_value
from pix2pix.data.images.decoded import DecodedImage, resize

_BINARY = ({0, 1}, {0, 255}, {0, 65535})


def decode(fmt: ImageFormat, image: DecodedImage, name: object, key: str | None = None) -> np.ndarray:
    """Return the pixels of a decoded file in the format `fmt`, [H, W, channels] of `fmt.dtype`, without any loss.

    Raises DataError, naming the file `name`, if its content does not fit. `key` is the section of the config that the
    message proposes to change; None if a trained generator determines the format.
    """
    decoder = {"image": _decode_image, "labels": decode_labels, "mask": _decode_mask}[fmt.kind]
    try:
        return decoder(fmt, image, key or "").astype(fmt.dtype, copy=False)
    except Mismatch as mismatch:
        raise mismatch.error(name, fixed=key is None) from None


def _decode_image(fmt: ImageFormat, image: DecodedImage, key: str) -> np.ndarray:
    pixels = image.colours()
    low, high = fmt.range
    if pixels.dtype == np.int16 and fmt.dtype == "float32":  # elevations: every value is a float, too
        pixels = pixels.astype(np.float32)
    if pixels.dtype.name != fmt.dtype:
        raise Mismatch(
            f"has {pixels.dtype.name} pixels",
            f"{fmt.dtype} is wanted here as in the others",
            "convert it, or keep files of one number type",
            trained_on=fmt.dtype,
            conversion=f"rescale it to {low:g} to {high:g}, as {fmt.dtype}",
        )
    missing = is_missing(pixels, fmt.nodata) if fmt.nodata is not None else None
    require_finite(pixels, missing, f"{key}.nodata")
    pixels = _fit_channels(pixels, image.alpha, fmt, key)
    if fmt.clip:
        low, high = np.array(fmt.ranges, fmt.dtype).T
        clipped = pixels.clip(low, high)
        return clipped if fmt.nodata is None else np.where(is_missing(pixels, fmt.nodata), pixels, clipped)
    values = pixels if fmt.nodata is None else pixels[~is_missing(pixels, fmt.nodata)]
    if fmt.range != FULL_RANGE.get(fmt.dtype) and values.size and (values.min() < low or values.max() > high):
        raise Mismatch(
            f"holds values from {values.min():g} to {values.max():g}",
            f"{low:g} to {high:g} is the range here",
            f"set {key}.range to what all files hold",
            trained_on=f"{low:g} to {high:g}",
            conversion="rescale it",
        )
    return pixels


def resized(fmt: ImageFormat, pixels: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Resize pixels [H, W, C] of a format to `size` (H, W). Labels, masks and missing values are never blended.

    A pixel near missing ones is the weighted mean of its valid neighbours, and is missing where these are less than
    half of the weight.
    """
    interpolation = fmt.interpolation or interpolation
    if fmt.nodata is None or pixels.shape[:2] == tuple(size):
        return resize(pixels, size, interpolation, fmt.alpha)
    missing = is_missing(pixels, fmt.nodata)
    if not missing.any():
        return resize(pixels, size, interpolation, fmt.alpha)
    if missing.all():
        return resize(pixels, size, "nearest")
    middle = pixels[~missing].mean(dtype=np.float64)
    centred = np.where(missing, 0, pixels - middle).astype(np.float32)
    valid = (~missing).astype(np.float32)
    weight = resize(valid, size, "bilinear")
    near = resize(centred, size, "bilinear") / np.maximum(weight, 1e-6)
    touched = (weight < 1) | (np.abs(1 - resize(valid, size, interpolation)) > 1e-6)
    values = np.where(touched, near, resize(centred, size, interpolation)) + middle
    if fmt.dtype != "float32":
        values = np.rint(values).clip(*FULL_RANGE[fmt.dtype])
    marked: np.ndarray = np.where(weight < 0.5, nodata_value(fmt.nodata), values).astype(fmt.dtype)
    return marked


def _decode_mask(fmt: ImageFormat, image: DecodedImage, key: str) -> np.ndarray:
    def not_binary(found: str) -> Mismatch:
        return Mismatch(
            found,
            "a mask is 0 and 1, or 0 and 255",
            f"cut it at a threshold and save it as PNG, or set {key}.kind to image or labels",
            trained_on="masks, 0 and 1 or 0 and 255",
            conversion="cut it at a threshold",
        )

    pixels = image.colours()
    opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
    try:
        pixels = _fit_channels(pixels, image.alpha, fmt, key, opaque)
    except Mismatch as mismatch:
        raise not_binary(mismatch.found) from None
    values = np.unique(pixels)
    if not any(pair.issuperset(values.tolist()) for pair in _BINARY):
        raise not_binary(f"holds {len(values)} values from {values[0]:g} to {values[-1]:g}")
    binary: np.ndarray = pixels != 0
    return binary


def _fit_channels(
    pixels: np.ndarray, alpha: bool, fmt: ImageFormat, key: str, opaque: float | None = None
) -> np.ndarray:
    """Return [H, W, fmt.channels]: three equal colours become grey and grey three, opaque alpha is added or dropped.

    `opaque` is the value of an opaque pixel, by default the upper end of the range. Raises Mismatch.
    """
    have, want = pixels.shape[2], fmt.channels

    def misfit(found: str, conversion: str = "give it as many") -> Mismatch:
        channels = "1 channel" if want == 1 else f"{want} channels"
        return Mismatch(
            found,
            f"{channels} {'is' if want == 1 else 'are'} wanted here as in the others",
            f"convert it, or set {key}.channels",
            trained_on=channels,
            conversion=conversion,
        )

    if have == want:
        return pixels
    opaque = fmt.range[1] if opaque is None else opaque
    colours, want_colours = have - alpha, want - fmt.alpha
    if colours not in (1, 3) or want_colours not in (1, 3):
        raise misfit("has 1 channel" if have == 1 else f"has {have} channels")
    shades, rest = pixels[..., :colours], pixels[..., colours:]
    if alpha and not fmt.alpha and (rest != opaque).any():
        raise misfit("has transparent pixels", "flatten it onto a colour")
    if colours > want_colours and (shades != shades[..., :1]).any():
        raise misfit("has colours", "convert it to grey")
    if colours != want_colours:
        shades = np.repeat(shades[..., :1], want_colours, axis=2)
    if not fmt.alpha:
        return shades
    return np.concatenate([shades, rest if alpha else np.full_like(pixels[..., :1], opaque)], axis=2)


def encode(pixels: np.ndarray, fmt: ImageFormat, suffix: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what `write_image` writes for pixels of a format: the values, and the palette of labels in a PNG.

    Masks become 0 and 255, which can be seen; in .npy they stay 0 and 1.
    """
    if fmt.kind == "mask" and suffix != ".npy":
        return pixels * np.uint8(255), None
    has_palette = fmt.kind == "labels" and fmt.dtype == "uint8" and suffix == ".png"
    return pixels, class_colours(fmt) if has_palette else None


def preview(pixels: np.ndarray, fmt: ImageFormat) -> np.ndarray:
    """Return uint8 RGB, [H, W, 3], that shows pixels [H, W, channels] of a format; information is lost.

    Label pixels of no class are white.
    """
    if fmt.kind == "labels":
        colours, ids = class_colours(fmt), pixels[..., 0]
        if fmt.ignore is not None:
            colours, ids = np.append(colours, [[255] * 3], 0).astype(np.uint8), np.minimum(ids, fmt.class_count)
        return np.take(colours, ids, axis=0)
    if fmt.kind == "mask":
        return np.repeat(pixels * np.uint8(255), 3, axis=2)
    if fmt.dtype != "uint8" or fmt.range != FULL_RANGE["uint8"] or fmt.nodata is not None:
        low, high = np.array(fmt.ranges, np.float32).T
        values = pixels.astype(np.float32)
        if fmt.nodata is not None:
            values = np.where(is_missing(pixels, fmt.nodata), low, values)  # black
        pixels = ((values - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    if fmt.alpha:  # over white
        alpha = pixels[..., -1:].astype(np.float32) / 255
        pixels = (pixels[..., :-1] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]


def class_colours(fmt: ImageFormat) -> np.ndarray:
    """Return the colour of each class, uint8 [classes, 3]: the palette, or else colours that are far apart."""
    if fmt.palette:
        return np.array(fmt.palette, np.uint8)
    hue = (np.arange(fmt.class_count) * 0.618034) % 1  # the golden ratio leaves the widest gaps
    wheel = np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return np.asarray(wheel.clip(0, 1) * 205 + 25, np.uint8)
