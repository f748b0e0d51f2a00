"""The training and validation pairs of a run: the splits of a config's data set, or data sets that are given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pix2pix.config import DataConfig
from pix2pix.data.cache.budget import CacheBudget
from pix2pix.data.dataset import open_eval_split, open_split, validation_split
from pix2pix.data.discovery.layouts import source_label
from pix2pix.data.fingerprint import Fingerprint
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.own_pairs import MapDataset, OwnPairs
from pix2pix.data.pairs import available_splits, describe_layout
from pix2pix.errors import DataError
from pix2pix.runtime.distributed import stopped_together


class PairSource(Protocol):
    """Pairs as the loader and the evaluator read them; `PairedDataset` is one."""

    formats: PairFormat
    skipped: Sequence[DataError]
    cache_summary: str

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    def files(self, index: int) -> list[str]: ...
    def fingerprint(self) -> Fingerprint: ...
    def prepare(self, progress: bool = False, known: bool = False) -> "PairSource": ...


@dataclass(frozen=True)
class TrainingData:
    """The pairs of a run.

    `source` and `layout` describe where they come from. `val_name` names the split to validate on, "" where there is
    none. `open_sampled` opens the pairs that sample grids show where there are none to validate on.
    """

    train: PairSource
    val: PairSource | None
    val_name: str
    formats: PairFormat
    source: str
    layout: str
    open_sampled: Callable[[], PairSource]

    @property
    def sampled(self) -> PairSource:
        """The validation pairs, or training pairs where there are no others."""
        return self.open_sampled() if self.val is None else self.val

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """By split, what tells whether a later run sees the same pairs."""
        found = {"train": self.train.fingerprint()}
        return found if self.val is None else found | {"val": self.val.fingerprint()}

    def prepare(self, known: bool) -> None:
        """Read every pair once, into the cache where there is one; headers are enough where they are `known`.

        Raises DataError and Stopped, on all ranks together.
        """
        with stopped_together():
            for dataset in filter(None, (self.train, self.val)):
                dataset.prepare(progress=True, known=known)


def open_training_data(
    data: DataConfig,
    formats: PairFormat | None = None,
    train_data: MapDataset | None = None,
    val_data: MapDataset | None = None,
) -> TrainingData:
    """Open the training and validation pairs of a config, or those that are given instead.

    Without `val_data`, given `train_data` are not validated on: the config's own split would be of another data set.
    Raises DataError where there are no pairs, or they cannot be trained on; Stopped.
    """
    if train_data is not None:
        train = OwnPairs(train_data, "train_data", formats)
        val = None if val_data is None else OwnPairs(val_data, "val_data", train.formats, data.crop)
        sampled = OwnPairs(train_data, "train_data", train.formats, data.crop)
        name = "val_data" if val else ""
        return TrainingData(train, val, name, train.formats, type(train_data).__name__, "", lambda: sampled)
    budget = CacheBudget()  # the splits share it
    split = validation_split(available_splits(data)) if val_data is None else None
    with stopped_together():
        train = open_split(data, "train", data.load, budget, formats)
        formats = train.formats
        val = open_eval_split(data, split, budget, formats) if split else None
    if val_data is not None:
        split, val = "val_data", OwnPairs(val_data, "val_data", formats, data.crop)
    drawn = data.layout == "synthetic"
    source = "drawn facades" if drawn else f"{source_label(data)}, {train.layout}"
    source += f", {data.direction}" if data.direction else ""
    layout = "" if drawn else describe_layout(data)
    return TrainingData(
        train, val, split or "", formats, source, layout, lambda: open_eval_split(data, "train", formats=formats)
    )
