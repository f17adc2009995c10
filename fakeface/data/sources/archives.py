"""Zip and tar archives, read where they are, one member at a time."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...images.load import PICTURE_SUFFIXES, Limits, PictureError
from .reference import LayoutError, Reference, limited

# What the standard library raises on archives that are cut, scrambled or encrypted; ValueError for a place or a name
# that cannot be.
BROKEN = (OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_AGAIN = "download it again"
_LONGEST_NAME = 4096  # bytes that Linux allows a path; in a zip a name may have 65,535
_LARGEST_HEADER = 2**20  # bytes; tarfile holds a whole header of long names and attributes in memory
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def is_picture(name: str) -> bool:
    """Whether a member is named like a picture, and not like an attempt to leave the folder."""
    if len(name) > _LONGEST_NAME or name.startswith("/") or "\\" in name:
        return False
    return Path(name).suffix.lower() in PICTURE_SUFFIXES


class Zip:
    """A zip archive; members in the order of their names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
            size = path.stat().st_size
            raise LayoutError(f"{path}: a truncated zip, or none at all ({size:,} bytes); {_AGAIN}") from None
        except OSError as error:
            raise LayoutError(f"{path}: cannot be opened ({error.strerror}); check its mode and owner") from None

    def references(self, container: str) -> Iterator[Reference]:
        for name in sorted(self._zip.NameToInfo):
            if is_picture(name) and (found := self.find(container, name)):
                yield found

    def find(self, container: str, name: str) -> Reference | None:
        """The member of this name; None if it is not there."""
        info = self._zip.NameToInfo.get(name)
        if info is None or info.is_dir():
            return None
        # With its checksum, so that a build notices when another picture of its size has taken its place.
        return Reference(container, name, at=info.CRC, size=info.file_size)

    def read(self, reference: Reference, limits: Limits) -> bytes:
        try:
            with self.open(reference.member) as file:
                return limited(file.read(limits.max_bytes + 1), reference.path, limits)
        except PictureError:
            raise
        except LayoutError as error:
            raise PictureError(reference.path, "unreadable", str(error)) from None
        except (KeyError, *BROKEN) as error:
            problem = f"{self.path} is broken or encrypted there ({error}); {_AGAIN}"
            raise PictureError(reference.path, "broken", problem) from None

    def names(self, last: str) -> list[str]:
        """Members whose last part is this name."""
        return sorted(name for name in self._zip.NameToInfo if name.rpartition("/")[2] == last)

    def open(self, name: str) -> IO[bytes]:
        """A member's bytes. Raises LayoutError, or what `BROKEN` names."""
        # `zipfile` reads what other methods have packed without a limit: one read may fill the memory.
        if self._zip.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise LayoutError(f"{self.path}: {name} is packed by a method other than deflate; unpack the archive")
        return self._zip.open(name)

    def close(self) -> None:
        self._zip.close()


class _Header(tarfile.TarInfo):
    """A member's header, refused where it would be held in memory and is too large for that."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDED and header.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


class Tar:
    """A tar archive, compressed or not; members in its own order. Links and devices in it are not pictures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name = path.name.lower()
        openers = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        try:
            self._file: IO[bytes] = openers.get(Path(name).suffix, open)(path, "rb")  # type: ignore[operator]
        except OSError as error:
            raise LayoutError(f"{path}: cannot be opened ({error.strerror}); check its mode and owner") from None

    def references(self, container: str) -> Iterator[Reference]:
        try:
            with tarfile.open(fileobj=self._file, mode="r|", tarinfo=_Header) as tar:  # `r|` never seeks back
                for info in tar:
                    tar.members = []  # pyright: ignore (or it would remember them all)
                    if info.isreg() and not info.issparse() and is_picture(info.name):
                        name = info.name.removeprefix("./")
                        yield Reference(container, name, at=info.offset_data, size=info.size)
        except BROKEN as error:
            raise LayoutError(f"{self.path}: ends too early or is broken ({error}); {_AGAIN}") from None

    def read(self, reference: Reference, limits: Limits) -> bytes:
        try:
            self._file.seek(reference.at)
            data = limited(self._file.read(min(reference.size, limits.max_bytes + 1)), reference.path, limits)
        except PictureError:
            raise
        except BROKEN as error:
            raise PictureError(reference.path, "broken", f"{self.path} is broken there ({error}); {_AGAIN}") from None
        if len(data) < reference.size:
            raise PictureError(reference.path, "truncated", f"{self.path} ends in the middle of it; {_AGAIN}")
        return data

    def close(self) -> None:
        self._file.close()
