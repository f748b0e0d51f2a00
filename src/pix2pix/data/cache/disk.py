"""The cache in a file. The file is complete or absent, and all processes share it.

    header    64 bytes: magic, format, number of pairs, length of the file, key
    pairs     the arrays of each pair, each beginning at a multiple of 64
    table     the CRC-32 of every pair (0 for a broken pair, which has no arrays), then that of header and table

When the file is opened, it must be a regular file of this user (or of root, and writable by nobody else), and its
length, header (so key and format), table, and first and last pair are checked; every other pair is checked when a
process first reads it. A file that is damaged when it is opened is built again at once. Damage that is found
later is repaired in the memory of that process, and the file is removed, so that the next run builds it. Changes to a
pair after a process has checked it are not detected.

The file is mapped into memory, since reading it takes more than twice as long as the crop that is copied from it. A
process that reads a truncated part of a mapped file is killed (SIGBUS), so the length is checked before each pair is
read: after a truncation, pairs are read from their image files. Only a truncation in the microseconds between this
check and the read is fatal; replacing or deleting the file is harmless.
"""

import errno
import glob
import os
import struct
import threading
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from pix2pix.data.cache.memory import HEAD, ArraySpec, PackedArrays, Read
from pix2pix.data.cache.writing import sole_writer, temporary
from pix2pix.errors import CheckpointError
from pix2pix.runtime.io import FULL, free_space
from pix2pix.runtime.log import warning
from pix2pix.runtime.opening import belongs_to_user, open_trusted
from pix2pix.runtime.parallel import for_each

FORMAT = 1
_HEADER = struct.Struct("<8sIxxxxQQ32s")
assert _HEADER.size == HEAD
_CRC = np.dtype("<u4")


class DiskCache(PackedArrays):
    """The cache in the file `path`; `key`, 32 bytes, identifies its content.

    The name of this file and of its predecessors starts with `cache_prefix`; predecessors are removed before it is
    written.
    """

    def __init__(self, specs: Sequence[Sequence[ArraySpec]], path: Path, key: bytes, cache_prefix: str | None = None):
        super().__init__(specs)
        self.path, self.cache_prefix = path, cache_prefix or path.name
        self.size = self.end + (len(specs) + 1) * _CRC.itemsize
        self.header = _HEADER.pack(b"pix2pix\0", FORMAT, len(specs), self.size, key)
        self.file: BinaryIO | None = None
        self.data: np.ndarray | None = None  # the mapped file, uint8 [size]
        self.table: list[int] = []
        self.verified = bytearray()
        self.repaired: dict[int, Sequence[np.ndarray]] = {}

    def prepare(self, read: Read, progress: bool = False) -> None:
        """Open the file; if it is missing, write it, or wait for another process that is writing it.

        Raises what `read` raises, CheckpointError where it cannot be written, and Stopped.
        """
        if self.file is None and not self._open():
            try:
                self._build(read, progress)
            except OSError as error:
                raise self._error(error) from None

    def exists(self) -> bool:
        """Return whether there is a file of the right length."""
        with suppress(OSError):
            return self.path.stat().st_size == self.size
        return False

    def empty_places(self) -> list[int]:
        """Return the pairs that were broken when the file was written, and any intact pair whose CRC-32 is 0."""
        return [index for index, crc in enumerate(self.table) if crc == 0]

    # Reading

    def get(self, index: int, read: Read) -> list[Tensor]:
        """Return the arrays of a pair, checked against the table when they are read for the first time."""
        arrays = self.repaired.get(index)
        if arrays is None and self.file is not None and self.data is not None:
            arrays = self._checked(self.file, self.data, index, read)
        return [torch.from_numpy(array) for array in (read(index) if arrays is None else arrays)]

    def _checked(self, file: BinaryIO, data: np.ndarray, index: int, read: Read) -> Sequence[np.ndarray] | None:
        if os.fstat(file.fileno()).st_size != self.size:
            warning(f"{self.path}: was truncated; pairs are read from their image files from here on")
            self.file = self.data = None
            return None
        arrays: Sequence[np.ndarray] = self._views(index, data)
        if not self.verified[index]:
            if _checksum(arrays) != self.table[index]:
                arrays = self._repair(file, index, read)
            self.verified[index] = True
        return arrays

    def _repair(self, file: BinaryIO, index: int, read: Read) -> Sequence[np.ndarray]:
        warning(f"{self.path}: pair {index} is damaged; it is read again now, and the next run builds the cache again")
        arrays = self.repaired[index] = read(index)
        self._require(index, arrays)
        with suppress(OSError):
            if os.path.samestat(self.path.lstat(), os.fstat(file.fileno())):
                self.path.unlink()
        return arrays

    def _open(self) -> bool:
        """Open the file; False if it is missing or incomplete. Raises CheckpointError if it is not this user's."""
        try:
            file = open_trusted(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._error(error) from None
        weakref.finalize(self, file.close)
        if os.fstat(file.fileno()).st_size != self.size:
            return False
        # Mapped copy-on-write, since torch tensors cannot be read-only. Nothing is copied.
        data = np.asarray(np.memmap(file, np.uint8, "c"))
        if not self._is_whole(data):
            return False
        self.file, self.data = file, data
        return True

    def _is_whole(self, data: np.ndarray) -> bool:
        """Return whether header, table, first pair and last pair are intact."""
        if data[:HEAD].tobytes() != self.header:
            return False
        table = data[self.end :].view(_CRC)
        if zlib.crc32(table[:-1].data, zlib.crc32(self.header)) != table[-1]:
            return False
        for index in {0, len(self.specs) - 1}:
            if table[index] and _checksum(self._views(index, data)) != table[index]:
                return False
        self.table, self.verified = table[:-1].tolist(), bytearray(len(self.specs))
        return True

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"file": None, "data": None, "reopen": self.file is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.__dict__.pop("reopen"):
            with suppress(CheckpointError):  # if the file was removed meanwhile, this process reads the image files
                self._open()

    # Writing

    def _build(self, read: Read, progress: bool) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with sole_writer(self.path, self.cache_prefix, progress) as locked:
            if self._open():  # another process has written it meanwhile
                return
            self._remove_predecessors(leftovers=locked)
            if free_space(self.path) < self.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with temporary(self.path) as (file, hidden):
                self._write(file, read, progress)
                file.flush()  # No fsync: the checksums detect what a crash of the machine has lost.
                if os.name == "nt":
                    file.close()  # an open file cannot be renamed there
                os.replace(hidden, self.path)
        if not self._open():
            raise OSError(errno.EIO, "the file reads back differently than it was written")

    def _write(self, file: BinaryIO, read: Read, progress: bool) -> None:
        table, lock = np.zeros(len(self.specs) + 1, _CRC), threading.Lock()

        def write(index: int) -> None:
            arrays = read(index)
            if not arrays:
                return
            self._require(index, arrays)
            table[index] = _checksum(arrays)
            with lock:
                for (start, _), array in zip(self.offsets[index], arrays, strict=True):
                    file.seek(start)
                    file.write(array.data)

        for_each(write, range(len(self.specs)), "reading pairs into the cache", progress)
        table[-1] = zlib.crc32(table[:-1].data, zlib.crc32(self.header))
        file.seek(0)
        file.write(self.header)
        file.seek(self.end)
        file.write(table.data)

    def _remove_predecessors(self, leftovers: bool) -> None:
        """Remove cache files of pairs that have changed since; with `leftovers`, also those of killed writers.

        Only regular files of this user are removed, and leftovers only under the lock, since their writer may be alive.
        """
        folder, prefix = self.path.parent, glob.escape(self.cache_prefix)
        old = {*folder.glob(f"{prefix}*")} - {self.path}
        if leftovers:
            old.update(folder.glob(f".{prefix}*.tmp-*"), folder.glob(f"..{prefix}.lock.tmp-*"))
        for path in old:
            with suppress(OSError):
                if belongs_to_user(path.lstat()):
                    path.unlink()

    def _error(self, error: OSError) -> CheckpointError:
        remedy = "fix its permissions"
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            file = next((some for some in self.path.parents if some.is_file()), self.path.parent)
            remedy = f"{file} is a file, and a folder is needed: move it away"
        elif error.errno == errno.ENOSPC:
            remedy = f"it takes {self.size:,} bytes, and {free_space(self.path):,} are free there; free some"
        elif error.errno in FULL:
            remedy = f"it takes {self.size:,} bytes, beyond a limit on file size or a quota; raise that"
        return CheckpointError(
            f"{self.path}: cannot be used as a cache ({error.strerror or error}); {remedy}, set PIX2PIX_CACHE to "
            "another folder, or set data.cache=off"
        )


def _checksum(arrays: Sequence[np.ndarray]) -> int:
    crc = 0
    for array in arrays:
        crc = zlib.crc32(array.data, crc)
    return crc
