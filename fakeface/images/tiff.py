"""The directories of a TIFF file, walked without a decoder: what guards Pillow's, and where the full picture is.

Files like DNG begin with a thumbnail and keep the picture itself in a directory below (`SubIFDs`); whoever opens the
first directory alone judges a thumbnail.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_KIND, _WIDTH, _HEIGHT, _LIGHT, _STRIPS, _ORIENTATION, _TILES, _BELOW = 254, 256, 257, 262, 273, 274, 324, 330
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_SAMPLE_BITS, _SAMPLES, _SAMPLE_FORMAT = 258, 277, 339
_REDUCED = 1  # bit of NewSubfileType: a smaller copy of another picture in the file
_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # bytes of the types that hold whole numbers
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}

# One row a strip is the most that writers do, and JPEG, the widest format, ends at 65,535 rows.
_MAX_STRIPS = 100_000
_LARGEST_TILE = 2**24  # pixels of a floating-point one; writers make them of 256 x 256
_MAX_DIRECTORIES = 16  # that are looked at for the full picture; DNG files have about four
# PhotometricInterpretation of pictures that can be shown as they are. Not among them: what a sensor counted (32803,
# 34892), masks (4) and depth maps (51177).
_SHOWN = (0, 1, 2, 3, 5, 6, 8)


class Directory(NamedTuple):
    """One directory: where it lies, and of each tag the type, the count and where the values lie."""

    at: int
    order: str
    entries: dict[int, tuple[int, int, int]]
    following: int

    def numbers(self, data: bytes, tag: int) -> list[int]:
        """The first values of a tag, `_MAX_DIRECTORIES` at most; none where it is missing or beyond the file."""
        kind, count, where = self.entries.get(tag, (0, 0, 0))
        if kind not in _SIZES:
            return []
        size = _SIZES[kind]
        count = min(count, _MAX_DIRECTORIES, max(0, len(data) - where) // size)
        return list(struct.unpack_from(f"{self.order}{count}{_FORMATS[size]}", data, where))

    def number(self, data: bytes, tag: int, otherwise: int = 0) -> int:
        return (self.numbers(data, tag) or [otherwise])[0]


class FullPicture(NamedTuple):
    """A TIFF file that begins with its full picture.

    Attributes:
        data: the file.
        orientation: of the whole file, where the full picture's own directory does not say it; else 0.
        remark: what was left aside, in words; empty where nothing was.
    """

    data: bytes
    orientation: int = 0
    remark: str = ""


def first_directory(data: bytes) -> Directory:
    """Raises struct.error if it is cut off, ValueError if it lists more strips or tiles than a picture can have.

    Pillow makes a tuple of each before it looks at the size of the picture, so 60 MB of offsets become 20 GB.
    """
    order, big = ("<" if data[:2] == b"II" else ">"), _is_big(data)
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    directory = _directory(data, start, order, big)
    for tag in (_STRIPS, _TILES):
        if directory.entries.get(tag, (0, 0, 0))[1] > _MAX_STRIPS:
            raise ValueError(f"{directory.entries[tag][1]} strips")
    return directory


def full_picture(data: bytes) -> FullPicture:
    """The file, made to begin with its largest picture where its first is a thumbnail or has pictures below.

    The pages of a document are no such pictures: their first is taken.

    Raises:
        struct.error, ValueError: as `first_directory`.
    """
    first = first_directory(data)
    starts = first.numbers(data, _BELOW)
    if first.number(data, _KIND) & _REDUCED:
        starts = [first.following, *starts]
    found = [first, *_readable(data, starts, first.order)]
    shown = [one for one in found if one.number(data, _LIGHT, -1) in _SHOWN]
    if len(found) == 1 or not shown:
        return FullPicture(data)
    best = max(shown, key=lambda one: _pixels(data, one))
    raw = max((one for one in found if one not in shown), key=lambda one: _pixels(data, one), default=None)
    remark = ""
    if raw and _pixels(data, raw) > _pixels(data, best):
        remark = (
            f"the file holds what its camera's sensor counted, {_size(data, raw)} pixels, which is not developed here: "
            f"its preview of {_size(data, best)} pixels was judged"
        )
    if best is first:
        return FullPicture(data, remark=remark)
    big = _is_big(data)
    start = struct.pack(first.order + ("Q" if big else "I"), best.at)
    at = 8 if big else 4
    patched = data[:at] + start + data[at + len(start) :]
    first_directory(patched)
    turned = 0 if _ORIENTATION in best.entries else first.number(data, _ORIENTATION)
    return FullPicture(patched, turned, remark)


def float_colour(data: bytes) -> tuple[int, int] | None:
    """Width and height of a first picture in floating-point colour, which Pillow does not read; None of others.

    Raises:
        ValueError: one tile alone is far larger than the picture: a decoder would have it in memory.
    """
    first = first_directory(data)
    is_float = first.number(data, _SAMPLE_FORMAT, 1) == 3
    if (
        not is_float
        or first.number(data, _SAMPLES, 1) not in (3, 4)
        or first.number(data, _SAMPLE_BITS) not in (32, 64)
    ):
        return None
    if first.number(data, _TILE_WIDTH) * first.number(data, _TILE_HEIGHT) > _LARGEST_TILE:
        raise ValueError("absurd tiles")
    return first.number(data, _WIDTH), first.number(data, _HEIGHT)


def _is_big(data: bytes) -> bool:
    return data[2:4] in (b"+\0", b"\0+")


def _readable(data: bytes, starts: list[int], order: str) -> list[Directory]:
    found = []
    for start in starts[:_MAX_DIRECTORIES]:
        try:
            if start:
                found.append(_directory(data, start, order, _is_big(data)))
        except struct.error:  # beyond the file's end
            continue
    return found


def _directory(data: bytes, start: int, order: str, big: bool) -> Directory:
    length, entry, inline, offset = ("Q", "HHQ", 8, "Q") if big else ("H", "HHI", 4, "I")
    (count,) = struct.unpack_from(order + length, data, start)
    at = start + struct.calcsize(order + length)
    head = struct.calcsize(order + entry)
    entries = {}
    for _ in range(min(count, 65_536)):
        tag, kind, values = struct.unpack_from(order + entry, data, at)
        where = at + head
        if _SIZES.get(kind, 0) * values > inline:
            (where,) = struct.unpack_from(order + offset, data, where)
        else:
            struct.unpack_from(order + offset, data, where)  # cut off within the entry
        entries[tag] = (kind, values, where)
        at += head + inline
    following = struct.unpack_from(order + offset, data, at)[0] if at + inline <= len(data) else 0
    return Directory(start, order, entries, following)


def _pixels(data: bytes, directory: Directory) -> int:
    return directory.number(data, _WIDTH) * directory.number(data, _HEIGHT)


def _size(data: bytes, directory: Directory) -> str:
    return f"{directory.number(data, _WIDTH)} x {directory.number(data, _HEIGHT)}"


__all__ = ["FullPicture", "first_directory", "float_colour", "full_picture"]
