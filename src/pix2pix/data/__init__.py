"""Paired pictures: found, checked, read, cropped alike. Past `pairs.py` there is `input` and `target`, no A and B.

`PairedDataset` is the entry for other code. Names load on first use: listing pairs needs no torch.
"""

from importlib import import_module

_HOMES = {
    "PairedDataset": "data.dataset",
    "draw_pair": "datasets.synthetic.draw",
    "infer_formats": "data.formats.infer",
    "find_pairs": "data.pairs",
    "image_formats": "data.formats.image_format",
    "read_image": "data.images.files",
}
__all__ = ["PairedDataset", "draw_pair", "find_pairs", "image_formats", "infer_formats", "read_image"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"pix2pix.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'pix2pix.data' has no attribute {name!r}")
