"""Download one large file over an unreliable network: resume where it stopped, and never mix two versions of it."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from pix2pix.datasets.catalogue import Dataset
from pix2pix.errors import DataError
from pix2pix.runtime.log import bar_disabled, info
from pix2pix.runtime.opening import create_new, open_trusted

ATTEMPTS = 5
BACKOFF = 1.0  # seconds before the second attempt; doubled before each later one
TIMEOUT = 30.0  # seconds without a byte
URL = re.compile(r"https?://([\w.-]+|\[[\da-f:.]+\])(:\d+)?([/?][!-~]*)?", re.ASCII | re.IGNORECASE)
_CHUNK = 1 << 16
_LONGEST_NOTE = 1 << 16
_NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)  # ValueError: a redirect to a malformed address


class _Retry(Exception):
    """The network failed in a way that another attempt may overcome."""


class PartialDownload:
    """A partly downloaded archive, and beside it a note with the ETag or date of the server's file.

    Only regular files of this user are resumed, since the folder may be shared with others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = path.with_name(path.name + ".json")

    def resumable(self, url: str) -> tuple[int, str | None]:
        """Return the bytes held and their validator; 0 bytes where no note says which version they belong to."""
        try:
            with open_trusted(self.note) as file:
                validator = dict(json.loads(file.read(_LONGEST_NOTE))).get(url)
            with open_trusted(self.path) as file:
                size = os.fstat(file.fileno()).st_size
        except (OSError, ValueError, TypeError, RecursionError):
            return 0, None
        return (size, validator) if isinstance(validator, str) and validator else (0, None)

    def begin(self, url: str, validator: str | None) -> None:
        """Replace what is there, which may be another user's file or a link, by new empty files."""
        self.discard()  # first, so that an interruption never pairs old bytes with a new validator
        create_new(self.path).close()
        with create_new(self.note) as file:
            file.write(json.dumps({url: validator} if validator else {}).encode())

    def md5(self) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        with open_trusted(self.path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def discard(self) -> None:
        for path in (self.path, self.note):
            with contextlib.suppress(OSError):
                path.unlink()


def fetch(url: str, part: PartialDownload, name: str, dataset: Dataset) -> None:
    """Download into the partial file, and keep what was received where the network fails. Raises DataError."""
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            info(f"{url}: {reason}; trying again")
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        try:
            return _fetch_once(url, part, name, dataset)
        except _Retry as error:
            reason = str(error)
    if not part.resumable(url)[0]:
        part.discard()
    raise _network_error(url, f"{reason} ({ATTEMPTS} attempts)")


def _fetch_once(url: str, part: PartialDownload, name: str, dataset: Dataset) -> None:
    size, validator = part.resumable(url)
    headers = {"User-Agent": "pix2pix"}
    if size and validator:  # with If-Range, a server whose file has changed sends all of the new one
        headers |= {"Range": f"bytes={size}-", "If-Range": validator}
    response = _open(url, headers, part, dataset.md5)
    if response is None:
        info(f"{name}: all {size:,} bytes are here already")
        return
    with response:
        if response.status == 206:
            fits = response.headers.get("Content-Range", "").startswith(f"bytes {size}-")
            if not (size and fits and _validator(response) in (None, validator)):
                part.discard()
                raise _Retry("the server answered with another part than was asked for")
        else:
            size = 0
            part.begin(url, _validator(response))
        total = None if response.length is None else size + response.length
        cap = dataset.most_bytes
        bar = tqdm(total=total, initial=size, desc=name, unit="B", unit_scale=True, disable=bar_disabled())
        with bar, open_trusted(part.path, "ab") as file:
            for chunk in _chunks(response, size, total):
                size += len(chunk)
                if max(size, total or 0) > cap:
                    break
                file.write(chunk)
                bar.update(len(chunk))
    if max(size, total or 0) > cap:
        part.discard()
        raise DataError(f"{url}: larger than {cap:,} bytes. Nothing was kept; give another address with --url")
    info(f"{name}: {size:,} bytes received")


def _open(url: str, headers: dict[str, str], part: PartialDownload, md5: str) -> http.client.HTTPResponse | None:
    """Return the server's answer; None where the partial file is already the complete published archive."""
    try:
        request = urllib.request.Request(url, headers=headers)
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server answered {error.code} {error.reason}"
        if error.code == 416:  # the part is as long as the server's file or longer: it cannot be resumed
            if part.path.exists() and part.md5() == md5:
                return None
            part.discard()
        if error.code in (408, 416, 429) or error.code >= 500:
            raise _Retry(reason) from error
        raise _network_error(url, reason) from error
    except _NETWORK_ERRORS as error:
        raise _Retry(str(getattr(error, "reason", error))) from error
    if response.status not in (200, 206):
        response.close()
        raise _network_error(url, f"the server answered {response.status} and no file")
    return response


def _chunks(response: http.client.HTTPResponse, size: int, total: int | None) -> Iterator[bytes]:
    """Yield the body. Network errors become _Retry, so that an OSError of the caller is one of the disk."""
    while size != total:
        try:
            # read1 returns what has arrived; read would lose it when the connection breaks before a chunk is full.
            chunk = response.read1(_CHUNK if total is None else min(_CHUNK, total - size))
        except _NETWORK_ERRORS as error:
            raise _Retry(f"the connection failed after {size:,} bytes: {error}") from error
        if not chunk and total is None:
            return
        if not chunk:
            raise _Retry(f"the connection was closed after {size:,} of {total:,} bytes")
        size += len(chunk)
        yield chunk


def _validator(response: http.client.HTTPResponse) -> str | None:
    """Return what identifies this version of the file: a strong ETag, else the date (RFC 9110 13.1.5)."""
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _network_error(url: str, reason: str) -> DataError:
    return DataError(f"{url}: {reason}. Run the same command again to continue, or give another address with --url")
