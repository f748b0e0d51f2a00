"""From a file's pixels to what a form keeps: changed only where nothing is lost, else refused with the remedy."""

import numpy as np

from pix2pix.data.formats.image_format import WHOLE, ImageFormat
from pix2pix.data.images.decoded import DecodedImage
from pix2pix.errors import DataError

_BINARY = ({0, 1}, {0, 255}, {0, 65535})


_MEND = {"has colours": "convert it to grey", "has transparent pixels": "flatten it onto a colour"}


def _refusal(name: object, found: str, key: str | None, here: str, there: str) -> DataError:
    """`here`: what is wanted in a data set, and the remedy; `there`: what a generator was trained on, and the remedy.

    `key`: the section of the config that may be changed, None where a generator is fixed.
    """
    return DataError(f"{found}, and {here if key else f'the generator was trained on {there}'}", path=str(name))


def _image(fmt: ImageFormat, picture: DecodedImage, name: object, key: str | None) -> np.ndarray:
    pixels = picture.colours()
    if pixels.dtype.name != fmt.dtype:
        here = f"{fmt.dtype} is wanted here as in the others; convert it, or keep files of one number type"
        low, high = fmt.range
        there = f"{fmt.dtype}; rescale it to {low:g} to {high:g}, as {fmt.dtype}"
        raise _refusal(name, f"has {pixels.dtype.name} pixels", key, here, there)
    require_finite(pixels, name)
    pixels = _fitted(pixels, picture.alpha, fmt.channels, fmt.alpha, fmt.range[1])
    if isinstance(pixels, str):
        several = fmt.channels != 1
        wanted = f"{fmt.channels} channel{'s are' if several else ' is'} wanted here as in the others"
        there = f"{fmt.channels} channel{'s' * several}; {_MEND.get(pixels, 'give it as many')}"
        raise _refusal(name, pixels, key, f"{wanted}; convert it, or set {key}.channels", there)
    if fmt.range != WHOLE.get(fmt.dtype):
        low, high = pixels.min(), pixels.max()
        if low < fmt.range[0] or high > fmt.range[1]:
            least, most = fmt.range
            here = f"{least:g} to {most:g} is the range here; set {key}.range to what all files hold"
            found = f"holds values from {low:g} to {high:g}"
            raise _refusal(name, found, key, here, f"{least:g} to {most:g}; rescale it")
    return pixels


def require_finite(pixels: np.ndarray, name: object) -> None:
    """Raises DataError, naming the first place in [H, W, C] that is NaN or infinite."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        row, column = np.argwhere(~np.isfinite(pixels).all(-1))[0]
        raise DataError(
            f"holds a non-finite number at row {row}, column {column}", path=str(name), remedy="fix or remove it"
        )


def _fitted(pixels: np.ndarray, alpha: bool, count: int, wants_alpha: bool, opaque: float) -> np.ndarray | str:
    """[H, W, count], or why not: grey as three equal colours and back, alpha that hides nothing added or left out."""
    have = pixels.shape[2]
    if have == count:
        return pixels
    colours, want = have - alpha, count - wants_alpha
    if colours not in (1, 3) or want not in (1, 3):
        return f"has {have} channel{'s' * (have != 1)}"
    shades, rest = pixels[..., :colours], pixels[..., colours:]
    if alpha and not wants_alpha and (rest != opaque).any():
        return "has transparent pixels"
    if colours > want and (shades != shades[..., :1]).any():
        return "has colours"
    shades = np.repeat(shades[..., :1], want, axis=2) if colours != want else shades
    if wants_alpha and not alpha:
        rest = np.full((*pixels.shape[:2], 1), opaque, pixels.dtype)
    return np.concatenate([shades, rest], axis=2) if wants_alpha else shades


def _labels(fmt: ImageFormat, picture: DecodedImage, name: object, key: str | None) -> np.ndarray:
    require_finite(picture.pixels, name)
    if fmt.snap and (colours := _to_snap(fmt, picture, name)) is not None:
        return nearest_colour(colours, fmt.palette, name)
    ids = ids_of(picture)
    if isinstance(ids, str):
        here = f"{_NO_IDS.get(ids, _NO_IDS[''])}, or store ids in a palette or grey picture".format(key=key)
        there = f"labels; store ids 0 to {fmt.classes - 1} in a palette or grey picture"
        raise _refusal(name, ids, key, here, there)
    low, high = ids.min(), ids.max()
    if low < 0 or high >= fmt.classes:
        worst = low if low < 0 else high
        row, column, _ = np.argwhere(ids == worst)[0]
        found = f"holds the id {worst} at row {row}, column {column}"
        wanted = f"{fmt.classes} classes, 0 to {fmt.classes - 1}"
        remedy = f"list all its colours in {key}.palette" if fmt.snap else f"set {key}.classes"
        raise _refusal(name, found, key, f"there are {wanted}; mend it, or {remedy}", f"{wanted}; renumber it")
    if fmt.palette and picture.palette is not None:
        _require_palette(fmt, picture.palette, ids, name, key)
    return ids


def _to_snap(fmt: ImageFormat, picture: DecodedImage, name: object) -> np.ndarray | None:
    """[H, W, 3], the colours to look up in the palette; None where it holds ids.

    Grey values are ids where all of them are below `classes`; else they are colours, if all are in the palette or the
    palette is of greys alone.
    """
    colours = picture.colours()
    if picture.alpha:
        if not colours[..., -1].all():
            raise DataError(
                "has transparent pixels, and no class has those", path=str(name), remedy="flatten it onto a colour"
            )
        colours = colours[..., :-1]
    if colours.shape[2] == 3:
        return colours
    ids = ids_of(picture)
    if isinstance(ids, str) or (ids.min() >= 0 and ids.max() < fmt.classes):
        return None
    greys = [red for red, green, blue in fmt.palette if red == green == blue]
    known = len(greys) == len(fmt.palette) or np.isin(colours, greys).all()
    return np.repeat(colours, 3, axis=2) if known else None


def _require_palette(fmt: ImageFormat, palette: np.ndarray, ids: np.ndarray, name: object, key: str | None) -> None:
    """Raises DataError where an id that is used has another colour than in the other files."""
    used = np.flatnonzero(np.bincount(ids.ravel()))
    own, others = palette[used, :3], np.array(fmt.palette, np.uint8)[used]
    different = np.flatnonzero((own != others).any(1))
    if len(different):
        id, own, others = (array[different[0]].tolist() for array in (used, own, others))
        here = (
            f"it is {others} in the others, so ids may not mean the same; list the colours of the classes in "
            f"{key}.palette"
        )
        there = f"{others} for it; renumber its ids by the palette of the training files"
        raise _refusal(name, f"has the colour {own} for the id {id}", key, here, there)


_NO_IDS = {  # why a picture holds none, and what to do
    "is a colour picture": "which colour is which class is not known; list the colours in {key}.palette",
    "holds fractions": "labels are whole ids; set {key}.kind to image",
    "has an alpha channel": "transparency is no class; save it without",
    "": "labels have one; save that alone",
}


def ids_of(picture: DecodedImage) -> np.ndarray | str:
    """The ids that a palette or grey picture holds, [H, W, 1]; or why it holds none. Opaque alpha is left out."""
    pixels = picture.pixels
    if picture.alpha and picture.palette is None:
        top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
        if pixels.shape[2] == 2 and (pixels[..., 1:] != top).any():
            return "has an alpha channel"
        pixels = pixels[..., :-1]
    if picture.bits < 8:
        pixels = pixels // (255 // (2**picture.bits - 1))  # as they are in the file
    if pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    if pixels.shape[2] != 1:
        return "is a colour picture" if pixels.shape[2] == 3 else f"has {pixels.shape[2]} channels"
    if pixels.dtype.kind == "f":
        if (pixels % 1 != 0).any():  # as where it is not finite
            return "holds fractions"
        pixels = pixels.astype(np.int64)
    return pixels


def nearest_colour(pixels: np.ndarray, palette: tuple[tuple[int, int, int], ...], name: object) -> np.ndarray:
    """[H, W, 1], the place in `palette` of the colour nearest to each of 8-bit RGB pixels. Raises DataError."""
    if pixels.dtype != np.uint8:
        raise DataError(
            f"has {pixels.dtype.name} colours, and the palette's are 8-bit", path=str(name), remedy="convert it"
        )
    colours = np.array(palette, np.float32)
    # |p - c|^2 but for |p|^2, which is the same for every c; exact in float32.
    distances = (colours**2).sum(1) - 2 * (pixels.astype(np.float32) @ colours.T)
    return distances.argmin(-1)[..., None]


def _mask(fmt: ImageFormat, picture: DecodedImage, name: object, key: str | None) -> np.ndarray:
    pixels = picture.colours()
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
    pixels = _fitted(pixels, picture.alpha, 1, False, top)
    found = pixels
    if not isinstance(pixels, str):
        values = np.unique(pixels)
        if any(some.issuperset(values.tolist()) for some in _BINARY):
            return pixels != 0
        found = f"holds {len(values)} values from {values[0]:g} to {values[-1]:g}"
    here = (
        "a mask is 0 and 1, or 0 and 255; cut it at a threshold and save it as PNG, or set "
        f"{key}.kind to image or labels"
    )
    raise _refusal(name, found, key, here, "masks, 0 and 1 or 0 and 255; cut it at a threshold")


_DECODERS = {"image": _image, "labels": _labels, "mask": _mask}


def decode(fmt: ImageFormat, image: DecodedImage, name: object, key: str | None = None) -> np.ndarray:
    """Return the pixels of a decoded file as `fmt` has them, [H, W, channels] of `fmt.dtype`, without any loss.

    Raises DataError, calling the file `name`, where it holds something else. `key` is the section of the config that
    the message proposes to change; None where a trained generator fixes the format.
    """
    return _DECODERS[fmt.kind](fmt, image, name, key).astype(fmt.dtype, copy=False)


def encode(pixels: np.ndarray, fmt: ImageFormat, suffix: str) -> tuple[np.ndarray, np.ndarray | None]:
    """What `write_image` is to write of pixels as kept: the pixels, and the palette of labels in a PNG.

    Masks are 0 and 255, which can be seen, but in .npy 0 and 1.
    """
    if fmt.kind == "mask" and suffix != ".npy":
        return pixels * np.uint8(255), None
    palette = fmt.kind == "labels" and fmt.dtype == "uint8" and suffix == ".png"
    return pixels, class_colours(fmt) if palette else None


def preview(pixels: np.ndarray, fmt: ImageFormat) -> np.ndarray:
    """uint8 [H, W, 3] of pixels [H, W, channels] as kept: to look at, never to keep."""
    if fmt.kind == "labels":
        return class_colours(fmt)[pixels[..., 0]]
    if fmt.kind == "mask":
        return np.repeat(pixels * np.uint8(255), 3, axis=2)
    if fmt.dtype != "uint8" or fmt.range != WHOLE["uint8"]:
        low, high = fmt.range
        pixels = ((pixels.astype(np.float32) - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    if fmt.alpha:  # over white
        alpha = pixels[..., -1:].astype(np.float32) / 255
        pixels = (pixels[..., :-1] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]


def class_colours(fmt: ImageFormat) -> np.ndarray:
    """uint8 [classes, 3]: the palette, or else colours that are far apart."""
    if fmt.palette:
        return np.array(fmt.palette, np.uint8)
    hue = (np.arange(fmt.classes) * 0.618034) % 1  # the golden ratio leaves the widest gaps
    wheel = np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return (wheel.clip(0, 1) * 205 + 25).astype(np.uint8)
