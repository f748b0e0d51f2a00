"""Zip and tar archives, read without unpacking them. A member is named by its path from the archive's root."""

import posixpath
import re
import stat
import tarfile
import threading
import weakref
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pix2pix.errors import DataError
from pix2pix.runtime.opening import open_regular

MOST_BYTES = 1 << 29  # size limit of an unpacked member
_BLOCK = 512  # bytes of a tar's header
_DRIVE = re.compile("[A-Za-z]:")
_ENCRYPTED = 1  # a flag of a zip's member
_PACK_AGAIN = "pack it again"


@dataclass(frozen=True)
class Member:
    """A file in an archive: its unpacked size, and the offset of its content (in a tar only)."""

    size: int
    start: int = 0


class Archive(ABC):
    """The members of an archive, listed once. Threads may share it; each process needs its own."""

    def __init__(self, path: Path):
        self.path = path
        self.members: dict[str, Member] = {}
        self._folders: dict[str, tuple[list[str], set[str]]] = {"": ([], set())}

    def listing(self, folder: str) -> tuple[list[str], list[str]] | None:
        """Return the names of the files and of the folders directly in a folder ("" is the root), None if there is no
        such folder."""
        if folder not in self._folders:
            return None
        files, folders = self._folders[folder]
        return sorted(files), sorted(folders)

    def has(self, name: str) -> bool:
        """Return whether the archive has a file of this name."""
        return name in self.members

    def read(self, name: str) -> bytes:
        """Return the content of a member. Raises FileNotFoundError, DataError, and ValueError where it is damaged."""
        member = self.members.get(name)
        if member is None:
            raise FileNotFoundError(name)
        if member.size > MOST_BYTES:
            raise DataError(
                f"claims {member.size:,} bytes, but members of an archive may have at most {MOST_BYTES:,}",
                path=self.path / name,
                remedy="remove it, or unpack the archive",
            )
        return self._content(name, member)

    @abstractmethod
    def _content(self, name: str, member: Member) -> bytes:
        """Return the content of a member. Raises ValueError where it is damaged."""

    def _add(self, name: str, member: Member) -> None:
        """Add a member. Raises DataError if its path leaves the archive or is a duplicate."""
        name = name.replace("\\", "/")
        clean = posixpath.normpath(name)
        if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
            raise self._refused(f"holds {name!r}, a path that leaves the archive")
        if clean in self.members:
            raise self._refused(f"holds {clean!r} twice")
        self.members[clean] = member
        *folders, file = clean.split("/")
        path_so_far = ""
        for folder in folders:
            self._folders[path_so_far][1].add(folder)
            path_so_far = f"{path_so_far}/{folder}" if path_so_far else folder
            self._folders.setdefault(path_so_far, ([], set()))
        self._folders[path_so_far][0].append(file)

    def _refused(self, reason: str, remedy: str = _PACK_AGAIN) -> DataError:
        return DataError(reason, path=self.path, remedy=remedy, code="archive")

    def _damaged(self, reason: object) -> DataError:
        return self._refused(f"is damaged ({reason})", "get it or pack it again")


class ZipArchive(Archive):
    """A zip archive. Raises DataError where it is damaged or unsafe, and OSError."""

    def __init__(self, path: Path):
        super().__init__(path)
        file = open_regular(path)
        weakref.finalize(self, file.close)
        try:
            self._zip = zipfile.ZipFile(file)
            infos = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise self._damaged(error) from None
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            if stat.S_ISLNK(info.external_attr >> 16):
                raise self._refused(f"holds {info.filename!r}, a link", "pack it without the option -y")
            if not info.is_dir():
                if info.flag_bits & _ENCRYPTED:
                    raise self._refused(f"holds {info.filename!r}, which is encrypted", "pack it without a password")
                self._add(info.filename, Member(info.file_size))
                self._infos[posixpath.normpath(info.filename.replace("\\", "/"))] = info

    def _content(self, name: str, member: Member) -> bytes:
        try:
            with self._zip.open(self._infos[name]) as file:
                return file.read()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise ValueError(str(error)) from None


class TarArchive(Archive):
    """A tar archive that is not compressed. Raises DataError where it is damaged or unsafe, and OSError."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._file, self._lock = open_regular(path), threading.Lock()
        weakref.finalize(self, self._file.close)
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                self._add_all(tar)
                end = tar.offset
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise self._damaged(error) from None
        self._file.seek(end)
        if self._file.read(_BLOCK) != bytes(_BLOCK):  # tarfile takes a damaged header for the end of the archive
            raise self._damaged("its end mark is missing")

    def _add_all(self, tar: Iterable[tarfile.TarInfo]) -> None:
        for info in tar:
            if info.isdir():
                continue
            if info.islnk() or info.issym():
                raise self._refused(f"holds {info.name!r}, a link", "pack it with the option --dereference")
            if not info.isreg() or info.issparse():
                raise self._refused(f"holds {info.name!r}, which is a device or a sparse file")
            self._add(info.name, Member(info.size, info.offset_data))

    def _content(self, name: str, member: Member) -> bytes:
        with self._lock:
            self._file.seek(member.start)
            return self._file.read(member.size)
