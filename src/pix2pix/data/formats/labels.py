"""Decode label images: class ids, or colours that a palette assigns to classes. Ids never change."""

from collections.abc import Sequence

import numpy as np

from pix2pix.data.formats.image_format import ImageFormat
from pix2pix.data.formats.mismatch import Mismatch, require_finite
from pix2pix.data.images.decoded import DecodedImage

Colours = Sequence[tuple[int, int, int]]


def decode_labels(fmt: ImageFormat, image: DecodedImage, key: str) -> np.ndarray:
    """Return the class ids, [H, W, 1], of an image in the format `fmt`. Raises Mismatch."""
    require_finite(image.pixels)
    if fmt.snap and fmt.palette and (colours := _colours_to_snap(image, fmt)) is not None:
        return _classes_of_colours(fmt, fmt.palette, colours, image, key)
    ids = ids_of(image, key, fmt.class_count)
    known = ids if fmt.ignore is None else ids[ids != fmt.ignore][:, None]
    if known.size:
        _require_known_ids(fmt, ids, known, key)
    if fmt.palette and image.palette is not None:
        _require_palette(fmt.palette, image.palette, known, key)
    return ids


def _classes_of_colours(
    fmt: ImageFormat, palette: Colours, colours: np.ndarray, image: DecodedImage, key: str
) -> np.ndarray:
    """Return the class of each colour [H, W, 3]; where the format is exact, raise Mismatch for other colours."""
    classes = nearest_colour(colours, palette)
    ignored = np.zeros(classes.shape, bool)
    if fmt.ignore is not None and (image.palette is not None or image.pixels.shape[2] == 1):
        ignored = image.pixels == fmt.ignore
    if fmt.exact:
        unknown = (np.array(palette, np.uint8)[classes[..., 0]] != colours).any(-1) & ~ignored[..., 0]
        if unknown.any():
            row, column = np.argwhere(unknown)[0]
            raise Mismatch(
                f"has the colour {colours[row, column].tolist()} at row {row}, column {column}",
                f"it is none of the {len(palette)} colours of the classes",
                f"fix it, or list the colours of all classes in {key}.palette",
                trained_on=f"labels of {len(palette)} colours",
                conversion="give it those of the training files",
            )
    if fmt.ignore is not None:
        classes[ignored] = fmt.ignore
    return classes


def _require_known_ids(fmt: ImageFormat, ids: np.ndarray, known: np.ndarray, key: str) -> None:
    low, high = int(known.min()), int(known.max())
    if low >= 0 and high < fmt.class_count:
        return
    worst = low if low < 0 else high
    row, column, _ = np.argwhere(ids == worst)[0]
    classes = f"{fmt.classes} classes, 0 to {fmt.class_count - 1}"
    setting = f"list all its colours in {key}.palette" if fmt.snap else f"set {key}.classes"
    if high == 255 and fmt.class_count < 255 and fmt.ignore is None:
        setting += f", or {key}.ignore=255 where it is no class"
    raise Mismatch(
        f"holds the id {worst} at row {row}, column {column}",
        f"there are {classes}",
        f"fix it, or {setting}",
        trained_on=classes,
        conversion="renumber it",
    )


def _colours_to_snap(image: DecodedImage, fmt: ImageFormat) -> np.ndarray | None:
    """Return the colours, [H, W, 3], to look up in the palette; None where the image holds ids.

    Grey values are ids where all of them are below the number of classes. Otherwise they are colours, if all are in the
    palette or the palette has only greys.
    """
    colours, palette = image.colours(), fmt.palette or ()
    if image.alpha:
        if not colours[..., -1].all():
            raise Mismatch(
                "has transparent pixels", "no class is transparent", "flatten it onto a colour", trained_on="labels"
            )
        colours = colours[..., :-1]
    if colours.shape[2] == 3:
        return colours
    try:
        ids = ids_of(image)
    except Mismatch:
        return None
    if ((ids >= 0) & (ids < len(palette)) | (ids == fmt.ignore)).all():
        return None
    greys = [red for red, green, blue in palette if red == green == blue]
    known = len(greys) == len(palette) or np.isin(colours, greys).all()
    return np.repeat(colours, 3, axis=2) if known else None


def _require_palette(palette: Colours, own_palette: np.ndarray, ids: np.ndarray, key: str) -> None:
    """Raise Mismatch where the palette of the file has another colour for a used id than the other files have."""
    used = np.flatnonzero(np.bincount(ids.ravel()))
    own, others = own_palette[used, :3], np.array(palette, np.uint8)[used]
    different = np.flatnonzero((own != others).any(1))
    if len(different):
        first = different[0]
        expected = others[first].tolist()
        raise Mismatch(
            f"has the colour {own[first].tolist()} for the id {used[first]}",
            f"it is {expected} in the others, so ids may not mean the same",
            f"list the colours of the classes in {key}.palette",
            trained_on=f"{expected} for it",
            conversion="renumber its ids by the palette of the training files",
        )


def ids_of(image: DecodedImage, key: str = "", classes: int = 2) -> np.ndarray:
    """Return the ids that a palette or grey image holds, [H, W, 1], without an opaque alpha channel.

    Raises Mismatch where the image holds no ids; `key` and `classes` are for its message.
    """

    def no_ids(reason: str, wanted: str, remedy: str = "") -> Mismatch:
        store = "store ids in a palette or grey image"
        return Mismatch(
            reason,
            wanted,
            f"{remedy}, or {store}" if remedy else store,
            trained_on="labels",
            conversion=f"store ids 0 to {classes - 1} in a palette or grey image",
        )

    pixels = image.pixels
    if image.alpha and image.palette is None:
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
        if pixels.shape[2] == 2 and (pixels[..., 1:] != opaque).any():
            raise no_ids("has an alpha channel", "transparency is no class", "save it without")
        pixels = pixels[..., :-1]
    if image.bits < 8:
        pixels = pixels // (255 // (2**image.bits - 1))  # the values in the file
    if pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    if pixels.shape[2] == 3:
        list_colours = f"list the colours in {key}.palette"
        raise no_ids("is a colour image", "which colour is which class is not known", list_colours)
    if pixels.shape[2] != 1:
        raise no_ids(f"has {pixels.shape[2]} channels", "labels have one", "save that alone")
    if pixels.dtype.kind == "f":
        if (pixels % 1 != 0).any():  # also true of non-finite values
            raise no_ids("holds fractions", "labels are whole ids", f"set {key}.kind to image")
        pixels = pixels.astype(np.int64)
    return pixels


def nearest_colour(pixels: np.ndarray, palette: Colours) -> np.ndarray:
    """Return the index, [H, W, 1], of the palette colour nearest to each 8-bit RGB pixel [H, W, 3]. Raises Mismatch."""
    if pixels.dtype != np.uint8:
        found = f"has {pixels.dtype.name} colours"
        raise Mismatch(found, "the colours of a palette are 8-bit", "convert it", trained_on="8-bit colours")
    colours = np.array(palette, np.float32)
    # |p - c|^2 without |p|^2, which is the same for every c; exact in float32.
    distances = (colours**2).sum(1) - 2 * (pixels.astype(np.float32) @ colours.T)
    return np.expand_dims(distances.argmin(-1), 2)
