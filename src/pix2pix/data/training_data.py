"""The training and validation pairs of a run: the splits of a config's data set, or data sets that are given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pix2pix.config import DataConfig
from pix2pix.data.cache.budget import CacheBudget
from pix2pix.data.cache.state import CacheState
from pix2pix.data.dataset import PairedDataset, open_eval_split, open_split
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.index import DatasetIndex, SplitLayout, source_label
from pix2pix.data.own_pairs import MapDataset, OwnPairs
from pix2pix.errors import DataError
from pix2pix.runtime.distributed import stopped_together


class PairSource(MapDataset, Protocol):
    """Pairs as the loader and the evaluator read them; `PairedDataset` is one."""

    @property
    def formats(self) -> PairFormat:
        """The formats of the images."""
        ...

    @property
    def skipped(self) -> Sequence[DataError]:
        """The errors of pairs that were dropped."""
        ...

    @property
    def cache_state(self) -> CacheState:
        """Where the pairs are cached."""
        ...

    def files(self, index: int) -> list[str]:
        """Return the files of a pair, or its name in messages."""
        ...

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint, by which a later run detects changed pairs."""
        ...

    def prepare(self, progress: bool = False, known: bool = False) -> "PairSource":
        """Read every pair once."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """The pairs of a run.

    `val` and `val_name`: the validation pairs and their name; None and "" if there are none. `source` names the data
    set and `layout` how its training pairs are stored, None where they are not on disk. `open_sampled` opens the pairs
    for sample grids where there are no validation pairs. `skipped_files`: how many files in its folders are no
    images, by suffix.
    """

    train: PairSource
    val: PairSource | None
    val_name: str
    formats: PairFormat
    source: str
    layout: SplitLayout | None
    open_sampled: Callable[[], PairSource]
    skipped_files: dict[str, int] = field(default_factory=dict)

    @property
    def sampled(self) -> PairSource:
        """The pairs for sample grids: the validation pairs, or training pairs where there are none."""
        return self.open_sampled() if self.val is None else self.val

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """The fingerprint of each split. Raises DataError."""
        found = {"train": self.train.fingerprint()}
        return found if self.val is None else found | {"val": self.val.fingerprint()}

    def prepare(self, known: bool) -> None:
        """Read every pair once, into the cache if there is one. If the pairs are `known`, infos are enough.

        Raises DataError and Stopped, on all ranks together.
        """
        with stopped_together():
            self.train.prepare(progress=True, known=known)
            if self.val is not None:
                self.val.prepare(progress=True, known=known)


def open_training_data(
    data: DataConfig,
    formats: PairFormat | None = None,
    train_data: MapDataset | None = None,
    val_data: MapDataset | None = None,
) -> TrainingData:
    """Open the training and validation pairs of a config, or those that are given instead.

    With `train_data` but without `val_data` there is no validation, since the config's split val belongs to another
    data set. The disk is scanned once. Raises DataError where there are no pairs or they cannot be trained on, and
    Stopped.
    """
    if train_data is not None:
        return _given_data(data, train_data, val_data, formats)
    index, budget = DatasetIndex.scan(data), CacheBudget()
    val: PairSource | None = None
    val_name = ""
    with stopped_together():
        train = open_split(data, "train", data.load, index=index, formats=formats, budget=budget)
        formats = train.formats
        if val_data is None and "val" in index.splits:
            val_name, val = "val", open_eval_split(data, "val", index=index, formats=formats, budget=budget)
    if val_data is not None:
        val_name, val = "val_data", OwnPairs(val_data, "val_data", formats, data.crop)

    def open_sampled() -> PairedDataset:
        center = data.load is None
        return PairedDataset(
            train.pairs, data.crop, data.interpolation, formats=train.formats, center=center, cache="off"
        )

    source = source_label(data)
    layout = None if data.layout == "synthetic" else index.layout("train")
    if layout is not None:
        source += f", {layout.name}"
    if data.direction is not None:
        source += f", {data.direction}"
    return TrainingData(train, val, val_name, formats, source, layout, open_sampled, index.skipped_files)


def _given_data(
    data: DataConfig, train_data: MapDataset, val_data: MapDataset | None, formats: PairFormat | None
) -> TrainingData:
    train = OwnPairs(train_data, "train_data", formats)
    val = None if val_data is None else OwnPairs(val_data, "val_data", train.formats, data.crop)
    sampled = OwnPairs(train_data, "train_data", train.formats, data.crop)
    val_name = "" if val is None else "val_data"
    return TrainingData(train, val, val_name, train.formats, type(train_data).__name__, None, lambda: sampled)
