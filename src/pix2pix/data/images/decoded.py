"""Images in memory as arrays of their own number type, upright; and resizing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from pix2pix.data.images import codecs
from pix2pix.errors import DataError

_MODES = {  # Pillow's mode: the number of channels after decoding, and their type
    **dict.fromkeys(("1", "L", "P"), (1, "uint8")),
    **dict.fromkeys(("LA", "La"), (2, "uint8")),
    **dict.fromkeys(("RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"), (3, "uint8")),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), (4, "uint8")),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), (1, "uint16")),
    "I": (1, "int32"),
    "F": (1, "float32"),
}
_CONVERTED = {  # modes that are converted before decoding
    **dict.fromkeys(("RGBX", "CMYK", "YCbCr", "HSV"), "RGB"),
    **{"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA"},
}
_WITH_KEY = frozenset({"1", "L", "RGB", "I;16"})  # modes of which one value may be transparent (PNG's tRNS)
_WITH_ALPHA = frozenset({"LA", "La", "RGBA", "RGBa", "PA"})


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, upright, with all its values."""

    pixels: np.ndarray  # [H, W, C] in its own type, perhaps read-only; uint8 indices [H, W, 1] where there is a palette
    palette: np.ndarray | None = None  # uint8 [n, 3], or [n, 4] with transparency; every index is in it
    alpha: bool = False  # the last channel of its colours is transparency
    bits: int = 8  # of a grey value in the file: 1, 2, 4 or 8; fewer than 8 are scaled to 0..255

    def colours(self) -> np.ndarray:
        """Return the pixels, with the palette applied where there is one: then uint8 [H, W, 3 | 4]."""
        return self.pixels if self.palette is None else self.palette[self.pixels[..., 0]]


def orientation_of(image: Image.Image) -> object:
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def channels_of(image: Image.Image) -> tuple[int, str]:
    channels, dtype = _MODES[image.mode]
    if image.mode == "I" and getattr(image, "tag_v2", {}).get(258) == (16,):  # of a TIFF: Pillow has no int16
        dtype = "int16"
    if image.mode == "I" and image.format == "PPM":
        dtype = "uint16"
    return channels + (image.mode in _WITH_KEY and "transparency" in image.info), dtype


def has_alpha(image: Image.Image) -> bool:
    """Return whether an image has transparency; a TIFF, only where its tags say that the last channel is alpha."""
    meaning = getattr(image, "tag_v2", {}).get(338, (2,))  # ExtraSamples
    keyed = (image.mode in _WITH_KEY or image.mode == "P") and "transparency" in image.info
    return keyed or (image.mode in _WITH_ALPHA and meaning[:1] in ((1,), (2,)))


def decode_image(image: Image.Image | np.ndarray, name: str | Path = "image") -> DecodedImage:
    """Decode an image in memory as `read_image` decodes a file; an array is [H, W] or [H, W, C].

    Raises DataError, with `name` as the source, where it has no pixels or is not an image.
    """
    if isinstance(image, np.ndarray):
        return DecodedImage(codecs.native(codecs.raster(image, name)))
    if not isinstance(image, Image.Image):
        raise DataError(
            f"is a {type(image).__name__}", path=name, remedy="give a PIL image or an array [H, W] or [H, W, C]"
        )
    if not image.width or not image.height:
        raise DataError("has no pixels", path=name)
    if image.mode not in _MODES:
        raise DataError(f"is of Pillow's mode {image.mode}, which is not read", path=name, remedy="convert it to RGB")
    orientation, dtype = orientation_of(image), channels_of(image)[1]
    if image.mode == "LAB":
        image = _lab_to_rgb(image)
    pixels = np.asarray(image.convert(_CONVERTED[image.mode]) if image.mode in _CONVERTED else image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = pixels.astype(dtype, copy=False)
    palette = _palette(image, pixels) if image.mode == "P" else None
    if image.mode in _WITH_KEY and "transparency" in image.info:
        opaque = (pixels != image.info["transparency"]).any(2, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.iinfo(pixels.dtype).max], 2, dtype=pixels.dtype, casting="unsafe")
    alpha = has_alpha(image) if palette is None else palette.shape[1] == 4
    bits = 1 if image.mode == "1" else 8
    return DecodedImage(pixels if orientation == 1 else codecs.turn(pixels, orientation), palette, alpha, bits)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # only in-place conversion gives None
    return converted


def _palette(image: Image.Image, indices: np.ndarray) -> np.ndarray:
    """Return the palette, uint8 [n, 3], or [n, 4] with transparency; indices beyond it are black, as in Pillow."""
    transparency = image.info.get("transparency")
    opaque = transparency is None and image.palette is not None and image.palette.mode == "RGB"
    mode = "RGB" if opaque else "RGBA"
    colours = np.array(image.getpalette(mode), np.uint8).reshape(-1, len(mode))
    missing = np.zeros((max(0, int(indices.max()) + 1 - len(colours)), len(mode)), np.uint8)
    missing[:, 3:] = 255
    colours = np.concatenate([colours, missing])
    if isinstance(transparency, bytes):
        colours[: len(transparency), 3] = np.frombuffer(transparency, np.uint8)[: len(colours)]
    elif transparency is not None:
        colours[transparency : transparency + 1, 3] = 0
    return colours


def as_pil(pixels: np.ndarray, palette: np.ndarray | None = None) -> Image.Image:
    """Convert [H, W, C] to a PIL image, of mode P where there is a palette; the inverse of `decode_image`.

    Raises DataError where Pillow has no mode for it.
    """
    channels, dtype = pixels.shape[2], pixels.dtype.name
    if not (channels == 1 and dtype in ("uint8", "uint16", "float32")) and not (channels <= 4 and dtype == "uint8"):
        raise DataError(f"PIL has no image of {channels}-channel {dtype} pixels; call translate() with arrays instead")
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if palette is not None:
        image.putpalette(palette.tobytes(), "RGBA" if palette.shape[1] == 4 else "RGB")
    return image


def resize(pixels: np.ndarray, size: tuple[int, int], interpolation: str, alpha: bool = False) -> np.ndarray:
    """Resize [H, W, C] to `size` (H, W); return the same array where it already has that size.

    "bicubic" and "bilinear" are antialiased, and integers are rounded. "nearest" only copies values. Types are uint8,
    uint16, float32 and bool. With `alpha`, the last channel is transparency, which weights the colours of uint8.
    """
    if pixels.shape[:2] == tuple(size):
        return pixels
    resample = Image.Resampling[interpolation.upper()]
    channels = pixels.shape[2]
    if pixels.dtype == np.uint8 and channels in ((2, 4) if alpha else (1, 3)):
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels).resize(size[::-1], resample)
        resized: np.ndarray = np.asarray(image).reshape(*size, channels)
        return resized
    if resample == Image.Resampling.NEAREST:
        rows, columns = (_nearest(*sides) for sides in zip(pixels.shape[:2], size, strict=True))
        plane: np.ndarray = pixels[rows][:, columns]
        return plane
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(pixels, 2, 0)]
    resized = np.stack([np.asarray(plane.resize(size[::-1], resample)) for plane in planes], 2)
    if pixels.dtype.kind == "f":
        return resized
    low, high = (0, 1) if pixels.dtype.kind == "b" else (np.iinfo(pixels.dtype).min, np.iinfo(pixels.dtype).max)
    rounded: np.ndarray = np.clip(np.rint(resized), low, high).astype(pixels.dtype)
    return rounded


def _nearest(old: int, new: int) -> np.ndarray:
    """Return the source row, of `old`, of each of `new` rows, by Pillow's rule, so that all number types agree."""
    rows = Image.fromarray(np.arange(old, dtype=np.int32)[None])
    chosen: np.ndarray = np.asarray(rows.resize((new, 1), Image.Resampling.NEAREST))[0]
    return chosen
