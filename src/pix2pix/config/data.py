"""The `data` section: where the pairs are, how they are augmented, and how they become batches."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from pix2pix.config.base import Count, Interval, Section, Size, height_and_width
from pix2pix.config.patterns import is_pattern

SyntheticCount = Annotated[int, Field(ge=1, le=1_000_000)]  # the splits number their drawings so far apart
Name = Annotated[str, Field(min_length=1)]
_JITTER = 286 / 256  # Isola et al. 2017, section 6.2


class SyntheticData(Section):
    """How many pairs `layout: synthetic` draws."""

    train: SyntheticCount = Field(400, description="Drawn pairs in the train split.")
    val: SyntheticCount = Field(50, description="Drawn pairs in the val split.")
    test: SyntheticCount = Field(50, description="Drawn pairs in the test split.")
    seed: Interval = Field(0, description="Seed of the drawings; the same seed draws the same pairs.")


Zoom = Annotated[float, Field(ge=0.5, le=2)]
Strength = Annotated[float, Field(ge=0, le=1)]


class AugmentConfig(Section):
    """Augmentations beside the random crop and `flip`; both images of a pair get the same ones."""

    flip_vertical: bool = Field(False, description="Mirror half of the training pairs top to bottom.")
    quarter_turns: bool = Field(False, description="Turn pairs by 0, 90, 180 or 270 degrees; square image_size only.")
    rotation: Annotated[float, Field(ge=0, le=45)] = Field(
        0.0, description="Rotate by up to this many degrees each way."
    )
    scale: Annotated[tuple[Zoom, Zoom], Field(strict=False)] = Field(
        (1.0, 1.0), description="Scale by a factor between these two; below 1 shrinks."
    )
    brightness: Strength = Field(0.0, description="Multiply brightness by 1 - this to 1 + this.")
    contrast: Strength = Field(0.0, description="Multiply the distance to the mean grey by 1 - this to 1 + this.")
    saturation: Strength = Field(0.0, description="Multiply the distance to greyscale by 1 - this to 1 + this.")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Turn the hue by up to this part of the colour circle each way."
    )
    colour_on: Literal["both", "input", "target"] = Field("both", description="Which images change colour.")

    @property
    def warps(self) -> bool:
        """Whether images are rotated or scaled, and therefore resampled."""
        return self.rotation > 0 or self.scale != (1, 1)

    @property
    def recolours(self) -> bool:
        """Whether colours change."""
        return max(self.brightness, self.contrast, self.saturation, self.hue) > 0


Kind = Literal["image", "labels", "mask"]
KindSetting = Literal["auto", "image", "labels", "mask"]
Channel = Annotated[int, Field(ge=0, le=255)]
Colour = Annotated[tuple[Channel, Channel, Channel], Field(strict=False)]
MOST_INPUTS = 64
# A format that training infers is read back from its weights file within these bounds, too.
Channels = Annotated[int, Field(ge=1, le=1024)]
Classes = Annotated[int, Field(ge=2, le=65536)]
Palette = Annotated[tuple[Colour, ...], Field(strict=False, min_length=2, max_length=4096)]
FARTHEST = 1e37  # values of an image: their differences fit into a 32-bit float, too
Value = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Range = Annotated[tuple[Value, Value], Field(strict=False)]
Nodata = Literal["nan"] | Annotated[float, Field(allow_inf_nan=False)]


Percentile = Annotated[float, Field(ge=0, le=100)]


class PercentileRange(Section):
    """A range between two percentiles of the values in a sample of the files; values beyond it are clipped to it."""

    percentiles: Annotated[tuple[Percentile, Percentile], Field(strict=False)] = Field(
        (1.0, 99.0), description="The percentiles of the values that become -1 and 1."
    )
    by_channel: bool = Field(False, description="Compute a range for each channel instead of one for all.")


Percentiles = Annotated[
    PercentileRange,
    WithJsonSchema(PercentileRange.model_json_schema() | {"examples": ["{percentiles: [1, 99], by_channel: false}"]}),
]


class ImageFormatConfig(Section):
    """What the input or the target files hold; what is `auto` or null is inferred from a sample of them."""

    kind: (
        KindSetting | Annotated[tuple[KindSetting, ...], Field(strict=False, min_length=1, max_length=MOST_INPUTS)]
    ) = Field(
        "auto",
        description="Image, labels (an id or a colour per class) or mask (0 and 1, or 0 and 255); auto infers it from "
        "the files; of stacked inputs, one for all or a list.",
    )
    channels: Literal["auto"] | Channels = Field(
        "auto", description="Channels of an image: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA, or any number."
    )
    range: Literal["auto"] | Range | Percentiles = Field(
        "auto",
        description="The values of an image that become -1 and 1, or {percentiles: [1, 99]} of those in a sample of "
        "the files, beyond which values are clipped; auto is 0 to 255 of 8 bits.",
    )
    nodata: Literal["auto", "nan"] | Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        "auto",
        description="The value of an image's pixels that were not measured, such as -9999 or nan: they count in no "
        "loss and no score; auto detects it in 16-bit and float files, null is none.",
    )
    classes: Classes | None = Field(
        None, description="How many ids labels have, from 0 on; null counts the palette, or the ids in the files."
    )
    palette: Palette | None = Field(
        None,
        description="The [red, green, blue] of each class: colours in files are taken for the nearest of them; grey "
        "values that are all below their number are ids.",
    )
    ignore: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="The id of label pixels that belong to no class, such as 255: they count in no loss and no score.",
    )

    def kinds(self, count: int = 1) -> tuple[KindSetting, ...]:
        """Return the kind of each of `count` folders; `auto` if no other setting implies it."""
        kinds = (self.kind,) * count if isinstance(self.kind, str) else self.kind
        return tuple(self.implied_kind if kind == "auto" else kind for kind in kinds)

    @property
    def implied_kind(self) -> KindSetting:
        """The kind that the other settings imply, or `auto`."""
        if any(value is not None for value in (self.classes, self.palette, self.ignore)):
            return "labels"
        return (
            "image" if (self.channels, self.range) != ("auto", "auto") or self.nodata not in ("auto", None) else "auto"
        )


class ColumnsConfig(Section):
    """The columns of a manifest, by their names; those that are null are found by usual names."""

    input: Name | Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MOST_INPUTS)] | None = Field(
        None, description="Column of the input; of several, inputs are stacked on channels."
    )
    target: Name | None = Field(None, description="Column of the target.")
    split: Name | None = Field(None, description="Column of the split: train, val or test, in any usual spelling.")

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names of the columns that are given, by role."""
        given = {"input": self.input, "target": self.target, "split": self.split}
        return {key: (name,) if isinstance(name, str) else name for key, name in given.items() if name is not None}


class DataConfig(Section):
    """Where the pairs are and how they become batches."""

    root: Name | None = Field(
        None,
        description="Folder of the data set, zip or tar archive of it, or manifest (.csv, .tsv, .jsonl, .parquet).",
    )
    layout: Literal["auto", "side-by-side", "two-folders", "manifest", "synthetic"] = Field(
        "auto", description="How pairs are stored: one image holding A|B, two folders, a list, or drawn on the fly."
    )
    direction: Literal["a2b", "b2a"] | None = Field(
        None, description="Which side is the input; null is a2b, or as folders called input and target say."
    )
    input: Name | Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MOST_INPUTS)] | None = Field(
        None,
        description="Folder of the inputs, in root if that is set, or a pattern of their names such as "
        "{id}_image.png; of several, inputs are stacked on channels.",
    )
    target: Name | None = Field(
        None,
        description="Folder of the targets, in root if that is set, or a pattern of their names such as "
        "{id}_mask.png; patterns may have {split}, * and **.",
    )
    manifest: Name | None = Field(
        None,
        description="A .csv, .tsv, .txt, .jsonl or .parquet file, in root if that is set, with input, target and "
        "perhaps split.",
    )
    columns: ColumnsConfig = Field(
        default_factory=ColumnsConfig, description="Which columns of a manifest hold input, target and split."
    )
    unmatched: Literal["error", "skip"] = Field(
        "error", description="Images without a partner: refuse them, or skip them and use the pairs that exist."
    )
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1,
        description="Share of the pairs to validate on, picked by their names, if no split is on disk; above 0, at "
        "least one of two or more pairs.",
    )
    input_format: ImageFormatConfig = Field(default_factory=ImageFormatConfig, description="What the inputs are.")
    target_format: ImageFormatConfig = Field(default_factory=ImageFormatConfig, description="What the targets are.")
    skip_broken: bool = Field(
        False, description="Leave out pairs whose files are broken or do not fit, and say which; else they are refused."
    )
    max_pixels: Count | None = Field(
        None,
        description="The most pixels that an image may have; null is Pillow's limit against decompression bombs, "
        "about 89 million.",
    )
    image_size: Size = Field(256, description="Size of the training crops: one side, or [height, width].")
    load_size: Size | Literal["native", "jitter"] | None = Field(
        None,
        description="Size images are resized to before the random crop; null is image_size: no random crop; jitter "
        "is the paper's 286/256 of image_size (256: 286); native crops each from its own size, reflected where it is "
        "smaller.",
    )
    interpolation: Literal["bicubic", "bilinear"] = Field("bicubic", description="How images are resized.")
    flip: bool = Field(False, description="Mirror half of the training pairs left to right.")
    augment: AugmentConfig = Field(
        default_factory=AugmentConfig, description="Further random changes of training pairs."
    )
    batch_size: Count = Field(1, description="Pairs in an optimizer update.")
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=256)] = Field(
        "auto", description="Processes that read data; 0 reads in the main one."
    )
    cache: Literal["auto", "memory", "disk", "off"] = Field("auto", description="Where resized pairs are cached.")
    synthetic: SyntheticData = Field(
        default_factory=SyntheticData, description="Counts and seed of the drawn pairs; used by layout synthetic only."
    )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The folders of the inputs, or none if they are not named."""
        return (self.input,) if isinstance(self.input, str) else self.input or ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """The folders or the columns of the inputs, or none if they are not named."""
        return self.inputs or self.columns.names.get("input", ())

    @property
    def has_patterns(self) -> bool:
        """Whether data.input and data.target are patterns of names."""
        return self.target is not None and is_pattern(self.target) and bool(self.inputs)

    @property
    def crop(self) -> tuple[int, int]:
        """(height, width) that the networks train on."""
        return height_and_width(self.image_size)

    @property
    def load(self) -> tuple[int, int] | None:
        """(height, width) that images are resized to before the crop; None where each keeps its own size."""
        if self.load_size == "native":
            return None
        if self.load_size == "jitter":
            return round(self.crop[0] * _JITTER), round(self.crop[1] * _JITTER)
        return self.crop if self.load_size is None else height_and_width(self.load_size)
