"""Find the layout of the data set that a config names."""

import os
from pathlib import Path

from pix2pix.config import DataConfig
from pix2pix.data.discovery.arrangements import ArrangedLayout, find_arrangement
from pix2pix.data.discovery.folders import Folder, root_folder
from pix2pix.data.discovery.layouts import FolderLayout
from pix2pix.data.discovery.listed import ManifestLayout, find_manifests
from pix2pix.data.discovery.patterns import PatternLayout
from pix2pix.data.discovery.sides import wrapped_root
from pix2pix.data.discovery.split_lists import find_split_lists
from pix2pix.data.images.storage import is_folder
from pix2pix.datasets.catalogue import download_command
from pix2pix.datasets.catalogue import names as published_sets
from pix2pix.errors import DataError

Layout = FolderLayout | PatternLayout | ArrangedLayout | ManifestLayout


def find_layout(
    data: DataConfig,
    folder: Folder | None = None,
    missing: list[tuple[str, Path]] | None = None,
    trusted: bool = False,
) -> Layout:
    """Return the layout of the folder or manifest of a config. Raises DataError if it is missing, and OSError."""
    if manifests := find_manifests(data):
        return ManifestLayout(manifests, data.columns, missing)
    named = data.input is not None and data.target is not None
    folder = folder or root_folder(data.root or "")
    if not is_folder(data.root or ("." if named else "")):
        what = (
            "is a file, but neither a manifest nor an archive" if os.path.isfile(data.root or "") else "no such folder"
        )
        root = Path(data.root or "")
        name, output = (root.name, root.parent) if root.name in published_sets() else ("facades", "data")
        raise DataError(
            f"{data.root or 'data.root'}: {what}; set data.root or pass --data with where your pairs are, "
            f"or get {'the facades' if name == 'facades' else name} with: {download_command(name, output)}",
            code="missing-root",
        )
    return layout_of_folders(data, folder, trusted)


def layout_of_folders(
    data: DataConfig, folder: Folder, trusted: bool = False
) -> FolderLayout | PatternLayout | ArrangedLayout:
    """Return the layout of a folder without a manifest.

    Patterns and the fixed folder names are tried first, then other folder names, then the images of one folder. Raises
    DataError and OSError.
    """
    if data.has_patterns:
        return PatternLayout(data, folder)
    layout = FolderLayout(data, folder, trusted)
    if data.root is None or data.layout == "side-by-side":
        return layout
    if layout.has_folders_of_sides and not layout.is_empty:
        lists = layout.named and not layout.splits and find_split_lists(wrapped_root(folder).path)
        return (lists and find_arrangement(data, folder)) or layout
    return find_arrangement(data, folder) or layout
