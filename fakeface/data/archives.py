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

from ..images import PICTURE_SUFFIXES, Limits, PictureError
from .layouts import LayoutError, Reference, limited

# What the standard library raises on archives that are cut, scrambled, encrypted or of a method it lacks.
_BROKEN = (OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, tarfile.TarError)
_AGAIN = "download it again"


def is_picture(name: str) -> bool:
    """Whether a member is named like a picture, and not like an attempt to leave the folder."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith("/") and "\\" not in name


class Zip:
    """A zip archive; members in the order of their names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error):
            size = path.stat().st_size
            raise LayoutError(f"{path}: a truncated zip, or none at all ({size:,} bytes); {_AGAIN}") from None
        except OSError as error:
            raise LayoutError(f"{path}: cannot be opened ({error.strerror}); check its mode and owner") from None

    def references(self, container: str) -> Iterator[Reference]:
        for name in sorted(self._zip.NameToInfo):
            info = self._zip.NameToInfo[name]
            if not info.is_dir() and is_picture(name):
                yield Reference(container, name, size=info.file_size)

    def read(self, reference: Reference, limits: Limits) -> bytes:
        try:
            with self._zip.open(reference.member) as file:
                return limited(file.read(limits.max_bytes + 1), reference.path, limits)
        except (KeyError, zipfile.BadZipFile, *_BROKEN) as error:
            problem = f"{self.path} is broken or encrypted there ({error}); {_AGAIN}"
            raise PictureError(reference.path, "broken", problem) from None

    def names(self, last: str) -> list[str]:
        """Members whose last part is this name."""
        return sorted(name for name in self._zip.NameToInfo if name.rpartition("/")[2] == last)

    def has(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)

    def close(self) -> None:
        self._zip.close()


class Tar:
    """A tar archive, compressed or not; members in its own order. Links and devices in it are no pictures."""

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
            with tarfile.open(fileobj=self._file, mode="r|") as tar:  # `r|` never seeks back
                for info in tar:
                    tar.members = []  # pyright: ignore (or it would remember them all)
                    if info.isreg() and not info.issparse() and is_picture(info.name):
                        name = info.name.removeprefix("./")
                        yield Reference(container, name, at=info.offset_data, size=info.size)
        except (ValueError, *_BROKEN) as error:  # ValueError for a number that is none
            raise LayoutError(f"{self.path}: ends too early or is broken ({error}); {_AGAIN}") from None

    def read(self, reference: Reference, limits: Limits) -> bytes:
        try:
            self._file.seek(reference.at)
            data = limited(self._file.read(min(reference.size, limits.max_bytes + 1)), reference.path, limits)
        except _BROKEN as error:
            raise PictureError(reference.path, "broken", f"{self.path} is broken there ({error}); {_AGAIN}") from None
        if len(data) < reference.size:
            raise PictureError(reference.path, "truncated", f"{self.path} ends in the middle of it; {_AGAIN}")
        return data

    def close(self) -> None:
        self._file.close()
