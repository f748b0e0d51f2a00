"""The index of a data set: its layout, splits and pairs, from one scan of the disk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.config.data import ColumnsConfig
from pix2pix.data.discovery.find import Layout, find_layout, layout_of_folders
from pix2pix.data.discovery.folders import CONVERT, by_suffix, root_folder, show_counts
from pix2pix.data.discovery.listed import ManifestLayout
from pix2pix.data.discovery.manifest import is_manifest, manifests_in
from pix2pix.data.discovery.pairing import Unmatched
from pix2pix.data.discovery.sources import Listing
from pix2pix.data.discovery.split_lists import LIST_NAMES
from pix2pix.data.discovery.words import SPLITS
from pix2pix.data.formats.class_files import NAMES as CLASS_FILES
from pix2pix.data.held_out import held_out_keys
from pix2pix.data.images.storage import is_folder
from pix2pix.data.pairs import FilesPair, Pair, SideBySidePair, SyntheticPair
from pix2pix.errors import DataError
from pix2pix.runtime.log import debug
from pix2pix.text import counted

_FIRST_INDEX = {split: number * 1_000_000 for number, split in enumerate(SPLITS)}  # of drawn pairs, so never shared


@dataclass(frozen=True)
class SplitLayout:
    """How the pairs of a split are stored.

    `name`: side-by-side, two-folders, manifest or synthetic. `inputs` and `target`: folders, relative to data.root, or
    halves of an image; empty where pairs are listed or drawn. `val_fraction`: the share of the training pairs that is
    held out for validation; None where there is a split val. `rule` and `evidence`: how partners were found and why the
    layout was chosen, where there is something to say. `unpaired`: the number of images without a partner that were
    skipped. `held_out`: the number of pairs held out for validation.
    """

    name: str
    inputs: tuple[str, ...] = ()
    target: str = ""
    val_fraction: float | None = None
    rule: str = ""
    evidence: str = ""
    unpaired: int = 0
    held_out: int = 0

    def __str__(self) -> str:
        """The plan's words."""
        words = "input and target as listed"
        if self.inputs:
            words = f"input {' + '.join(self.inputs)}, target {self.target}"
        skipped = f"{counted(self.unpaired, 'image')} without a partner skipped" if self.unpaired else ""
        words = "; ".join([words, *filter(None, (self.rule, skipped, self.evidence))])
        if self.val_fraction is None:
            return words
        share = f"data.val_fraction {self.val_fraction:g}"
        if self.val_fraction == 0:
            return f"{words}; no split val, and {share} holds no training pairs out"
        if not self.held_out:
            return f"{words}; no split val, and nothing held out for validation: there is only one pair"
        pairs = f"{counted(self.held_out, 'training pair')} held out for validation ({share}), picked by name"
        return f"{words}; no split val: {pairs}"


class DatasetIndex:
    """The layout, splits and pairs of a data set. Each folder is listed at most once, when it is first needed.

    `data`: the settings, adapted to this data set. Create an index with `scan`, `scan_leniently` or `scan_at`.
    """

    def __init__(self, data: DataConfig, layout: Layout | None, unmatched: Unmatched | None = None):
        self.data, self._layout, self._unmatched = data, layout, unmatched
        self._listings: dict[str, Listing] = {}
        self._unmatched_by_split: dict[str, Unmatched] = {}

    @classmethod
    def scan(cls, data: DataConfig) -> "DatasetIndex":
        """Find the layout and the splits. Raises DataError where there is no such data set."""
        if data.layout == "synthetic":
            return cls(data, None)
        with _listing_errors(data.root):
            return cls(data, find_layout(data))

    @classmethod
    def scan_leniently(cls, data: DataConfig) -> "DatasetIndex":
        """Scan for a report: images without a partner are recorded in `unmatched` instead of raising DataError."""
        if data.layout == "synthetic":
            return cls(data, None, Unmatched())
        unmatched = Unmatched()
        with _listing_errors(data.root):
            return cls(data, find_layout(data, missing=unmatched.missing), unmatched)

    @classmethod
    def scan_at(cls, data: DataConfig, root: str) -> "DatasetIndex":
        """Scan another folder or manifest, whatever its layout; the settings in `data` are adapted to it.

        Raises DataError.
        """
        trusted = data.layout == "side-by-side"
        data = data.model_copy(update={"root": root, "layout": "auto", "manifest": None})
        with _listing_errors(root):
            folder = root_folder(root)
            if data.input and (not is_folder(root) or layout_of_folders(data, folder).is_empty):
                data = data.model_copy(update={"input": None, "target": None})
            if data.columns.names and not is_manifest(root) and not manifests_in(folder.path):
                data = data.model_copy(update={"columns": ColumnsConfig()})
            layout = find_layout(data, folder, trusted=trusted)
            if layout.has_roles:
                data = data.model_copy(update={"direction": None})
        return cls(data, layout)

    @cached_property
    def splits(self) -> list[str]:
        """The splits that exist on disk, are drawn or are held out, out of train, val and test. Raises DataError."""
        if self._layout is None:
            return list(SPLITS)
        with _listing_errors(self.data.root):
            on_disk = self._layout.splits
            if not on_disk:
                if self._layout.is_empty:
                    return []
                return ["train", "val"] if self._held_out else ["train"]
        if not self._holds_out:
            return on_disk
        try:
            held_out = bool(self._held_out)
        except DataError:  # raised again when the training pairs are read
            return on_disk
        return [split for split in SPLITS if split in on_disk or (split == "val" and held_out)]

    @property
    def evaluation_split(self) -> str | None:
        """The split to sample from by default: val, else test, else None. Raises DataError."""
        return next((split for split in ("val", "test") if split in self.splits), None)

    def pairs(self, split: str, size: tuple[int, int]) -> Sequence[Pair]:
        """Return the pairs of a split in the order of their names; drawn ones have `size` (height, width).

        Raises DataError for a missing or empty split, images without a partner, two images of one name, an ambiguous
        layout, or a direction that contradicts the names of the folders.
        """
        if self._layout is None:
            return _drawn(self.data, split, size)
        listing = self._listing(split)
        files = listing.files
        if not files:
            others = self.skipped_files
            what = f", but {show_counts(others)}; {CONVERT}" if others else "; put images there or set data.layout"
            raise DataError(f"{' and '.join(map(str, listing.folders))}: holds no pairs{what}", code="no-pairs")
        if self._holds_out and split != "test":
            files = {name: paths for name, paths in files.items() if (name in self._held_out) == (split == "val")}
        if not files or (split == "test" and split not in self._layout.splits):
            raise self._missing(split, len(listing.files))
        if listing.has_roles and self.data.direction == "b2a":
            raise DataError(
                f"{source_label(self.data)}: its folders or columns are called input and target, which data.direction "
                "b2a contradicts; leave data.direction out, or --set data.direction=null"
            )
        direction = self.data.direction or "a2b"
        return [_pair(name, paths, direction, self.data.max_pixels) for name, paths in files.items()]

    def unmatched(self, split: str) -> Unmatched:
        """Return the images that `pairs` left out of a split after `scan_leniently`."""
        recorded = self._unmatched_by_split.get(self._listed_split(split), Unmatched())
        missing = self._unmatched.missing if self._unmatched is not None else []
        return Unmatched(recorded.unpaired, recorded.name_clashes, missing, recorded.is_skipped)

    @property
    def skipped_files(self) -> dict[str, int]:
        """The number of files that are no images, by suffix, in the folders that have been read so far."""
        if self._layout is None or isinstance(self._layout, ManifestLayout):
            return {}
        known = {*CLASS_FILES, *LIST_NAMES}
        return by_suffix(name for name in self._layout.root.other_names() if name.lower() not in known)

    def layout(self, split: str = "train") -> SplitLayout:
        """Describe how the pairs of a split are stored. Raises DataError."""
        if self._layout is None:
            return SplitLayout("synthetic")
        listing, root = self._listing(split), Path(self.data.root or "")
        fraction = self.data.val_fraction if self._holds_out else None
        held_out = len(self._held_out) if self._holds_out else 0
        reasons = (listing.rule, listing.evidence, len(listing.unpaired), held_out)
        if not listing.folders:
            return SplitLayout(listing.layout, (), "", fraction, *reasons)
        sides = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in listing.folders]
        if len(sides) == 1:
            sides = ["left half", "right half"]
        *inputs, target = sides[::-1] if self.data.direction == "b2a" else sides
        return SplitLayout(listing.layout, tuple(inputs), target, fraction, *reasons)

    @property
    def _holds_out(self) -> bool:
        """Whether validation pairs are held out of the training pairs, because there is no split val."""
        return self._layout is not None and (not self._layout.splits or self._listed_split("val") == "train")

    def _listed_split(self, split: str) -> str:
        """Return the split on disk that contains the pairs of a split."""
        splits = self._layout.splits if self._layout is not None else []
        if not splits or (split == "val" and "val" not in splits and "train" in splits):
            return "train"
        return split

    def _listing(self, split: str) -> Listing:
        assert self._layout is not None
        with _listing_errors(self.data.root):
            listed = self._listed_split(split)
            if listed not in self._listings:
                unmatched = Unmatched() if self._unmatched is not None else None
                if unmatched is not None:
                    self._unmatched_by_split[listed] = unmatched
                listing = self._listings[listed] = self._layout.listing(listed, unmatched)
                words = "; ".join(filter(None, (listing.layout, listing.rule, listing.evidence)))
                debug(f"{source_label(self.data)}: {counted(len(listing.files), 'pair')} in {listed}; {words}")
            return self._listings[listed]

    @cached_property
    def _held_out(self) -> frozenset[str]:
        """The names of the training pairs that are held out for validation."""
        keys = self._listing("train").keys
        picked = held_out_keys(keys.values(), self.data.val_fraction)
        return frozenset(name for name, key in keys.items() if key in picked)

    def _missing(self, split: str, count: int) -> DataError:
        label = source_label(self.data)
        if split == "test":
            return DataError(
                f"{label}: has no split test; name another split, or make a folder test", code="missing-split"
            )
        return DataError(
            f"{label}: has no split val, and data.val_fraction {self.data.val_fraction:g} holds out none of its "
            f"{count} training pairs; make a split val, or set data.val_fraction above 0",
            code="missing-split",
        )


def source_label(data: DataConfig) -> str:
    """Return the location of the data set, as the config names it."""
    if data.layout == "synthetic":
        return "drawn facades"
    if data.manifest is not None:
        return str(Path(data.root or "") / data.manifest)
    return data.root or (" and ".join([*data.inputs, str(data.target)]) if data.inputs else "data.root")


@contextmanager
def _listing_errors(root: str | None) -> Iterator[None]:
    """Turn errors of the file system into a DataError that names the folder."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be listed ({error.strerror}); fix data.root") from None


def _drawn(data: DataConfig, split: str, size: tuple[int, int]) -> list[Pair]:
    start = _FIRST_INDEX[split]
    return [
        SyntheticPair(f"{split}_{i:04d}", start + i, data.synthetic.seed, size, data.direction or "a2b")
        for i in range(getattr(data.synthetic, split))
    ]


def _pair(name: str, paths: tuple[Path, ...], direction: str, max_pixels: int | None) -> Pair:
    if len(paths) == 1:
        return SideBySidePair(name, *paths, direction, max_pixels)
    return FilesPair(name, paths if direction == "a2b" else paths[::-1], max_pixels)
