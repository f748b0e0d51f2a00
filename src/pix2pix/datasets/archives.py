"""Unpack an untrusted archive: nothing outside the folder, no links or devices, a limit on the size."""

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from tqdm import tqdm

from pix2pix.datasets.catalogue import Dataset
from pix2pix.errors import ConfigError, DataError
from pix2pix.runtime.log import bar_disabled

ARCHIVE_ERRORS = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError)
_CHUNK = 1 << 16


@dataclass
class _Capped:
    """A stream that raises DataError after `most` bytes: no size in a tar header can circumvent that."""

    stream: gzip.GzipFile
    most: int
    given: int = 0

    def read(self, size: int, /) -> bytes:
        data = self.stream.read(size)
        self.given += len(data)
        if self.given > self.most:
            raise DataError(f"it unpacks to more than {self.most:,} bytes")
        return data


def require_safe_tar() -> None:
    """Raise ConfigError where this Python is too old to unpack untrusted archives safely."""
    if not hasattr(tarfile, "data_filter"):
        raise ConfigError("this Python cannot unpack archives safely; use 3.11.4 or newer")


def unpack(archive: Path, target: str | Path, name: str, dataset: Dataset) -> None:
    """Unpack a .tar.gz, all of whose files are in a folder `name`, into `target`.

    Raises DataError or one of ARCHIVE_ERRORS.
    """
    with (
        archive.open("rb") as file,
        tqdm(
            total=archive.stat().st_size,
            desc="unpacking",
            unit="B",
            unit_scale=True,
            leave=False,
            disable=bar_disabled(),
        ) as bar,
        gzip.open(file) as stream,
    ):
        capped = _Capped(stream, dataset.most_bytes)
        with tarfile.open(fileobj=cast(IO[bytes], capped), mode="r|") as tar:
            for number, member in enumerate(tar, start=1):
                if number > dataset.most_files:
                    raise DataError(f"it holds more than {dataset.most_files:,} files and folders")
                _extract(tar, member, target, name)
                bar.update(file.tell() - bar.n)
        while capped.read(_CHUNK):  # read to gzip's checksum, behind the end of the tar
            pass


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: str | Path, name: str) -> None:
    if member.isdir():  # created with default permissions where a file needs them
        return
    if not member.isreg() or member.issparse():
        raise DataError(f"it holds {member.name!r}, which is a link, a device or a sparse file")
    if PurePosixPath(member.name).parts[:1] != (name,):
        raise DataError(f"it holds {member.name!r}, which is outside the folder '{name}'")
    tar.extract(member, target, filter="data")
