"""Paired pictures: found, checked, read, cropped alike. Past `pairs.py` there is `input` and `target`, no A and B.

`PairedDataset` is the entry for other code. Names load on first use: listing pairs needs no torch.
"""

from importlib import import_module

_HOMES = {
    "PairedDataset": "dataset",
    "draw_pair": "synthetic",
    "find_forms": "survey",
    "find_pairs": "pairs",
    "image_forms": "forms",
    "read_picture": "images",
}
__all__ = ["PairedDataset", "draw_pair", "find_forms", "find_pairs", "image_forms", "read_picture"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"pix2pix.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'pix2pix.data' has no attribute {name!r}")
