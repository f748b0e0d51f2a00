"""What the pictures of a pair are: images, labels or masks, of which channels, number type and range."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, create_model

from pix2pix.config.base import Section
from pix2pix.config.data import FARTHEST, MOST_INPUTS, Channels, Classes, Kind, Palette, Range
from pix2pix.data.images.files import LOSSLESS, can_hold, holds

WHOLE = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}


@dataclass(frozen=True)
class ImageFormat:
    """What one picture of a pair is, from its file to the networks and back.

    `kind`: `image` (values in `range` become -1 to 1), `labels` (ids 0 to `classes` - 1 become one-hot channels of -1
    and 1) or `mask` (0 and 1 become -1 and 1). `channels` and `dtype` are those that are kept: uint8, uint16 or
    float32; labels and masks have one. `palette`: the colour of each class; with `snap`, colours in files are taken for
    the nearest of them. `suffix`: what a translation into this form is written as. `alpha`: the last of 2 or 4 channels
    is transparency, which weighs the colours where they are mixed.

    The types are enforced where forms are read from a file: see `PairFormat.from_dict`.
    """

    kind: Kind = "image"
    channels: Channels = 3
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    range: Range = (0.0, 255.0)
    classes: Classes | None = None
    palette: Palette | None = None
    snap: bool = False
    suffix: Literal[LOSSLESS] = ".png"
    alpha: bool = False

    @property
    def tensor_channels(self) -> int:
        """Channels that the networks see."""
        return self.classes if self.kind == "labels" else self.channels

    @property
    def interpolation(self) -> str | None:
        """How it must be resized and rotated, where not as a config says: ids and masks are never mixed."""
        return None if self.kind == "image" else "nearest"

    def __str__(self) -> str:
        if self.kind == "labels":
            colours = ", colours snapped to the palette" if self.snap else ""
            return f"labels of {self.classes} classes{colours}"
        if self.kind == "mask":
            return "mask"
        depth = {"uint8": "8-bit", "uint16": "16-bit", "float32": "float"}[self.dtype]
        low, high = self.range
        alpha = f" ({'grey' if self.channels == 2 else 'RGB'} and alpha)" if self.alpha else ""
        return f"image, {self.channels} channel{'s' * (self.channels != 1)}{alpha}, {depth}, {low:g} to {high:g}"


def value_limits(dtype: str) -> tuple[float, float]:
    """The lowest and the highest value that the range of an image may name."""
    return WHOLE.get(dtype, (-FARTHEST, FARTHEST))


def _consistent(fmt: ImageFormat) -> ImageFormat:
    """The form itself. Raises ValueError where its fields do not fit together."""
    low, high = fmt.range
    if fmt.kind == "image":
        lowest, highest = value_limits(fmt.dtype)
        if fmt.classes is not None or fmt.palette is not None:
            raise ValueError("an image has neither classes nor a palette")
        if not lowest <= low < high <= highest or high - low < 1 / FARTHEST:
            raise ValueError(f"{low:g} to {high:g} is no range of {fmt.dtype} pixels")
    elif fmt.channels != 1 or fmt.range != (0, 1) or (fmt.kind == "mask" and fmt.dtype != "uint8"):
        raise ValueError("labels and masks have one channel of whole numbers")
    if fmt.kind == "mask" and (fmt.classes is not None or fmt.palette is not None):
        raise ValueError("a mask has neither classes nor a palette")
    if fmt.kind == "labels":
        if fmt.classes is None or fmt.dtype != ("uint8" if fmt.classes <= 256 else "uint16"):
            raise ValueError(f"labels of {fmt.classes} classes are not of {fmt.dtype}")
        if fmt.palette is not None and len(fmt.palette) != fmt.classes:
            raise ValueError(f"a palette of {len(fmt.palette)} colours is not of {fmt.classes} classes")
    if fmt.snap and fmt.palette is None:
        raise ValueError("there is no palette to snap to")
    if fmt.alpha and (fmt.kind != "image" or fmt.channels not in (2, 4)):
        raise ValueError("only an image of 2 or 4 channels has transparency")
    if not can_hold(fmt.suffix, fmt.channels, fmt.dtype):
        raise ValueError(f"a {fmt.suffix} file cannot hold {fmt.channels} channels of {fmt.dtype}")
    return fmt


_FormFields = create_model(
    "_FormFields", __base__=Section, **{f.name: (f.type, f.default) for f in fields(ImageFormat)}
)
_ReadForm = Annotated[_FormFields, AfterValidator(lambda read: _consistent(ImageFormat(**dict(read))))]


@dataclass(frozen=True)
class PairFormat:
    """What the inputs of a pair are, which are stacked on channels, and what its target is.

    `notes`: what else was seen in the files that the forms were found from.
    """

    input: tuple[ImageFormat, ...] = (ImageFormat(),)
    target: ImageFormat = ImageFormat()
    notes: tuple[str, ...] = ()

    @cached_property
    def parts(self) -> dict[str, ImageFormat]:
        """The form of every picture of a pair by its key in a batch: `input`, perhaps `input_2` and so on, `target`."""
        names = ["input", *(f"input_{n}" for n in range(2, len(self.input) + 1)), "target"]
        return dict(zip(names, (*self.input, self.target), strict=True))

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that the networks see, of input and target."""
        return sum(fmt.tensor_channels for fmt in self.input), self.target.tensor_channels

    def to_dict(self) -> dict:
        """As plain values, for a weights file."""
        return {"input": [asdict(fmt) for fmt in self.input], "target": asdict(self.target)}

    @classmethod
    def from_dict(cls, values: dict) -> "PairFormat":
        """The inverse of `to_dict`, of values that anybody may have written.

        Raises pydantic.ValidationError where a field is missing, unknown, of another type or out of its bounds.
        """
        read = _Read.model_validate(values)
        return cls(read.input, read.target)


class _Read(Section):
    input: Annotated[tuple[_ReadForm, ...], Field(strict=False, min_length=1, max_length=MOST_INPUTS)]
    target: _ReadForm


RGB = PairFormat()


def image_formats(in_channels: int = 3, out_channels: int = 3) -> PairFormat:
    """8-bit images of so many channels."""
    return PairFormat((ImageFormat(channels=in_channels),), ImageFormat(channels=out_channels))


def output_suffix(suffix: str, channels: int, dtype: str) -> str:
    """A suffix whose files hold such pixels without loss: `suffix` itself, or the first of png, tif and npy."""
    return next(some for some in (suffix, ".png", ".tif", ".npy") if holds(some, channels, dtype))
