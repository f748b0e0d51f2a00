"""Arrays of every pair in one file, which is complete or not there, and which every process maps.

    header    64 bytes: magic, format, number of pairs, length of the file, key
    pairs     each pair's arrays, each beginning at a multiple of 64
    table     CRC-32 of every pair, then that of header and table

What is checked: when the file is opened, its length, its header (so its key and format), its table, and the first and
the last pair; every other pair when a process reads it for the first time. Damage that is found when the file is opened
has it built anew at once. Damage that is found later is mended in the memory of that process, and the file is removed,
so that the next run builds it anew. What changes after a process has read it is not noticed.
"""

import errno
import glob
import os
import struct
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from pix2pix.data.arrays import HEAD, Arrays, Read, Side, Stop
from pix2pix.data.parallel import for_each
from pix2pix.errors import CheckpointError
from pix2pix.runtime.console import tell
from pix2pix.runtime.files import FULL, free_space
from pix2pix.runtime.signals import Stopped

try:
    import fcntl
except ImportError:  # Windows: two processes that build at once both do the work, and the later file stays
    fcntl = None

FORMAT = 1
_HEADER = struct.Struct("<8sIxxxxQQ32s")
assert _HEADER.size == HEAD
_CRC = np.dtype("<u4")
_POLL = 0.2  # seconds between two looks at what another process has locked


class DiskCache(Arrays):
    """In the file `path`, which every process maps; `key`, 32 bytes, says of what.

    `family` is what the names of this file and of its predecessors begin with: those are removed once it is written.
    """

    where = "disk"

    def __init__(self, sides: Sequence[Sequence[Side]], path: Path, key: bytes, family: str | None = None):
        super().__init__(sides)
        self.path, self.family = path, family
        self.size = self.end + (len(sides) + 1) * _CRC.itemsize
        self.header = _HEADER.pack(b"pix2pix\0", FORMAT, len(sides), self.size, key)
        self.inode, self.table, self.verified = None, None, None

    def prepare(self, read: Read, progress: bool = False, stop: Stop = lambda: False) -> None:
        """Opens the file, or writes it first, or waits for another process that does.

        Raises what `read` raises, CheckpointError where it cannot write, and Stopped once `stop()` is true.
        """
        if self.data is None and not self._open():
            try:
                self._build(read, progress, stop)
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
        if self.data is not None and not self.verified[index]:
            if self._checksum(self._view(index)) != self.table[index]:
                self._mend(index, read)
            self.verified[index] = True
        return super().get(index, read)

    def _mend(self, index: int, read: Read) -> None:
        tell(f"{self.path}: pair {index} is damaged; read anew, as all will be by the next run", sys.stderr)
        self._put(index, read(index), self.data)  # copied on writing: into this process's memory, not into the file
        with suppress(OSError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()

    def _open(self) -> bool:
        """Maps the file; False where there is none, or not a whole one."""
        try:
            with open(self.path, "rb") as file:
                if os.fstat(file.fileno()).st_size != self.size or file.read(len(self.header)) != self.header:
                    return False
                # Private, so that torch may have it as a tensor (which cannot be read-only); nothing is copied.
                data = np.asarray(np.memmap(file, np.uint8, "c"))
                self.inode = os.fstat(file.fileno()).st_ino
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._error(error) from None
        table = data[self.end :].view(_CRC)
        if zlib.crc32(table[:-1], zlib.crc32(self.header)) != table[-1]:
            return False
        ends = {0, len(self.sides) - 1}
        if any(self._checksum(self._view(index, data)) != table[index] for index in ends):
            return False
        self.data, self.table, self.verified = data, table[:-1].tolist(), bytearray(len(self.sides))
        return True

    @staticmethod
    def _checksum(arrays: Sequence[np.ndarray]) -> int:
        crc = 0
        for array in arrays:
            crc = zlib.crc32(array, crc)
        return crc

    def __getstate__(self) -> dict:
        return self.__dict__ | {"data": None, "reopen": self.data is not None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self.__dict__.pop("reopen"):
            self._open()  # where it is gone meanwhile, this process reads on the spot

    # Writing

    def _build(self, read: Read, progress: bool, stop: Stop) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _sole_writer(self.path, progress, stop) as (file, temporary):
            if self._open():  # another process was writing it, and has finished
                return
            self._remove_predecessors()
            if free_space(self.path) < self.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._write(file, read, progress, stop)
            file.flush()  # No fsync: the checksums tell what a crash of the machine has lost.
            if fcntl is None:
                file.close()  # or Windows will not rename it
            os.replace(temporary, self.path)
        if not self._open():
            raise OSError(errno.EIO, "what was written reads otherwise")

    def _write(self, file: BinaryIO, read: Read, progress: bool, stop: Stop) -> None:
        table, lock = np.zeros(len(self.sides) + 1, _CRC), threading.Lock()

        def one(index: int) -> None:
            arrays = read(index)
            self._require(index, arrays)
            table[index] = self._checksum(arrays)
            with lock:
                for (start, _), array in zip(self.spans[index], arrays, strict=True):
                    file.seek(start)
                    file.write(array)

        for_each(one, range(len(self.sides)), "reading pairs into the cache", progress, stop)
        table[-1] = zlib.crc32(table[:-1], zlib.crc32(self.header))
        file.seek(0)
        file.write(self.header)
        file.seek(self.end)
        file.write(table)

    def _remove_predecessors(self) -> None:
        """Of files that were changed since, or left half-written by a process that died."""
        if self.family is None:
            return
        family = glob.escape(self.family)
        for old in {*self.path.parent.glob(f"{family}*")} - {self.path}:
            with suppress(OSError):
                old.unlink()
        for old in {*self.path.parent.glob(f".{family}*.tmp*")} - {_temporary(self.path)}:
            with suppress(OSError), open(old, "rb") as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where a living process has it
                    old.unlink()

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


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def _sole_writer(path: Path, progress: bool, stop: Stop) -> Iterator[tuple[BinaryIO, Path]]:
    """The empty file, and its name, that is to be renamed to `path`; whatever happens, it does not stay.

    While another process has it, this waits. Where files cannot be locked, each process has a file of its own.
    """
    file, temporary = _locked(path, progress, stop)
    inode = os.fstat(file.fileno()).st_ino
    try:
        file.truncate(0)
        yield file, temporary
    finally:
        # Still locked; and once it is renamed, what has its name is another process's.
        with suppress(OSError):
            if temporary.stat().st_ino == inode:
                if fcntl is None:
                    file.close()
                temporary.unlink()
        file.close()


def _locked(path: Path, progress: bool, stop: Stop) -> tuple[BinaryIO, Path]:
    temporary = _temporary(path)
    while fcntl is not None:
        file = os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666), "wb")
        try:
            _wait_for(file, path, progress, stop)
        except Stopped:
            file.close()
            raise
        except OSError:  # a file system without locks
            file.close()
            temporary.unlink(missing_ok=True)
            break
        with suppress(FileNotFoundError):
            if temporary.stat().st_ino == os.fstat(file.fileno()).st_ino:  # else it was renamed meanwhile
                return file, temporary
        file.close()
    temporary = temporary.with_name(f"{temporary.name}-{uuid.uuid4().hex}")
    return open(temporary, "xb"), temporary


def _wait_for(file: BinaryIO, path: Path, progress: bool, stop: Stop) -> None:
    """Locks the file. Asks again and again, since a lock that is waited for would not let a stop be heard."""
    told = not progress
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                tell(f"waiting for another process that writes {path}", sys.stderr)
                told = True
        if stop():
            raise Stopped
        time.sleep(_POLL)
