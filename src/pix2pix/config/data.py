"""The `data` section: where the pairs are, how they become batches, and what chance does to them."""

from typing import Annotated, Literal

from pydantic import Field

from pix2pix.config.base import Count, Interval, Section, Size, height_and_width

Name = Annotated[str, Field(min_length=1)]


class SyntheticData(Section):
    """How many pairs `layout: synthetic` draws."""

    train: Count = Field(400, description="Drawn pairs in the train split.")
    val: Count = Field(50, description="Drawn pairs in the val split.")
    test: Count = Field(50, description="Drawn pairs in the test split.")
    seed: Interval = Field(0, description="Seed of the drawings; the same seed draws the same pairs.")


class DataConfig(Section):
    """Where the pairs are and how they become batches."""

    root: Name | None = Field(None, description="Folder of the data set, or its manifest (.csv or .jsonl).")
    layout: Literal["auto", "side-by-side", "two-folders", "manifest", "synthetic"] = Field(
        "auto", description="How pairs lie on disk: one image holding A|B, two folders, listed, or drawn on the fly."
    )
    direction: Literal["a2b", "b2a"] | None = Field(
        None, description="Which side is the input; null is a2b, or as folders called input and target say."
    )
    input: Name | None = Field(None, description="Folder of the inputs, in root where that is given.")
    target: Name | None = Field(None, description="Folder of the targets, in root where that is given.")
    manifest: Name | None = Field(
        None, description="A .csv or .jsonl file, in root where that is given: input, target and perhaps split a pair."
    )
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of the pairs to validate on, picked by their names, where no split is on disk."
    )
    image_size: Size = Field(256, description="Size of the training crops: one side, or [height, width].")
    load_size: Size | None = Field(
        None, description="Size images are resized to before the random crop; null is image_size: no random crop."
    )
    interpolation: Literal["bicubic", "bilinear"] = Field("bicubic", description="How images are resized.")
    flip: bool = Field(False, description="Mirror half of the training pairs left to right.")
    batch_size: Count = Field(1, description="Pairs an optimizer update.")
    workers: Literal["auto"] | Interval = Field(
        "auto", description="Processes that read data; 0 reads in the main one."
    )
    cache: Literal["auto", "memory", "off"] = Field("auto", description="Keep decoded, resized images in memory.")
    synthetic: SyntheticData = Field(
        default_factory=SyntheticData, description="Counts and seed of the drawn pairs; used by layout synthetic only."
    )

    @property
    def crop(self) -> tuple[int, int]:
        """(height, width) that the networks train on."""
        return height_and_width(self.image_size)

    @property
    def load(self) -> tuple[int, int]:
        """(height, width) that images are resized to before the crop."""
        return self.crop if self.load_size is None else height_and_width(self.load_size)
