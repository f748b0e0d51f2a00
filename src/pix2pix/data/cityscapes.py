"""Makes pairs of Cityscapes, which everyone has to fetch for himself: photo and labels, 256x256, a file each.

As the paper's authors did (pytorch-CycleGAN-and-pix2pix, datasets/prepare_cityscapes_dataset.py), but as PNG and with
nearest neighbours for the labels, so that no colour arises that means nothing.
"""

from pathlib import Path

from pix2pix.data.catalogue import CITYSCAPES, CITYSCAPES_COUNTS, download_command
from pix2pix.data.forms import RGB
from pix2pix.data.images import is_image, read_picture, write_picture
from pix2pix.data.parallel import for_each
from pix2pix.data.pictures import resize
from pix2pix.errors import DataError

SIZE = (256, 256)
_PHOTO, _LABELS = "_leftImg8bit.png", "_gtFine_color.png"
_ZIPS = "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip"


def how_to_get(output: str | Path) -> tuple[str, ...]:
    """The steps to get it, a line each, since its licence wants every user registered."""
    return (
        f"{CITYSCAPES} cannot be downloaded from here: its licence wants every user registered. To get it:",
        f"  1. register at https://www.cityscapes-dataset.com and download {_ZIPS} (12 GB)",
        "  2. unzip both into one folder, which then has leftImg8bit/ and gtFine/",
        f"  3. {download_command(CITYSCAPES, output)} --from FOLDER",
    )


def prepare_cityscapes(source: str | Path, folder: Path) -> None:
    """From the unzipped data set in `source`, make `<folder>/<split>/a/<name>.png` (photo) and `.../b/...` (labels).

    The layout is `two-folders`; `data.direction: b2a` reads labels and draws photos. Raises DataError where the data
    set is not complete or a picture is broken, OSError where `folder` cannot be written.
    """
    jobs = []
    for split, count in CITYSCAPES_COUNTS.items():
        pairs = _find_pairs(Path(source), split)
        if len(pairs) != count:
            reason = f"{source}: holds {len(pairs)} pairs of {split} instead of {count}"
            raise DataError(f"{reason}; unzip {_ZIPS} there")
        jobs += [(photo, labels, folder / split / "a", folder / split / "b") for photo, labels in pairs]
    for_each(_prepare_pair, jobs, "preparing")


def check_cityscapes(folder: Path) -> None:
    """Raises DataError unless every split holds its number of pairs and every one decodes, its halves of one size."""
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
    """Photo and labels of a split; they lie in `<type>/<split>/<city>/<name><suffix>` somewhere in `source`."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; give --from the folder into which you unzipped {_ZIPS}")
    photos, labels = (_by_stem(source, split, suffix) for suffix in (_PHOTO, _LABELS))
    if lonely := sorted({*photos} ^ {*labels}):
        names = ", ".join(lonely[:5]) + (f" and {len(lonely) - 5} more" if lonely[5:] else "")
        raise DataError(
            f"{source}: {len(lonely)} of {split} lack the photo or the labels: {names}; unzip {_ZIPS} there"
        )
    return [(photos[stem], labels[stem]) for stem in sorted(photos)]


def _by_stem(source: Path, split: str, suffix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(source.glob(f"**/{split}/*/*{suffix}")):
        stem = path.name.removesuffix(suffix)
        if stem in found:
            raise DataError(f"{found[stem]} and {path} are the same picture; give --from one copy of the data set")
        found[stem] = path
    return found


def _read_pair(pair: tuple[Path, Path]) -> tuple:
    photo, labels = (RGB.target.decode(read_picture(path), path, "data.input_format") for path in pair)
    if photo.shape != labels.shape:
        sizes = f"{photo.shape[1]}x{photo.shape[0]} and {labels.shape[1]}x{labels.shape[0]}"
        raise DataError(f"{pair[0]} and {pair[1]} are of two sizes, {sizes}; unzip them anew")
    return photo, labels


def _prepare_pair(job: tuple[Path, Path, Path, Path]) -> None:
    photo_path, labels_path, a, b = job
    photo, labels = _read_pair((photo_path, labels_path))
    name = photo_path.name.removesuffix(_PHOTO) + ".png"
    write_picture(a / name, resize(photo, SIZE, "bicubic"))
    write_picture(b / name, resize(labels, SIZE, "nearest"))
