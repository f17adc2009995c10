"""Which frames of an animated file its viewers see, and for how long, read without decoding one.

A walk looks at `MOST_FRAMES` frames; what a file says of itself is only ever sliced.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import NamedTuple

from .file_parts import MOST_PARTS, png_chunks, webp_chunks

MOST_FRAMES = 2000
# Of one animation so many are judged: the one shown longest, those on show after so much of the time, and where these
# are the same, the ones shown longest among the others.
MOMENTS = (1 / 6, 1 / 2, 5 / 6)
MOST_JUDGED = 1 + len(MOMENTS)

BEYOND = -1  # in the place of a time: a frame that leaves the canvas, which Pillow would enlarge for it
_INSTANT, _SLOWED = 10, 100  # ms; browsers show a frame of 10 ms or less for 100


class Animation(NamedTuple):
    """What an animated file shows.

    Attributes:
        times: milliseconds of each frame as browsers show it, in order.
        hidden: how many pictures a decoder counts before the first frame that is shown: 1 for a PNG file whose default
            picture, for programs that know no animations, is not part of it.
        more: whether further frames follow that are not among `times`.
    """

    times: list[int]
    hidden: int = 0
    more: bool = False

    def choose(self, most: int, within: int) -> list[int]:
        """Numbers of the frames to judge among the first so many, the one shown longest first."""
        times = self.times[:within]
        ends = list(accumulate(times))
        by_time = sorted(range(len(times)), key=lambda number: -times[number])
        moments = [bisect_right(ends, ends[-1] * moment) for moment in MOMENTS]
        return list(dict.fromkeys([by_time[0], *moments, *by_time]))[: min(most, MOST_JUDGED)]


def read_animation(data: bytes, format_: str, count: int) -> Animation | None:
    """What a file shows; None of a still picture.

    Args:
        data: the file.
        format_: Pillow's name for it.
        count: how many frames the decoder says it has, used where the file says it only in its depth.
    """
    if format_ == "PNG":
        return _of_png(data)
    if format_ == "GIF":
        times = list(islice(_gif_times(data), MOST_FRAMES + 1))
    elif format_ == "WEBP":
        chunks = islice(webp_chunks(data), MOST_PARTS)
        frames = (data[start : start + 16] for kind, start, _ in chunks if kind == b"ANMF")
        times = [int.from_bytes(frame[12:15], "little") for frame in islice(frames, MOST_FRAMES + 1)]
    elif format_ == "AVIF":
        times = _avif_times(data, min(count, MOST_FRAMES + 1))
    else:
        return None
    more = len(times) > MOST_FRAMES or BEYOND in times
    times = [_shown(time) for time in times[:MOST_FRAMES] if time != BEYOND]
    return Animation(times, more=more) if len(times) + more > 1 else None


def _shown(milliseconds: int) -> int:
    return _SLOWED if milliseconds <= _INSTANT else milliseconds


def _of_png(data: bytes) -> Animation | None:
    """APNG: a frame is what an `fcTL` chunk stands before (PNG specification, third edition, 11.3.6)."""
    times, hidden = [], 0
    for kind, start, _ in islice(png_chunks(data), MOST_PARTS):
        if kind == b"IDAT" and not times:
            hidden = 1
        elif kind == b"fcTL" and start + 24 <= len(data):
            number, per = struct.unpack_from(">HH", data, start + 20)
            times.append(_shown(round(1000 * number / (per or 100))))
            if len(times) == MOST_FRAMES:
                break
    # A hidden picture before a single frame is none that a viewer sees either.
    return Animation(times, hidden) if len(times) > 1 - hidden else None


def _gif_times(data: bytes) -> Iterator[int]:
    """Of each frame up to the first that leaves the canvas; of that one `BEYOND`, unless it is the first of all."""
    if len(data) < 13:
        return
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, time, first = 13 + _palette(flags), 0, True
    while at < len(data):
        kind = data[at]
        if kind == 0x21 and at + 8 <= len(data):  # an extension
            if data[at + 1] == 0xF9:
                time = 10 * int.from_bytes(data[at + 4 : at + 6], "little")
            at = _past_blocks(data, at + 2)
        elif kind == 0x2C and at + 11 <= len(data):  # a frame
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            if left + wide > width or top + high > height:
                if not first:
                    yield BEYOND
                return
            yield time
            at, time, first = _past_blocks(data, at + 11 + _palette(flags)), 0, False
        elif kind == 0x3B or kind in (0x21, 0x2C):
            return
        else:
            at += 1


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _past_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _avif_times(data: bytes, count: int) -> list[int]:
    """From the first track's `mdhd` and `stts` boxes (ISO/IEC 14496-12); the same time for all where they are odd."""
    alike = [_SLOWED] * count
    header, table = data.find(b"mdhd"), data.find(b"stts")
    if header < 0 or table < 0 or table + 12 > len(data):
        return alike
    (scale,) = struct.unpack_from(">I", data.ljust(header + 32, b"\0"), header + (24 if data[header + 4] else 16))
    (runs,) = struct.unpack_from(">I", data, table + 8)
    times: list[int] = []
    for run in range(min(runs, MOST_FRAMES)):
        if table + 20 + 8 * run > len(data) or len(times) >= count:
            break
        frames, ticks = struct.unpack_from(">II", data, table + 12 + 8 * run)
        times += [1000 * ticks // max(scale, 1)] * min(frames, count)
    return times[:count] if len(times) >= count else alike


__all__ = ["MOST_FRAMES", "MOST_JUDGED", "Animation", "read_animation"]
