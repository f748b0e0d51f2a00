"""The layout of data sets whose pairs are listed in manifests."""

from collections.abc import Sequence
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.config.data import ColumnsConfig
from pix2pix.data.discovery.folders import root_folder
from pix2pix.data.discovery.manifest import Manifest, is_manifest, manifests_in, read_manifests
from pix2pix.data.discovery.pairing import Unmatched
from pix2pix.data.discovery.sources import Listing
from pix2pix.data.discovery.words import SPLITS
from pix2pix.data.images.storage import is_folder
from pix2pix.errors import DataError


class ManifestLayout:
    """The layout of manifests. `splits`: the splits that they name, empty if they name none.

    `missing`: a list that collects (line, path) of files that do not exist, instead of raising DataError.
    """

    is_empty, has_roles = False, True

    def __init__(
        self, manifests: Sequence[Manifest], columns: ColumnsConfig, missing: list[tuple[str, Path]] | None = None
    ):
        self.path, self.rows = manifests[0].path, read_manifests(manifests, columns, missing)
        self.splits = [split for split in SPLITS if any(row.split == split for row in self.rows)]

    def listing(self, split: str, unmatched: Unmatched | None = None) -> Listing:
        """List the pairs of a split, or all pairs if the manifests have no splits, by name. Raises DataError."""
        if self.splits and split not in self.splits:
            raise DataError(
                f"lists no pairs of {split}",
                path=self.path,
                remedy=f"it has {', '.join(self.splits)}",
                code="missing-split",
            )
        rows = sorted((row for row in self.rows if not self.splits or row.split == split), key=lambda row: row.name)
        files = {row.name: row.files for row in rows}
        keys = {row.name: row.key for row in rows}
        return Listing("manifest", True, files, keys, evidence=rows[0].columns if rows else "")


def find_manifests(data: DataConfig) -> list[Manifest]:
    """Return the manifests that a config names or that are in its folder; none if the pairs are in folders.

    Raises DataError if the config requires a manifest and there is none, and OSError.
    """
    root = Path(data.root or "")
    if data.manifest is not None:
        return [Manifest(root / data.manifest)]
    if data.layout not in ("auto", "manifest") or data.root is None or data.input is not None:
        return []
    if is_manifest(root):
        return [Manifest(root)]
    manifests = manifests_in(root_folder(root).path) if is_folder(root) else []
    if not manifests and (data.layout == "manifest" or (data.columns.names and is_folder(root))):
        key = "data.layout manifest" if data.layout == "manifest" else "data.columns"
        raise DataError(
            f"is not a manifest and contains none, but {key} requires one",
            path=root,
            remedy=f"set data.manifest to a .csv, .tsv, .jsonl or .parquet file, or leave {key.split()[0]} out",
            code="manifest",
        )
    return manifests
