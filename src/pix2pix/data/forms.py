"""What the pictures of a pair are: images, labels or masks, of which channels, number type and range."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from pix2pix.data.images import Picture, holds
from pix2pix.errors import DataError

_WHOLE = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}
_COLOURS = {1: (1, False), 2: (1, True), 3: (3, False), 4: (3, True)}  # channels: colours among them, transparency
_BINARY = ({0, 1}, {0, 255}, {0, 65535})


@dataclass(frozen=True)
class Form:
    """What one picture of a pair is, from its file to the networks and back.

    `kind`: `image` (values in `range` become -1 to 1), `labels` (ids 0 to `classes` - 1 become one-hot channels of -1
    and 1) or `mask` (0 and 1 become -1 and 1). `channels` and `dtype` are those that are kept: uint8, uint16 or
    float32; labels and masks have one. `palette`: the colour of each class; with `snap`, colours in files are taken for
    the nearest of them. `suffix`: what a translation into this form is written as.
    """

    kind: str = "image"
    channels: int = 3
    dtype: str = "uint8"
    range: tuple[float, float] = (0.0, 255.0)
    classes: int | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    snap: bool = False
    suffix: str = ".png"

    @property
    def network_channels(self) -> int:
        """Channels that the networks see."""
        return self.classes if self.kind == "labels" else self.channels

    @property
    def interpolation(self) -> str | None:
        """How it must be resized and rotated, where not as a config says: ids and masks are never mixed."""
        return None if self.kind == "image" else "nearest"

    def decode(self, picture: Picture, name: object, key: str = "data.input_format") -> np.ndarray:
        """The pixels of a file, [H, W, channels] of `dtype`; only ever changed where nothing is lost.

        Raises DataError, calling the file `name` and the section of the config `key`, where it is something else.
        """
        how = {"image": _image, "labels": _labels, "mask": _mask}[self.kind]
        return how(self, picture, name, key).astype(self.dtype, copy=False)

    def __str__(self) -> str:
        if self.kind == "labels":
            colours = ", colours snapped to the palette" if self.snap else ""
            return f"labels of {self.classes} classes{colours}"
        if self.kind == "mask":
            return "mask"
        depth = {"uint8": "8-bit", "uint16": "16-bit", "float32": "float"}[self.dtype]
        low, high = self.range
        return f"image, {self.channels} channel{'s' * (self.channels != 1)}, {depth}, {low:g} to {high:g}"


@dataclass(frozen=True)
class Forms:
    """What the inputs of a pair are, which are stacked on channels, and what its target is.

    `notes`: what else was seen in the files that the forms were found from.
    """

    input: tuple[Form, ...] = (Form(),)
    target: Form = Form()
    notes: tuple[str, ...] = ()

    @cached_property
    def parts(self) -> dict[str, Form]:
        """The form of every picture of a pair by its key in a batch: `input`, perhaps `input_2` and so on, `target`."""
        names = ["input", *(f"input_{n}" for n in range(2, len(self.input) + 1)), "target"]
        return dict(zip(names, (*self.input, self.target), strict=True))

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that the networks see, of input and target."""
        return sum(form.network_channels for form in self.input), self.target.network_channels

    def to_dict(self) -> dict:
        """As plain values, for a weights file."""
        return {"input": [asdict(form) for form in self.input], "target": asdict(self.target)}

    @classmethod
    def from_dict(cls, values: dict) -> "Forms":
        """The inverse of `to_dict`. Raises KeyError or TypeError."""
        return cls(tuple(_form(form) for form in values["input"]), _form(values["target"]))


def _form(values: dict) -> Form:
    palette = values["palette"] and tuple(tuple(colour) for colour in values["palette"])
    return Form(**{**values, "range": tuple(values["range"]), "palette": palette})


RGB = Forms()


def image_forms(in_channels: int = 3, out_channels: int = 3) -> Forms:
    """8-bit images of so many channels."""
    return Forms((Form(channels=in_channels),), Form(channels=out_channels))


def output_suffix(suffix: str, channels: int, dtype: str) -> str:
    """A suffix whose files hold such pixels without loss: `suffix` itself, or the first of png, tif and npy."""
    return next(some for some in (suffix, ".png", ".tif", ".npy") if holds(some, channels, dtype))


# From a file's pixels


def _image(form: Form, picture: Picture, name: object, key: str) -> np.ndarray:
    pixels = picture.colours()
    if pixels.dtype.name != form.dtype:
        raise DataError(
            f"{name}: has {pixels.dtype.name} pixels, and {form.dtype} is wanted here as in the others; convert it, or "
            "keep files of one number type"
        )
    require_finite(pixels, name)
    pixels = _fitted(pixels, form.channels, form.range[1])
    if isinstance(pixels, str):
        wanted = f"{form.channels} channel{'s are' if form.channels != 1 else ' is'} wanted here as in the others"
        raise DataError(f"{name}: {pixels}, and {wanted}; convert it, or set {key}.channels")
    if form.range != _WHOLE.get(form.dtype):
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


def _fitted(pixels: np.ndarray, count: int, opaque: float) -> np.ndarray | str:
    """[H, W, count], or why not: grey as three equal colours and back, alpha that hides nothing added or left out."""
    have = pixels.shape[2]
    if have == count:
        return pixels
    if have not in _COLOURS or count not in _COLOURS:
        return f"has {have} channel{'s' * (have != 1)}"
    (colours, alpha), (want, wants_alpha) = _COLOURS[have], _COLOURS[count]
    shades, rest = pixels[..., :colours], pixels[..., colours:]
    if alpha and not wants_alpha and (rest != opaque).any():
        return "has transparent pixels"
    if colours > want and (shades != shades[..., :1]).any():
        return "has colours"
    shades = np.repeat(shades[..., :1], want, axis=2) if colours != want else shades
    if wants_alpha and not alpha:
        rest = np.full((*pixels.shape[:2], 1), opaque, pixels.dtype)
    return np.concatenate([shades, rest], axis=2) if wants_alpha else shades


def _labels(form: Form, picture: Picture, name: object, key: str) -> np.ndarray:
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


def _mask(form: Form, picture: Picture, name: object, key: str) -> np.ndarray:
    pixels = picture.colours()
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
    pixels = _fitted(pixels, 1, top)
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


# To a file, and to look at


def written(pixels: np.ndarray, form: Form, suffix: str) -> tuple[np.ndarray, np.ndarray | None]:
    """What `write_picture` is to write of pixels as kept: the pixels, and the palette of labels in a PNG.

    Masks are 0 and 255, which can be seen, but in .npy 0 and 1.
    """
    if form.kind == "mask" and suffix != ".npy":
        return pixels * np.uint8(255), None
    palette = form.kind == "labels" and form.dtype == "uint8" and suffix == ".png"
    return pixels, class_colours(form) if palette else None


def preview(pixels: np.ndarray, form: Form) -> np.ndarray:
    """uint8 [H, W, 3] of pixels [H, W, channels] as kept: to look at, never to keep."""
    if form.kind == "labels":
        return class_colours(form)[pixels[..., 0]]
    if form.kind == "mask":
        return np.repeat(pixels * np.uint8(255), 3, axis=2)
    if form.dtype != "uint8" or form.range != _WHOLE["uint8"]:
        low, high = form.range
        pixels = ((pixels.astype(np.float32) - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    if form.channels in (2, 4):  # over white
        alpha = pixels[..., -1:].astype(np.float32) / 255
        pixels = (pixels[..., :-1] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]


def class_colours(form: Form) -> np.ndarray:
    """uint8 [classes, 3]: the palette, or else colours that are far apart."""
    if form.palette:
        return np.array(form.palette, np.uint8)
    hue = (np.arange(form.classes) * 0.618034) % 1  # the golden ratio leaves the widest gaps
    wheel = np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return (wheel.clip(0, 1) * 205 + 25).astype(np.uint8)
