"""Prepare pairs from a downloaded Cityscapes: photo and labels, 256x256, one file each.

This follows the paper's authors (pytorch-CycleGAN-and-pix2pix, datasets/prepare_cityscapes_dataset.py), but writes PNG
and resizes labels by nearest neighbour, so that every colour stays that of a class.
"""

from pathlib import Path

import numpy as np

from pix2pix.data.images.decoded import resize
from pix2pix.data.images.files import is_image, read_image, write_image
from pix2pix.datasets.catalogue import CITYSCAPES, CITYSCAPES_COUNTS, download_command
from pix2pix.errors import DataError
from pix2pix.runtime.parallel import for_each

SIZE = (256, 256)
_PHOTO, _LABELS = "_leftImg8bit.png", "_gtFine_color.png"
_ZIPS = "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip"


def how_to_get(output: str | Path) -> tuple[str, ...]:
    """Return the steps to get the data set, one a line: its licence requires every user to register."""
    return (
        f"{CITYSCAPES} cannot be downloaded from here: its licence requires every user to register. To get it:",
        f"  1. register at https://www.cityscapes-dataset.com and download {_ZIPS} (12 GB)",
        "  2. unzip both into one folder, which then has leftImg8bit/ and gtFine/",
        f"  3. {download_command(CITYSCAPES, output)} --from FOLDER",
    )


def prepare_cityscapes(source: str | Path, folder: Path) -> None:
    """Write `<folder>/<split>/a/<name>.png` (photo) and `.../b/...` (labels) from the unzipped data set in `source`.

    The layout is `two-folders`; `data.direction: b2a` translates labels to photos. Raises DataError where the data set
    is incomplete or an image is broken, OSError where `folder` cannot be written.
    """
    jobs = []
    for split, count in CITYSCAPES_COUNTS.items():
        pairs = _find_pairs(Path(source), split)
        if len(pairs) != count:
            reason = f"holds {len(pairs)} pairs of {split} instead of {count}"
            raise DataError(reason, path=source, remedy=f"unzip {_ZIPS} there")
        jobs += [(photo, labels, folder / split / "a", folder / split / "b") for photo, labels in pairs]
    for_each(_prepare_pair, jobs, "preparing")


def check_cityscapes(folder: Path) -> None:
    """Raise DataError unless every split has all its pairs and all decode, photo and labels of one size."""
    pairs = []
    for split, count in CITYSCAPES_COUNTS.items():
        a, b = (
            {path.name: path for path in sorted((folder / split / side).glob("*")) if is_image(path)} for side in "ab"
        )
        if not (a.keys() == b.keys() and len(a) == count):
            raise DataError(f"{split} holds {len(a)} photos and {len(b)} labels instead of {count} pairs of one name")
        pairs += [(a[name], b[name]) for name in a]
    for_each(_read_pair, pairs, "checking")


def _find_pairs(source: Path, split: str) -> list[tuple[Path, Path]]:
    """Return photo and labels of a split, found at `<type>/<split>/<city>/<name><suffix>` anywhere in `source`."""
    if not source.is_dir():
        raise DataError("no such folder", path=source, remedy=f"give --from the folder into which you unzipped {_ZIPS}")
    photos, labels = (_by_stem(source, split, suffix) for suffix in (_PHOTO, _LABELS))
    if unpaired := sorted({*photos} ^ {*labels}):
        names = ", ".join(unpaired[:5]) + (f" and {len(unpaired) - 5} more" if unpaired[5:] else "")
        raise DataError(
            f"{len(unpaired)} of {split} lack the photo or the labels: {names}",
            path=source,
            remedy=f"unzip {_ZIPS} there",
        )
    return [(photos[stem], labels[stem]) for stem in sorted(photos)]


def _by_stem(source: Path, split: str, suffix: str) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for path in sorted(source.glob(f"**/{split}/*/*{suffix}")):
        stem = path.name.removesuffix(suffix)
        if stem in by_stem:
            raise DataError(
                f"{by_stem[stem]} and {path} are the same image", remedy="give --from one copy of the data set"
            )
        by_stem[stem] = path
    return by_stem


def _read_rgb(path: Path) -> np.ndarray:
    """Return the pixels, uint8 [H, W, 3]; the label files have an opaque alpha channel."""
    pixels = read_image(path).colours()
    if pixels.dtype != np.uint8 or pixels.shape[2] not in (3, 4) or (pixels[..., 3:] != 255).any():
        raise DataError("is not an opaque 8-bit colour image", path=path, remedy="unzip it again")
    return pixels[..., :3]


def _read_pair(pair: tuple[Path, Path]) -> tuple[np.ndarray, np.ndarray]:
    photo, labels = map(_read_rgb, pair)
    if photo.shape != labels.shape:
        sizes = f"{photo.shape[1]}x{photo.shape[0]} and {labels.shape[1]}x{labels.shape[0]}"
        raise DataError(f"{pair[0]} and {pair[1]} are of two sizes, {sizes}", remedy="unzip them again")
    return photo, labels


def _prepare_pair(job: tuple[Path, Path, Path, Path]) -> None:
    photo_path, labels_path, a, b = job
    photo, labels = _read_pair((photo_path, labels_path))
    name = photo_path.name.removesuffix(_PHOTO) + ".png"
    write_image(a / name, resize(photo, SIZE, "bicubic"))
    write_image(b / name, resize(labels, SIZE, "nearest"))
