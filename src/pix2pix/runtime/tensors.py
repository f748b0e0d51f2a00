"""Validate a torch archive before unpickling: tensors only, in bounded time and memory.

torch.load is not used. A check that reads the archive with another zip reader first is not safe, because two readers
can disagree on the content of an archive; and the safe unpickler of torch calls functions that can take all memory.
"""

import struct
import sys
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import torch

from pix2pix.runtime.opening import open_regular
from pix2pix.runtime.plain_pickle import Storage, parse

_LARGEST_DIRECTORY = 4 << 20  # bytes; an entry takes about 60
_BLOCK = 1 << 20  # bytes
_END, _END64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"


def read_tensors(path: Path, device: torch.device | str = "cpu", checksums: bool = True) -> Any:
    """Read what torch.save wrote to a file: plain values, lists, tuples, dicts, and tensors on `device`.

    No code from the file is run, and reading it takes no more memory than the file has bytes. On device "meta" the
    values of tensors are not read. `checksums`: whether to compare the checksums of the archive; a file whose manifest
    has a SHA-256 does not need that. Raises ValueError where the file is anything else, and OSError where it cannot be
    opened.
    """
    with open_regular(path) as file:
        try:
            _require_short_directory(file)
            with zipfile.ZipFile(file) as archive:
                return _Archive(archive, path.stat().st_size, torch.device(device), checksums).read()
        except (zipfile.BadZipFile, struct.error, EOFError, KeyError, RuntimeError, OverflowError, OSError) as error:
            # zipfile raises NotImplementedError, a RuntimeError, for an unknown compression.
            raise ValueError(f"{path}: is not an archive of tensors ({error})") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _require_short_directory(file: Any) -> None:
    """Raise ValueError where an archive does not end as torch.save ends it, or where its directory is too long."""
    size = file.seek(0, 2)
    file.seek(max(size - 98, 0))
    end = file.read().rjust(98, b"\0")
    *_, length, _, comment = struct.unpack("<4s4H2LH", end[-22:])
    if end[-22:-18] != _END or comment:
        raise ValueError("is not an archive, or has bytes after its end")
    if end[-42:-38] == _LOCATOR:
        (offset,) = struct.unpack_from("<Q", end, 98 - 42 + 8)
        if end[:4] != _END64 or offset != size - 98:
            raise ValueError("has an end record that points elsewhere")
        (length,) = struct.unpack_from("<Q", end, 40)
    if length > _LARGEST_DIRECTORY:
        raise ValueError(f"has a directory of {length:,} bytes, more than {_LARGEST_DIRECTORY:,}")


class _Archive:
    """The entries of an archive of tensors."""

    def __init__(self, archive: zipfile.ZipFile, size: int, device: torch.device, checksums: bool):
        self.archive, self.device = archive, device
        self.storages: dict[Storage, torch.Tensor] = {}
        entries = archive.infolist()
        pickles = [entry.filename for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"holds {len(pickles)} pickles, not one")
        self.prefix = pickles[0].removesuffix("data.pkl")
        names = {entry.filename.casefold() for entry in entries}
        if len(names) < len(entries) or not all(entry.filename.startswith(self.prefix) for entry in entries):
            raise ValueError("holds two entries of one name, or entries outside its folder")
        if any(
            entry.compress_type or entry.flag_bits & 1 or entry.file_size != entry.compress_size for entry in entries
        ):
            raise ValueError("is packed or encrypted")
        if min(entry.header_offset for entry in entries):
            raise ValueError("has bytes before its first entry")
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("has entries that are larger than the file")
        if not checksums:
            for entry in entries:
                del entry.CRC  # zipfile compares it if it is there

    def read(self) -> Any:
        order = f"{self.prefix}byteorder"
        if order in self.archive.NameToInfo and self.archive.read(order).decode("ascii") != sys.byteorder:
            raise ValueError("was written on a machine of another byte order")
        return parse(self.archive.read(f"{self.prefix}data.pkl"), self.tensor)

    def tensor(self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
        numbers = self.numbers(storage)
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        count: int = prod(size)
        if count > len(numbers) or (count and last >= len(numbers)):
            raise ValueError("holds a tensor that is larger than its storage")
        return numbers.as_strided(size, stride, offset)

    def numbers(self, storage: Storage) -> torch.Tensor:
        """Return all numbers of a storage, which tensors may share."""
        if storage not in self.storages:
            entry = self.archive.getinfo(f"{self.prefix}data/{storage.key}")
            whole = entry.file_size // storage.dtype.itemsize * storage.dtype.itemsize
            numbers = torch.empty(whole, dtype=torch.uint8, device="meta" if self.device.type == "meta" else "cpu")
            if self.device.type != "meta":
                self._fill(memoryview(numbers.numpy().data), entry)
            self.storages[storage] = numbers.to(self.device).view(storage.dtype)
        return self.storages[storage]

    def _fill(self, view: memoryview, entry: zipfile.ZipInfo) -> None:
        """Read an entry to its end; there zipfile compares the checksum."""
        with self.archive.open(entry) as file:
            for start in range(0, len(view), _BLOCK):
                block = view[start : start + _BLOCK]
                if file.readinto(block) != len(block):  # type: ignore[attr-defined]  # a ZipExtFile has it
                    raise ValueError(f"ends within {entry.filename}")
            file.read()
