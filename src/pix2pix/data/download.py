"""Puts a published data set of pairs onto the disk, and shows nothing of it before all of it is right."""

import difflib
import os
import shutil
from pathlib import Path

from pix2pix.data.archives import ARCHIVE_ERRORS, require_safe_tar, unpack
from pix2pix.data.catalogue import CITYSCAPES, DATASETS, Dataset, download_command, names, split_counts
from pix2pix.data.cityscapes import check_cityscapes, how_to_get, prepare_cityscapes
from pix2pix.data.fetch import URL, Part, fetch
from pix2pix.data.images import is_image, read_picture
from pix2pix.data.parallel import for_each
from pix2pix.data.staging import making, staged
from pix2pix.errors import CheckpointError, ConfigError, DataError
from pix2pix.runtime.console import say
from pix2pix.runtime.files import writing


def download(name: str, output: str | Path = "data", url: str | None = None, source: str | Path | None = None) -> Path:
    """Put the data set at `<output>/<name>` and return that folder; one that is there already is checked and kept.

    `name` is one of `catalogue.names()`, `url` the address of a mirror (http or https), `source` the folder with the
    unzipped Cityscapes. Raises ConfigError for an unknown name, a URL that is none, or flags that do not fit; DataError
    where the network fails, what is found is not the data set, or it cannot be fetched at all; CheckpointError where
    `output` cannot be written, has no room, or another process is making the same data set there.
    """
    _require_sense(name, url, source)
    folder = Path(output) / name
    if _is_there(folder, name):
        return folder
    if name == CITYSCAPES and source is None:
        raise DataError(*how_to_get(output))
    with writing(Path(output)):  # the network's and the archive's errors are translated where they arise
        folder.parent.mkdir(parents=True, exist_ok=True)
        with making(folder):
            if _is_there(folder, name):  # another process was quicker
                return folder
            if name == CITYSCAPES:
                with staged(folder) as hidden:
                    prepare_cityscapes(source, hidden)
            else:
                _fetch_and_install(url, folder, DATASETS[name])
    say(f"{folder} is complete ({_summary(name)})")
    return folder


def _require_sense(name: str, url: str | None, source: str | Path | None) -> None:
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


def _is_there(folder: Path, name: str) -> bool:
    """Whether the data set is at `folder` already. Raises DataError where something else is."""
    if not os.path.lexists(folder):
        return False
    try:
        if not folder.is_dir():
            raise DataError("it is not a folder")
        check_cityscapes(folder) if name == CITYSCAPES else _check_side_by_side(folder, DATASETS[name])
    except DataError as error:
        reason = f"{folder} exists but is not the complete data set '{name}': {error}"
        again = download_command(name, folder.parent)
        raise DataError(f"{reason}. Move or delete it, then run '{again}' again") from error
    say(f"{folder} is complete already ({_summary(name)})")
    return True


def _fetch_and_install(mirror: str | None, folder: Path, dataset: Dataset) -> None:
    require_safe_tar()
    url = mirror or dataset.url
    part = Part(folder.with_name(f"{folder.name}.tar.gz.part"))
    _require_space(folder, dataset, part.resumable(url)[0])
    try:
        fetch(url, part, folder.name, dataset)
        _require_published(url, part, dataset, mirror is not None)
        _install(url, part, folder, dataset)
    except OSError:  # the disk's: nothing half-done stays there
        part.discard()
        raise


def _require_space(folder: Path, dataset: Dataset, held: int) -> None:
    """Raises CheckpointError where the archive and what it unpacks to do not fit, before hours go into a download."""
    needed, free = 2 * dataset.expected_bytes - held, shutil.disk_usage(folder.parent).free
    if free < needed:
        raise CheckpointError(
            f"{folder.parent}: {folder.name} needs {needed / 1e9:.1f} GB there while it unpacks, and "
            f"{free / 1e9:.1f} GB are free; free some space, or name another folder with --output"
        )


def _require_published(url: str, part: Part, dataset: Dataset, chosen: bool) -> None:
    """Raises DataError where another archive came than the published one, as whoever sits between can arrange on http.

    With --url (`chosen`) it only warns: a mirror may have packed the same pairs again.
    """
    if (digest := part.md5()) != dataset.md5:
        found, expected = f"{part.path.stat().st_size:,} bytes and md5 {digest}", f"md5 {dataset.md5}"
        if dataset.bytes is not None:
            expected = f"{dataset.bytes:,} bytes and {expected}"
        if not chosen:
            part.discard()
            raise DataError(
                f"{url}: has {found}, not {expected}, so it is not the published archive. Nothing was kept; try again, "
                f"or accept another archive with --url {url}"
            )
        say(f"warning: {url} has {found}, not {expected}; checking every pair")


def _install(url: str, part: Part, folder: Path, dataset: Dataset) -> None:
    """Unpack beside `folder`, check every pair, and only then give it its name."""
    hidden = folder
    try:
        with staged(folder) as hidden:
            unpack(part.path, hidden.parent, folder.name, dataset)
            _check_side_by_side(hidden, dataset)
    except (*ARCHIVE_ERRORS, DataError) as error:
        part.discard()
        reason = str(error).replace(f"{hidden.parent}{os.sep}", "")  # that folder is gone when the message is read
        reason = f"{url} is not the data set '{folder.name}': {reason}"
        raise DataError(f"{reason}. Nothing was kept; try again, or give another address with --url") from error
    part.discard()  # kept where a person or a signal interrupts: all of it need not come again


def _check_side_by_side(folder: Path, dataset: Dataset) -> None:
    """Raises DataError unless each split holds its number of side-by-side pairs and every one decodes."""
    paths: list[Path] = []
    for split, count in dataset.counts.items():
        found = sorted(path for path in (folder / split).glob("*") if is_image(path))
        if len(found) != count:
            raise DataError(f"{split} holds {len(found)} pairs instead of {count}")
        paths += found
    for_each(_check_halves, paths, "checking")


def _check_halves(path: Path) -> None:
    width = read_picture(path).pixels.shape[1]
    if width % 2:
        raise DataError(f"{path} is {width} pixels wide, which does not make two halves")
