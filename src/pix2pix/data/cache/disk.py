"""Arrays of every pair in one file, which is complete or not there, and which every process reads.

    header    64 bytes: magic, format, number of pairs, length of the file, key
    pairs     each pair's arrays, each beginning at a multiple of 64
    table     CRC-32 of every pair, then that of header and table

What is checked: when the file is opened, that it is a regular file of this user (or of root, and writable by no other),
its length, its header (so its key and format), its table, and the first and the last pair; every other pair when a
process reads it for the first time. Damage that is found when the file is opened has it built again at once. Damage
that is found later is repaired in the memory of that process, and the file is removed, so that the next run builds it.
A file that is cut short while it is used is left, and pairs are read from their own files. What else changes after a
process has read it is not noticed. The file is read, not mapped: a mapped file that is cut kills its readers (SIGBUS).
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
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from pix2pix.data.cache.memory import HEAD, ArraySpec, PackedArrays, Read
from pix2pix.data.cache.writing import remove_leftovers, sole_writer, temporary
from pix2pix.errors import CheckpointError
from pix2pix.runtime.io import FULL, free_space
from pix2pix.runtime.log import warning
from pix2pix.runtime.opening import is_own, open_own
from pix2pix.runtime.parallel import for_each

FORMAT = 1
_HEADER = struct.Struct("<8sIxxxxQQ32s")
assert _HEADER.size == HEAD
_CRC = np.dtype("<u4")
_seeking = threading.Lock()


class DiskCache(PackedArrays):
    """In the file `path`, which every process reads; `key`, 32 bytes, says of what.

    `family` is what the names of this file and of its predecessors begin with: those are removed once it is written.
    """

    where = "disk"

    def __init__(self, specs: Sequence[Sequence[ArraySpec]], path: Path, key: bytes, cache_prefix: str | None = None):
        super().__init__(specs)
        self.path, self.cache_prefix = path, cache_prefix
        self.size = self.end + (len(specs) + 1) * _CRC.itemsize
        self.header = _HEADER.pack(b"pix2pix\0", FORMAT, len(specs), self.size, key)
        self.file: BinaryIO | None = None
        self.table, self.verified = None, None
        self.repaired: dict[int, list[np.ndarray]] = {}

    def prepare(self, read: Read, progress: bool = False) -> None:
        """Opens the file, or writes it first, or waits for another process that does.

        Raises what `read` raises, CheckpointError where it cannot write, and Stopped.
        """
        if self.file is None and not self._open():
            try:
                self._build(read, progress)
            except OSError as error:
                raise self._error(error) from None

    def exists(self) -> bool:
        """Whether a file of the right length is there."""
        with suppress(OSError):
            return self.path.stat().st_size == self.size
        return False

    # Reading

    def get(self, index: int, read: Read) -> list[Tensor]:
        """The arrays of a pair, proved to be what was written when they are read for the first time."""
        arrays = self.repaired.get(index)
        if arrays is None and self.file is not None:
            arrays = self._arrays(self.file, index)
            if arrays is None:
                warning(f"{self.path}: was cut short; pairs are read from their own files from here")
                self.file = None
            elif not self.verified[index]:
                if self._checksum(arrays) != self.table[index]:
                    arrays = self._repair(index, read)
                self.verified[index] = True
        return [torch.from_numpy(array) for array in (read(index) if arrays is None else arrays)]

    def _repair(self, index: int, read: Read) -> list[np.ndarray]:
        warning(f"{self.path}: pair {index} is damaged; read again, as all will be by the next run")
        arrays = self.repaired[index] = list(read(index))
        self._require(index, arrays)
        with suppress(OSError):
            if os.path.samestat(self.path.lstat(), os.fstat(self.file.fileno())):
                self.path.unlink()
        return arrays

    def _arrays(self, file: BinaryIO, index: int) -> list[np.ndarray] | None:
        """The arrays of a pair as the file has them; None where it ends before them."""
        start, end = self.offsets_of[index][0][0], self.offsets_of[index][-1][1]
        data = _bytes(file, start, end)
        return None if data is None else self._view(index, data, start)

    def _open(self) -> bool:
        """Opens the file; False where there is none, or not a whole one. Raises CheckpointError if not ours."""
        try:
            file = open_own(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._error(error) from None
        weakref.finalize(self, file.close)
        if not self._is_whole(file):
            return False
        self.file = file
        return True

    def _is_whole(self, file: BinaryIO) -> bool:
        """Whether length, header, table, first and last pair are those that were written."""
        if os.fstat(file.fileno()).st_size != self.size:
            return False
        header, table = _bytes(file, 0, HEAD), _bytes(file, self.end, self.size)
        if header is None or table is None or header.tobytes() != self.header:
            return False
        table = table.view(_CRC)
        if zlib.crc32(table[:-1], zlib.crc32(self.header)) != table[-1]:
            return False
        for index in {0, len(self.specs) - 1}:
            arrays = self._arrays(file, index)
            if arrays is None or self._checksum(arrays) != table[index]:
                return False
        self.table, self.verified = table[:-1].tolist(), bytearray(len(self.specs))
        return True

    @staticmethod
    def _checksum(arrays: Sequence[np.ndarray]) -> int:
        crc = 0
        for array in arrays:
            crc = zlib.crc32(array, crc)
        return crc

    def __getstate__(self) -> dict:
        return self.__dict__ | {"file": None, "reopen": self.file is not None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self.__dict__.pop("reopen"):
            with suppress(CheckpointError):  # where it is gone meanwhile, this process reads on the spot
                self._open()

    # Writing

    def _build(self, read: Read, progress: bool) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with sole_writer(self.path, progress):
            if self._open():  # another process was writing it, and has finished
                return
            self._remove_predecessors()
            if free_space(self.path) < self.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with temporary(self.path) as (file, hidden):
                self._write(file, read, progress)
                file.flush()  # No fsync: the checksums tell what a crash of the machine has lost.
                if os.name == "nt":
                    file.close()  # or it cannot be renamed
                os.replace(hidden, self.path)
        if not self._open():
            raise OSError(errno.EIO, "what was written reads otherwise")

    def _write(self, file: BinaryIO, read: Read, progress: bool) -> None:
        table, lock = np.zeros(len(self.specs) + 1, _CRC), threading.Lock()

        def one(index: int) -> None:
            arrays = read(index)
            self._require(index, arrays)
            table[index] = self._checksum(arrays)
            with lock:
                for (start, _), array in zip(self.offsets_of[index], arrays, strict=True):
                    file.seek(start)
                    file.write(array)

        for_each(one, range(len(self.specs)), "reading pairs into the cache", progress)
        table[-1] = zlib.crc32(table[:-1], zlib.crc32(self.header))
        file.seek(0)
        file.write(self.header)
        file.seek(self.end)
        file.write(table)

    def _remove_predecessors(self) -> None:
        """Of files that were changed since, or left half-written by a process that died; only our own regular files."""
        folder, names = self.path.parent, glob.escape(self.cache_prefix or self.path.name)
        for old in {*folder.glob(f"{names}*")} - {self.path}:
            with suppress(OSError):
                if is_own(old.lstat()):
                    old.unlink()
        remove_leftovers(folder, names)

    def _error(self, error: OSError) -> CheckpointError:
        remedy = "mend its permissions"
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


def _bytes(file: BinaryIO, start: int, end: int) -> np.ndarray | None:
    """Bytes `start` to `end` of a file in new memory; None where it ends before `end`."""
    data = torch.empty(end - start, dtype=torch.uint8).numpy()  # numpy's own would wait for large pages
    done, view = 0, memoryview(data)
    while done < len(data):
        count = _read_at(file, view[done:], start + done)
        if not count:
            return None
        done += count
    return data


def _read_at(file: BinaryIO, buffer: memoryview, start: int) -> int:
    """Reads into `buffer` from byte `start`; how many bytes came. Threads and forked processes share the file."""
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [buffer], start)
    with _seeking:  # Windows
        file.seek(start)
        return file.readinto(buffer)
