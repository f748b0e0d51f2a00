"""Paired images: finds, reads, caches, crops and augments them.

`PairedDataset` is the entry for other code. Names load on first use: listing pairs needs no torch.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "PairedDataset": "data.dataset",
    "draw_pair": "datasets.synthetic.draw",
    "infer_formats": "data.infer",
    "DatasetIndex": "data.index",
    "image_formats": "data.formats.image_format",
    "read_image": "data.images.files",
}
__all__ = ["DatasetIndex", "PairedDataset", "draw_pair", "image_formats", "infer_formats", "read_image"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"pix2pix.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'pix2pix.data' has no attribute {name!r}")
