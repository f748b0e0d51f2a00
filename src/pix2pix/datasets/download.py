"""Download a published data set; its folder appears only once all of it is checked."""

import difflib
import os
import shutil
from pathlib import Path

from pix2pix.data.images.files import is_image, read_image
from pix2pix.datasets.archives import ARCHIVE_ERRORS, require_safe_tar, unpack
from pix2pix.datasets.catalogue import CITYSCAPES, DATASETS, Dataset, download_command, names, split_counts
from pix2pix.datasets.cityscapes import check_cityscapes, how_to_get, prepare_cityscapes
from pix2pix.datasets.fetch import URL, PartialDownload, fetch
from pix2pix.datasets.staging import atomic_dir, exclusive_build
from pix2pix.errors import CheckpointError, ConfigError, DataError
from pix2pix.runtime.io import writing
from pix2pix.runtime.log import info, warning
from pix2pix.runtime.parallel import for_each


def download(name: str, output: str | Path = "data", url: str | None = None, source: str | Path | None = None) -> Path:
    """Put the data set at `<output>/<name>` and return that folder; an existing one is checked and kept.

    `name` is one of `catalogue.names()`, `url` the address of a mirror (http or https), `source` the folder with the
    unzipped Cityscapes. Raises ConfigError for an unknown name, an invalid URL or flags that do not fit; DataError
    where the network fails, what is found is not the data set, or it cannot be downloaded; CheckpointError where
    `output` cannot be written, has no space, or another process is building the same data set there.
    """
    _validate_arguments(name, url, source)
    folder = Path(output) / name
    if _is_complete(folder, name):
        return folder
    if name == CITYSCAPES and source is None:
        raise DataError(*how_to_get(output))
    with writing(Path(output)):  # the network's and the archive's errors are translated where they arise
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_build(folder):
            if _is_complete(folder, name):  # another process has finished it
                return folder
            if source is not None:
                with atomic_dir(folder) as hidden:
                    prepare_cityscapes(source, hidden)
            else:
                _fetch_and_install(url, folder, DATASETS[name])
    info(f"{folder} is complete ({_summary(name)})")
    return folder


def _validate_arguments(name: str, url: str | None, source: str | Path | None) -> None:
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"unknown data set '{name}'{hint} (known: {', '.join(names())})")
    if source is not None and name != CITYSCAPES:
        raise ConfigError(f"--from is for {CITYSCAPES}; '{name}' is downloaded, from a mirror with --url")
    if url is not None and name == CITYSCAPES:
        raise ConfigError(f"--url is not for {CITYSCAPES}; give --from with the folder where you unzipped it")
    if url is not None and not URL.fullmatch(url):
        raise ConfigError(f"--url must be an http:// or https:// address, not '{url}'")


def _summary(name: str) -> str:
    return ", ".join(f"{split} {count}" for split, count in split_counts(name).items()) + " pairs"


def _is_complete(folder: Path, name: str) -> bool:
    """Tell whether `folder` holds the data set. Raises DataError where it holds something else."""
    if not os.path.lexists(folder):
        return False
    try:
        if not folder.is_dir():
            raise DataError("it is not a folder")
        if name == CITYSCAPES:
            check_cityscapes(folder)
        else:
            _check_side_by_side(folder, DATASETS[name])
    except DataError as error:
        reason = f"{folder} exists but is not the complete data set '{name}': {error}"
        again = download_command(name, folder.parent)
        raise DataError(f"{reason}. Move or delete it, then run '{again}' again") from error
    info(f"{folder} is complete already ({_summary(name)})")
    return True


def _fetch_and_install(mirror: str | None, folder: Path, dataset: Dataset) -> None:
    require_safe_tar()
    url = mirror or dataset.url
    part = PartialDownload(folder.with_name(f"{folder.name}.tar.gz.part"))
    _require_space(folder, dataset, part.resumable(url)[0])
    try:
        fetch(url, part, folder.name, dataset)
        _require_published(url, part, dataset, mirror is not None)
        _install(url, part, folder, dataset)
    except OSError:  # of the disk: an incomplete download must not stay there
        part.discard()
        raise


def _require_space(folder: Path, dataset: Dataset, held: int) -> None:
    """Raise CheckpointError, before hours are spent on it, where the archive and its files do not fit on the disk."""
    needed, free = 2 * dataset.expected_bytes - held, shutil.disk_usage(folder.parent).free
    if free < needed:
        raise CheckpointError(
            f"{folder.parent}: {folder.name} needs {needed / 1e9:.1f} GB there while it unpacks, and "
            f"{free / 1e9:.1f} GB are free; free some space, or name another folder with --output"
        )


def _require_published(url: str, part: PartialDownload, dataset: Dataset, chosen: bool) -> None:
    """Raise DataError where the archive is not the published one: http does not protect against tampering.

    With --url (`chosen`) this is a warning: a mirror may have packed the same pairs again.
    """
    if (digest := part.md5()) != dataset.md5:
        actual, expected = f"{part.path.stat().st_size:,} bytes and md5 {digest}", f"md5 {dataset.md5}"
        if dataset.bytes is not None:
            expected = f"{dataset.bytes:,} bytes and {expected}"
        if not chosen:
            part.discard()
            raise DataError(
                f"{url}: has {actual}, not {expected}, so it is not the published archive. Nothing was kept; try "
                f"again, or accept another archive with --url {url}"
            )
        warning(f"{url} has {actual}, not {expected}; checking every pair")


def _install(url: str, part: PartialDownload, folder: Path, dataset: Dataset) -> None:
    """Unpack beside `folder`, check every pair, and only then give it its name."""
    hidden = folder
    try:
        with atomic_dir(folder) as hidden:
            unpack(part.path, hidden.parent, folder.name, dataset)
            _check_side_by_side(hidden, dataset)
    except (*ARCHIVE_ERRORS, DataError) as error:
        part.discard()
        reason = f"{url} is not the data set '{folder.name}': {_reason(error, hidden.parent)}"
        raise DataError(f"{reason}. Nothing was kept; try again, or give another address with --url") from error
    part.discard()  # an interruption keeps it, so that the download need not be repeated


def _reason(error: Exception, hidden: Path) -> str:
    """Return what is wrong, naming a file relative to the hidden folder, which no longer exists."""
    if not isinstance(error, DataError) or error.path is None:
        return str(error)
    path = Path(error.path)
    return f"{path.relative_to(hidden) if path.is_relative_to(hidden) else path}: {error.reason}"


def _check_side_by_side(folder: Path, dataset: Dataset) -> None:
    """Raise DataError unless each split holds its number of side-by-side pairs and every one decodes."""
    paths: list[Path] = []
    for split, count in dataset.counts.items():
        images = sorted(path for path in (folder / split).glob("*") if is_image(path))
        if len(images) != count:
            raise DataError(f"{split} holds {len(images)} pairs instead of {count}")
        paths += images
    for_each(_check_halves, paths, "checking")


def _check_halves(path: Path) -> None:
    width = read_image(path).pixels.shape[1]
    if width % 2:
        raise DataError(f"is {width} pixels wide, which does not make two halves", path=path)
