"""The formats of the images of a pair: images, labels or masks, with their channels, number type and range."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, Strict, StrictBool

from pix2pix.config.base import Section
from pix2pix.config.data import FARTHEST, MOST_INPUTS, Channels, Classes, Kind, Nodata, Palette, Range
from pix2pix.data.images.files import can_hold, holds

DType = Literal["uint8", "uint16", "float32"]
Suffix = Literal[".png", ".tif", ".tiff", ".npy", ".bmp"]
ClassNames = Annotated[
    tuple[Annotated[str, Field(max_length=200)], ...], Field(strict=False, min_length=2, max_length=65536)
]
FULL_RANGE = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}


@dataclass(frozen=True)
class ImageFormat:
    """The format of one image of a pair: how its values in a file relate to those that the networks see.

    Attributes:
        kind: `image`: values in `range` become -1 to 1. `labels`: ids 0 to `classes` - 1 become one-hot channels of -1
            and 1. `mask`: 0 and 1 become -1 and 1.
        channels: channels of the stored pixels; labels and masks have one.
        dtype: number type of the stored pixels.
        range: the values of an image that become -1 and 1.
        classes: number of classes of labels.
        palette: RGB colour of each class of labels.
        snap: whether each colour in a file is read as the class of the nearest palette colour.
        suffix: suffix of the files to which translations are written.
        alpha: whether the last of 2 or 4 channels is transparency, which weighs the colours when pixels are mixed.
        nodata: the value of an image's pixels that were not measured: `nan`, a number, or None where there is none.
        clip: whether values beyond the range are clipped to it; else they are refused.
        channel_ranges: the range of each channel where they differ; `range` then encloses them.
        exact: whether a colour that is not in the palette is refused, and not `snap`ped to the nearest.
        ignore: the id of label pixels that belong to no class; it is none of the classes' ids.
        class_names: the name of each class, for people.

    Values read from a weights file are validated by `PairFormat.from_dict`; the constructor validates nothing.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # strict mode would refuse a dict

    kind: Kind = "image"
    channels: Annotated[Channels, Strict()] = 3
    dtype: DType = "uint8"
    range: Range = (0.0, 255.0)
    classes: Annotated[Classes, Strict()] | None = None
    palette: Palette | None = None
    snap: StrictBool = False
    suffix: Suffix = ".png"
    alpha: StrictBool = False
    nodata: Nodata | None = None
    clip: StrictBool = False
    channel_ranges: Annotated[tuple[Range, ...], Field(strict=False, max_length=1024)] | None = None
    exact: StrictBool = False
    ignore: Annotated[int, Strict(), Field(ge=0, le=65535)] | None = None
    class_names: ClassNames | None = None

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The range of each channel; a single one where they are the same."""
        return self.channel_ranges or (self.range,)

    @property
    def ignores(self) -> bool:
        """Whether some pixels may have no value or class: `to_float` gives NaN there, and no loss counts them."""
        return self.nodata is not None or self.ignore is not None

    @property
    def tensor_channels(self) -> int:
        """Number of channels that the networks see."""
        return self.class_count if self.kind == "labels" else self.channels

    @property
    def class_count(self) -> int:
        """Number of classes; only labels have one."""
        assert self.classes is not None, f"{self} has no classes"
        return self.classes

    @property
    def interpolation(self) -> Literal["nearest"] | None:
        """The interpolation that this format requires; None if the config chooses it (kind `image`)."""
        return None if self.kind == "image" else "nearest"

    def __str__(self) -> str:
        if self.kind == "labels":
            colours = ", colours snapped to the palette" if self.snap else ""
            if self.exact:
                colours = ", each an exact colour"
            ignored = "" if self.ignore is None else f", {self.ignore} ignored"
            return f"labels of {self.classes} classes{colours}{ignored}"
        if self.kind == "mask":
            return "mask"
        depth = {"uint8": "8-bit", "uint16": "16-bit", "float32": "float"}[self.dtype]
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        if self.alpha:
            channels += " (grey and alpha)" if self.channels == 2 else " (RGB and alpha)"
        low, high = self.range
        text = f"image, {channels}, {depth}, {low:g} to {high:g}"
        text += ", each channel by its own range" if self.channel_ranges else ""
        text += ", clipped" if self.clip else ""
        return (
            text
            if self.nodata is None
            else f"{text}, nodata {self.nodata if self.nodata == 'nan' else f'{self.nodata:g}'}"
        )


def value_limits(dtype: str) -> tuple[float, float]:
    """Return the lowest and the highest value that the range of an image of this number type may include."""
    return FULL_RANGE.get(dtype, (-FARTHEST, FARTHEST))


def fits(nodata: float | str, dtype: str) -> bool:
    """Return whether pixels of this number type can have this value of `nodata`."""
    if dtype == "float32":
        return True
    low, high = FULL_RANGE[dtype]
    return not isinstance(nodata, str) and low <= nodata <= high and nodata % 1 == 0


def _consistent(fmt: ImageFormat) -> ImageFormat:
    """Return the format. Raises ValueError where its fields contradict each other."""
    if fmt.kind == "image":
        _require_consistent_image(fmt)
    elif fmt.nodata is not None or fmt.clip or fmt.channel_ranges:
        raise ValueError("only an image has nodata and ranges")
    elif fmt.channels != 1 or fmt.range != (0, 1) or (fmt.kind == "mask" and fmt.dtype != "uint8"):
        raise ValueError("labels and masks have one channel of whole numbers")
    if fmt.kind == "mask" and (fmt.classes is not None or fmt.palette is not None):
        raise ValueError("a mask has neither classes nor a palette")
    if fmt.kind == "labels":
        _require_consistent_labels(fmt)
    elif fmt.ignore is not None or fmt.class_names is not None:
        raise ValueError("only labels have names of classes, or an id to ignore")
    if fmt.snap and fmt.palette is None:
        raise ValueError("there is no palette to snap to")
    if fmt.exact and not fmt.snap:
        raise ValueError("colours can be exact only where they are read as classes")
    if fmt.alpha and (fmt.kind != "image" or fmt.channels not in (2, 4)):
        raise ValueError("only an image of 2 or 4 channels has transparency")
    if not can_hold(fmt.suffix, fmt.channels, fmt.dtype):
        raise ValueError(f"a {fmt.suffix} file cannot hold {fmt.channels} channels of {fmt.dtype}")
    return fmt


def _require_consistent_image(fmt: ImageFormat) -> None:
    lowest, highest = value_limits(fmt.dtype)
    if fmt.classes is not None or fmt.palette is not None:
        raise ValueError("an image has neither classes nor a palette")
    if fmt.nodata is not None and not fits(fmt.nodata, fmt.dtype):
        raise ValueError(f"{fmt.nodata} cannot occur in {fmt.dtype} pixels")
    if fmt.channel_ranges and len(fmt.channel_ranges) != fmt.channels:
        raise ValueError(f"{len(fmt.channel_ranges)} ranges do not fit {fmt.channels} channels")
    for low, high in (fmt.range, *fmt.ranges):
        if not lowest <= low < high <= highest or high - low < 1 / FARTHEST:
            raise ValueError(f"{low:g} to {high:g} is no range of {fmt.dtype} pixels")


def _require_consistent_labels(fmt: ImageFormat) -> None:
    if fmt.classes is None or fmt.dtype != label_dtype(fmt.classes, fmt.ignore):
        raise ValueError(f"labels of {fmt.classes} classes cannot be {fmt.dtype}")
    if fmt.palette is not None and len(fmt.palette) != fmt.classes:
        raise ValueError(f"a palette of {len(fmt.palette)} colours does not fit {fmt.classes} classes")
    if fmt.ignore is not None and fmt.ignore < fmt.classes:
        raise ValueError(f"the id to ignore, {fmt.ignore}, is one of the {fmt.classes} classes")
    if fmt.class_names is not None and len(fmt.class_names) != fmt.classes:
        raise ValueError(f"{len(fmt.class_names)} names do not fit {fmt.classes} classes")


def label_dtype(classes: int, ignore: int | None = None) -> Literal["uint8", "uint16"]:
    """Return the smallest number type that holds the ids of this many classes, and the one to ignore."""
    return "uint8" if max(classes - 1, ignore or 0) < 256 else "uint16"


def _fields(fmt: ImageFormat) -> dict[str, Any]:
    """Return the fields as plain values, without later ones that are not used, so that older versions can read them."""
    return {name: value for name, value in asdict(fmt).items() if value not in _UNUSED.get(name, ())}


_UNUSED: dict[str, tuple[object]] = {  # later fields
    **dict.fromkeys(("nodata", "channel_ranges", "ignore", "class_names"), (None,)),
    **dict.fromkeys(("clip", "exact"), (False,)),
}
_Format = Annotated[ImageFormat, AfterValidator(_consistent)]


class _PairFields(Section):
    """The fields of `PairFormat` in a weights file."""

    input: Annotated[tuple[_Format, ...], Field(strict=False, min_length=1, max_length=MOST_INPUTS)]
    target: _Format


class SampleNote(str):
    """A note about a sample of the pairs on what `pix2pix check` examines in all pairs."""


@dataclass(frozen=True)
class PairFormat:
    """The formats of the images of a pair: its inputs, which are stacked on channels, and its target.

    `notes` are observations about the files from which the formats were inferred, one sentence each.
    """

    input: tuple[ImageFormat, ...] = (ImageFormat(),)
    target: ImageFormat = ImageFormat()
    notes: tuple[str, ...] = ()

    @cached_property
    def parts(self) -> dict[str, ImageFormat]:
        """The format of each image by its key in a batch: `input`, `input_2` and so on, `target`."""
        names = ["input", *(f"input_{n}" for n in range(2, len(self.input) + 1)), "target"]
        return dict(zip(names, (*self.input, self.target), strict=True))

    @property
    def channels(self) -> tuple[int, int]:
        """Number of channels that the networks see, of input and target."""
        return sum(fmt.tensor_channels for fmt in self.input), self.target.tensor_channels

    def to_dict(self) -> dict[str, Any]:
        """Return the formats as plain values, without the notes, for a weights file."""
        return {"input": [_fields(fmt) for fmt in self.input], "target": _fields(self.target)}

    @classmethod
    def from_dict(cls, values: object) -> "PairFormat":
        """Return the formats that `to_dict` gave as `values`, which may come from an untrusted file.

        Raises pydantic.ValidationError where a field is missing, unknown, of another type, out of its bounds or in
        contradiction to another.
        """
        read = _PairFields.model_validate(values)
        return cls(read.input, read.target)


RGB = PairFormat()


def image_formats(in_channels: int = 3, out_channels: int = 3) -> PairFormat:
    """Return the format of pairs of 8-bit images with these numbers of channels."""
    return PairFormat((ImageFormat(channels=in_channels),), ImageFormat(channels=out_channels))


def output_suffix(suffix: str, channels: int, dtype: str) -> Suffix:
    """Return a suffix whose files hold such pixels without loss: `suffix` itself, or the first of png, tif and npy."""
    same: list[Suffix] = [own for own in get_args(Suffix) if own == suffix]
    return next(some for some in (*same, ".png", ".tif", ".npy") if holds(some, channels, dtype))
