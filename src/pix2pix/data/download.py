"""Fetches a data set of pairs: resumes, unpacks with suspicion, and shows nothing before all of it is right."""

import contextlib
import difflib
import gzip
import hashlib
import http.client
import json
import os
import re
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from pix2pix.data.images import is_image, read_image
from pix2pix.errors import CheckpointError, ConfigError, DataError

ATTEMPTS = 5
BACKOFF = 1.0  # seconds before the second attempt; doubled before each later one
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16
SLACK = 20  # archive, unpacked bytes and members may be this many times what is expected, for mirrors that repack
URL = re.compile(r"https?://([\w.-]+|\[[\da-f:.]+\])(:\d+)?([/?][!-~]*)?", re.ASCII | re.IGNORECASE)
NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)  # ValueError: a redirect to a malformed address
ARCHIVE_ERRORS = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError)


@dataclass(frozen=True)
class Dataset:
    """A .tar.gz with one folder of the data set's name, in it a folder of pairs for each split."""

    url: str
    bytes: int
    md5: str  # as seen in the wild; a mismatch only warns, since what decides is that every pair is there and decodes
    counts: dict[str, int]  # split: pairs


DATASETS = {
    # R. Tylecek, R. Sara, "Spatial Pattern Templates for Recognition of Objects with Regular Structure", GCPR 2013.
    "facades": Dataset(
        url="http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz",
        bytes=30_168_306,
        md5="e2e25dd517e9d15828416ab329da2854",
        counts={"train": 400, "val": 100, "test": 106},
    ),
}


class _Retry(Exception):
    """The network failed in a way that another attempt may mend."""


class _Part:
    """The archive as far as it has come, and beside it the ETag or date of the server's file that it belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = path.with_name(path.name + ".json")

    def resumable(self, url: str) -> tuple[int, str | None]:
        """The bytes held and their validator; 0 bytes where nothing says which file of the server they come from."""
        try:
            validator = dict(json.loads(self.note.read_text())).get(url)
            size = self.path.stat().st_size if validator else 0
        except (OSError, ValueError, TypeError):
            return 0, None
        return size, validator

    def begin(self, url: str, validator: str | None) -> None:
        self.path.write_bytes(b"")  # emptied first, so that an interruption never pairs old bytes with a new validator
        self.note.write_text(json.dumps({url: validator} if validator else {}))

    def discard(self) -> None:
        for path in (self.path, self.note):
            with contextlib.suppress(OSError):
                path.unlink()


@dataclass
class _Capped:
    """A stream that refuses to give more than `left` bytes: the one guard that no size in a tar header gets around."""

    stream: gzip.GzipFile
    left: int

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise DataError(f"it unpacks to more than {SLACK} times its expected size")
        return data


def download_command(name: str) -> str:
    """What a person types to get the data set; for the messages of other modules."""
    return f"pix2pix download {name}"


def download(name: str, output: str | Path = "data", url: str | None = None) -> Path:
    """Put the data set at `<output>/<name>` and return that folder; one that is there already is checked and kept.

    `name` is a key of DATASETS, `url` the address of a mirror (http or https). Raises ConfigError for an unknown name
    or a URL that is none, DataError where the network fails or what is found is not the data set, CheckpointError
    where `output` cannot be written.
    """
    if not hasattr(tarfile, "data_filter"):
        raise ConfigError("this Python cannot unpack archives safely; use 3.10.12, 3.11.4 or newer")
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"unknown data set '{name}'{hint} (known: {', '.join(sorted(DATASETS))})")
    dataset = DATASETS[name]
    url = dataset.url if url is None else url
    if not URL.fullmatch(url):
        raise ConfigError(f"--url must be an http:// or https:// address, not '{url}'")
    folder = Path(output) / name
    summary = ", ".join(f"{split} {count}" for split, count in dataset.counts.items()) + " pairs"
    if os.path.lexists(folder):
        _check_existing(folder, name, dataset)
        print(f"{folder} is complete already ({summary})")
        return folder
    part = _Part(folder.with_name(f"{name}.tar.gz.part"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, name, dataset)
        _warn_if_unexpected(url, part.path, dataset)
        _install(url, part, folder, dataset)
    except OSError as error:  # the network's and the archive's are translated where they arise: this is the disk's
        part.discard()
        reason = f"cannot write in {output}: {error.strerror or error}"
        raise CheckpointError(f"{reason}. Free some space, or name another folder with --output") from error
    print(f"{folder} is complete ({summary})")
    return folder


def _fetch(url: str, part: _Part, name: str, dataset: Dataset) -> None:
    """Fill the part file; what has come stays there when the network gives up."""
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            print(f"{url}: {reason}; trying again")
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        try:
            return _fetch_once(url, part, name, dataset)
        except _Retry as error:
            reason = str(error)
    if not part.resumable(url)[0]:
        part.discard()
    raise _network_error(url, f"{reason} ({ATTEMPTS} attempts)")


def _fetch_once(url: str, part: _Part, name: str, dataset: Dataset) -> None:
    size, validator = part.resumable(url)
    headers = {"User-Agent": "pix2pix"}
    if size:  # with If-Range a server sends the whole file where its file is no longer the one we began
        headers |= {"Range": f"bytes={size}-", "If-Range": validator}
    with _open(url, headers, part) as response:
        if response.status == 206:
            fits = response.headers.get("Content-Range", "").startswith(f"bytes {size}-")
            if not (size and fits and _validator(response) in (None, validator)):
                part.discard()
                raise _Retry("the server answered with another part than was asked for")
        else:
            size = 0
            part.begin(url, _validator(response))
        total = None if response.length is None else size + response.length
        cap = SLACK * dataset.bytes
        bar = tqdm(total=total, initial=size, desc=name, unit="B", unit_scale=True, disable=None)
        with bar, part.path.open("ab") as file:
            for chunk in _chunks(response, size, total):
                size += len(chunk)
                if max(size, total or 0) > cap:
                    break
                file.write(chunk)
                bar.update(len(chunk))
    if max(size, total or 0) > cap:
        part.discard()
        raise DataError(f"{url}: larger than {cap:,} bytes. Nothing was kept; give another address with --url")
    print(f"{name}: {size:,} bytes received")


def _open(url: str, headers: dict[str, str], part: _Part) -> http.client.HTTPResponse:
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server answered {error.code} {error.reason}"
        if error.code == 416:  # the part is as long as the server's file or longer: it cannot be continued
            part.discard()
        if error.code in (408, 416, 429) or error.code >= 500:
            raise _Retry(reason) from error
        raise _network_error(url, reason) from error
    except NETWORK_ERRORS as error:
        raise _Retry(str(getattr(error, "reason", error))) from error
    if response.status not in (200, 206):
        response.close()
        raise _network_error(url, f"the server answered {response.status} and no file")
    return response


def _chunks(response: http.client.HTTPResponse, size: int, total: int | None) -> Iterator[bytes]:
    """The body; the network's errors become _Retry, so that an OSError where the chunks are used is the disk's."""
    while size != total:
        try:
            # read1 hands over what has arrived; read would lose it when the connection breaks before a chunk is full.
            chunk = response.read1(CHUNK if total is None else min(CHUNK, total - size))
        except NETWORK_ERRORS as error:
            raise _Retry(f"the connection failed after {size:,} bytes: {error}") from error
        if not chunk and total is None:
            return
        if not chunk:
            raise _Retry(f"the connection was closed after {size:,} of {total:,} bytes")
        size += len(chunk)
        yield chunk


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What names this version of the file: a strong ETag, else the date (RFC 9110 13.1.5 allows no weak one here)."""
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _network_error(url: str, reason: str) -> DataError:
    return DataError(f"{url}: {reason}. Run the same command again to continue, or give another address with --url")


def _warn_if_unexpected(url: str, archive: Path, dataset: Dataset) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != dataset.md5:
        found = f"{archive.stat().st_size:,} bytes and md5 {digest.hexdigest()}"
        print(f"warning: {url} has {found}, not {dataset.bytes:,} and {dataset.md5}; going on to check every pair")


def _install(url: str, part: _Part, folder: Path, dataset: Dataset) -> None:
    """Unpack beside `folder`, check every pair, and only then give it its name."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        try:
            _unpack(part.path, temporary, folder.name, dataset)
            _check_pairs(Path(temporary, folder.name), dataset)
        except (*ARCHIVE_ERRORS, DataError) as error:
            reason = str(error).replace(f"{temporary}{os.sep}", "")  # that folder is gone when the message is read
            reason = f"{url} is not the data set '{folder.name}': {reason}"
            raise DataError(f"{reason}. Nothing was kept; try again, or give another address with --url") from error
        finally:
            part.discard()
        os.replace(Path(temporary, folder.name), folder)


def _unpack(archive: Path, target: str, name: str, dataset: Dataset) -> None:
    most = SLACK * sum(dataset.counts.values())
    with gzip.open(archive) as stream:
        capped = _Capped(stream, SLACK * dataset.bytes)
        with tarfile.open(fileobj=capped, mode="r|") as tar:
            for number, member in enumerate(tar, start=1):
                if number > most:
                    raise DataError(f"it holds more than {most:,} files and folders")
                if member.isdir():  # made where a file needs them, with our own permissions
                    continue
                if not member.isreg() or member.issparse():
                    raise DataError(f"it holds {member.name!r}, which is a link, a device or a sparse file")
                if PurePosixPath(member.name).parts[:1] != (name,):
                    raise DataError(f"it holds {member.name!r}, which is outside the folder '{name}'")
                tar.extract(member, target, filter="data")
        while capped.read(CHUNK):  # on to gzip's checksum, which lies past the end of the tar
            pass


def _check_pairs(folder: Path, dataset: Dataset) -> None:
    """Raises DataError unless each split holds its number of side-by-side pairs and every one decodes."""
    paths = []
    for split, count in dataset.counts.items():
        found = sorted(path for path in (folder / split).glob("*") if is_image(path))
        if len(found) != count:
            raise DataError(f"{split} holds {len(found)} pairs instead of {count}")
        paths += found
    for path in tqdm(paths, desc="checking", unit="pair", leave=False, disable=None):
        width = read_image(path).shape[1]
        if width < 2 or width % 2:
            raise DataError(f"{path} is {width} pixels wide, which does not make two halves")


def _check_existing(folder: Path, name: str, dataset: Dataset) -> None:
    try:
        if not folder.is_dir():
            raise DataError("it is not a folder")
        _check_pairs(folder, dataset)
    except DataError as error:
        reason = f"{folder} exists but is not the complete data set '{name}': {error}"
        raise DataError(f"{reason}. Move or delete it, then run '{download_command(name)}' again") from error
