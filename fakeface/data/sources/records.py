"""TFRecord files and LMDB folders, the forms in which some publishers ship pictures for training."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...images.load import Limits, PictureError
from .reference import LayoutError, Reference, limited

# Length (8 bytes) and its checksum (4) stand before a record, the checksum of the record (4) behind it.
_HEADER, _FOOTER = 12, 4
# The largest record: 3 x 4096 x 4096 bytes and a little around them.
_MAX_RECORD = 64 * 2**20
# Records are untrusted: of the features of one, and of the values of each, no more than these are held.
_MOST_FEATURES, _MOST_VALUES = 1000, 16
_SIZED_KEY = re.compile(rb"(\d+)-\d+")


class TFRecord:
    """Records of `tf.train.Example`, read without TensorFlow.

    Two forms are known: NVIDIA's (`shape`, three numbers, and `data`, the bare pixels as CxHxW; see `dataset_tool.py`
    of ProGAN and StyleGAN), and TensorFlow's own (`image/encoded`, a picture file).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        except OSError as error:
            raise LayoutError(f"{path}: cannot be opened ({error.strerror}); check its mode and owner") from None

    def references(self, container: str) -> Iterator[Reference]:
        total, at, number = self.path.stat().st_size, 0, 0
        while at < total:
            self._file.seek(at)
            header = self._file.read(_HEADER)
            size = struct.unpack("<Q", header[:8])[0] if len(header) == _HEADER else total
            if at + _HEADER + size + _FOOTER > total or size > _MAX_RECORD:
                raise LayoutError(
                    f"{self.path}: ends within record {number}, or is not a TFRecord file; download it again"
                )
            yield Reference(container, f"{number:08d}", at=at + _HEADER, size=size)
            at += _HEADER + size + _FOOTER
            number += 1

    def read(self, reference: Reference, limits: Limits) -> bytes | np.ndarray:
        self._file.seek(reference.at)
        try:
            features = _features(self._file.read(reference.size))
            if "image/encoded" in features:
                encoded = features["image/encoded"][0]
                if isinstance(encoded, int):
                    raise TypeError("image/encoded holds a number")
                return limited(bytes(encoded), reference.path, limits)
            channels, height, width = features["shape"]
            if channels not in (1, 3):
                raise ValueError(f"{channels} channels")
            if width * height > limits.max_pixels:
                raise PictureError(reference.path, "too-many-pixels", f"{width}x{height} pixels; scale it down")
            pixels = np.frombuffer(features["data"][0], np.uint8).reshape(channels, height, width)
        except PictureError:
            raise
        except (KeyError, ValueError, IndexError, TypeError, OverflowError) as error:
            problem = f"not a record of a picture as NVIDIA or TensorFlow write them ({error}); download it again"
            raise PictureError(reference.path, "broken", problem) from None
        return np.ascontiguousarray(pixels.transpose(1, 2, 0)) if channels == 3 else pixels[0]

    def close(self) -> None:
        self._file.close()


def _features(record: bytes) -> dict[str, list[Any]]:
    """Features of a `tf.train.Example`: lists of bytes or of integers by name. Raises ValueError or IndexError."""
    found: dict[str, list[Any]] = {}
    for _, features in _fields(record):
        for _, entry in _fields(features):
            parts = dict(_fields(entry))  # 1: name, 2: feature
            name = str(parts[1], "utf-8")
            for kind, values in _fields(parts[2]):  # 1: list of bytes, 3: list of integers
                if kind == 1:
                    found[name] = [value for _, value in islice(_fields(values), _MOST_VALUES)]
                elif kind == 3:
                    found[name] = list(islice(_integers(values), _MOST_VALUES))
            if len(found) > _MOST_FEATURES:
                raise ValueError(f"more than {_MOST_FEATURES} features")
    return found


def _integers(values: memoryview) -> Iterator[int]:
    for _, value in _fields(values):
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):  # packed
            number, at = _varint(value, at)
            yield number


def _fields(message: Any) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer: integers, or a view for what has a length."""
    view, at = memoryview(message), 0
    while at < len(view):
        tag, at = _varint(view, at)
        if tag & 7 == 0:
            value, at = _varint(view, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            size, at = _varint(view, at)
            if at + size > len(view):
                raise ValueError("a field is longer than its record")
            yield tag >> 3, view[at : at + size]
            at += size
        else:
            raise ValueError(f"field type {tag & 7}")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = view[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


class Lmdb:
    """A folder with `data.mdb`: every value that is a picture file, in the order of keys.

    Where keys name a resolution (`256-00000`, `1024-00000`, as `prepare_data.py` of rosinality's stylegan2-pytorch
    writes them), only the largest is taken: the others are the same pictures.
    """

    def __init__(self, path: Path) -> None:
        try:
            import lmdb
        except ImportError:
            raise LayoutError(
                f'{path}: reading LMDB needs one more package: pip install "fakeface[publishers]"'
            ) from None
        self.path, self._lmdb = path, lmdb
        try:
            self._env = lmdb.open(str(path), readonly=True, lock=False, readahead=False, max_readers=1)
        except lmdb.Error as error:
            raise LayoutError(f"{path}: not an LMDB that can be opened ({error}); download it again") from None

    def references(self, container: str) -> Iterator[Reference]:
        try:
            largest = max((_resolution(key) for key, _ in self._items()), default=0)
            for key, size in self._items():
                if _resolution(key) == largest:
                    yield Reference(container, key.decode("utf-8"), size=size)
        except (self._lmdb.Error, UnicodeDecodeError) as error:
            raise LayoutError(f"{self.path}: broken, or not a set of pictures ({error}); download it again") from None

    def _items(self) -> Iterator[tuple[bytes, int]]:
        with self._env.begin(buffers=True) as transaction:
            for key, value in transaction.cursor():
                if len(value) > 64:  # shorter ones are counts such as `length`
                    yield bytes(key), len(value)

    def read(self, reference: Reference, limits: Limits) -> bytes:
        try:
            with self._env.begin(buffers=True) as transaction:
                value = transaction.get(reference.member.encode())
                if value is None:
                    raise PictureError(reference.path, "missing", "no such key any more; put the folder back")
                return limited(bytes(value[: limits.max_bytes + 1]), reference.path, limits)
        except self._lmdb.Error as error:
            raise PictureError(reference.path, "broken", f"{self.path} is broken ({error})") from None

    def close(self) -> None:
        self._env.close()


def _resolution(key: bytes) -> int:
    match = _SIZED_KEY.fullmatch(key)
    return int(match[1]) if match else 0
