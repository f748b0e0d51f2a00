"""From a file's pixels to what a form keeps: changed only where nothing is lost, else refused with the remedy."""

from typing import TYPE_CHECKING

import numpy as np

from pix2pix.data.pictures import Picture
from pix2pix.errors import DataError

if TYPE_CHECKING:
    from pix2pix.data.forms import Form

WHOLE = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}
_BINARY = ({0, 1}, {0, 255}, {0, 65535})


def image(form: "Form", picture: Picture, name: object, key: str) -> np.ndarray:
    pixels = picture.colours()
    if pixels.dtype.name != form.dtype:
        raise DataError(
            f"{name}: has {pixels.dtype.name} pixels, and {form.dtype} is wanted here as in the others; convert it, or "
            "keep files of one number type"
        )
    require_finite(pixels, name)
    pixels = _fitted(pixels, picture.alpha, form.channels, form.alpha, form.range[1])
    if isinstance(pixels, str):
        wanted = f"{form.channels} channel{'s are' if form.channels != 1 else ' is'} wanted here as in the others"
        raise DataError(f"{name}: {pixels}, and {wanted}; convert it, or set {key}.channels")
    if form.range != WHOLE.get(form.dtype):
        low, high = pixels.min(), pixels.max()
        if low < form.range[0] or high > form.range[1]:
            raise DataError(
                f"{name}: holds values from {low:g} to {high:g}, beyond {form.range[0]:g} to {form.range[1]:g}; "
                f"set {key}.range to what all files hold"
            )
    return pixels


def require_finite(pixels: np.ndarray, name: object) -> None:
    """Raises DataError, naming the first place in [H, W, C] that is NaN or infinite."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        row, column = np.argwhere(~np.isfinite(pixels).all(-1))[0]
        raise DataError(f"{name}: holds a number that is not finite at row {row}, column {column}; mend or remove it")


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


def labels(form: "Form", picture: Picture, name: object, key: str) -> np.ndarray:
    coloured = picture.palette is not None or picture.pixels.shape[2] > 2
    if form.snap and coloured:
        return nearest_colour(picture.colours()[..., :3], form.palette, name)
    ids = ids_of(picture)
    if ids is None:
        raise DataError(
            f"{name}: is a colour picture, and which colour is which class is not known; list the colours in "
            f"{key}.palette, or store ids in a palette or grey picture"
        )
    low, high = ids.min(), ids.max()
    if low < 0 or high >= form.classes:
        worst = low if low < 0 else high
        row, column, _ = np.argwhere(ids == worst)[0]
        raise DataError(
            f"{name}: holds the id {worst} at row {row}, column {column}, and there are {form.classes} classes, 0 to "
            f"{form.classes - 1}; mend it, or set {key}.classes"
        )
    return ids


def ids_of(picture: Picture) -> np.ndarray | None:
    """The ids that a palette or grey picture holds, [H, W, 1]; None for colours and fractions."""
    pixels = picture.pixels
    if picture.bits < 8:
        pixels = pixels // (255 // (2**picture.bits - 1))  # as they are in the file
    if pixels.dtype.kind not in "bui":
        return None
    if pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return pixels if pixels.shape[2] == 1 else None


def nearest_colour(pixels: np.ndarray, palette: tuple[tuple[int, int, int], ...], name: object) -> np.ndarray:
    """[H, W, 1], the place in `palette` of the colour nearest to each of 8-bit RGB pixels. Raises DataError."""
    if pixels.dtype != np.uint8:
        raise DataError(f"{name}: has {pixels.dtype.name} colours, and the palette's are 8-bit; convert it")
    colours = np.array(palette, np.float32)
    # |p - c|^2 but for |p|^2, which is the same for every c; exact in float32.
    distances = (colours**2).sum(1) - 2 * (pixels.astype(np.float32) @ colours.T)
    return distances.argmin(-1)[..., None]


def mask(form: "Form", picture: Picture, name: object, key: str) -> np.ndarray:
    pixels = picture.colours()
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
    pixels = _fitted(pixels, picture.alpha, 1, False, top)
    found = pixels
    if not isinstance(pixels, str):
        values = np.unique(pixels)
        if any(some.issuperset(values.tolist()) for some in _BINARY):
            return pixels != 0
        found = f"holds {len(values)} values from {values[0]:g} to {values[-1]:g}"
    raise DataError(
        f"{name}: {found}, and a mask is 0 and 1, or 0 and 255; cut it at a threshold and save it as PNG, or set "
        f"{key}.kind to image or labels"
    )
