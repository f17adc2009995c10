"""What a picture file must lose before a decoder sees it: what would be unpacked from it that no pixel needs."""

from __future__ import annotations

import re
import zlib
from itertools import islice
from typing import NamedTuple

from .file_parts import MOST_PARTS, png_chunks

# The largest press profiles have 3 MB.
MAX_PROFILE = 4 * 2**20

_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


class PngFacts(NamedTuple):
    """What a PNG file says beside its pixels, where it matters for them.

    Attributes:
        data: the file without its texts and profile. Pillow refuses a file in which one of them has more than 1 MiB
            unpacked, as the texts of workflows and the profiles of monitors do.
        profile: the ICC profile, unpacked; empty where there is none or it has more than `MAX_PROFILE`.
        bits: how many of each sample's are significant (`sBIT`), the most of all channels; 0 where it does not say.
    """

    data: bytes
    profile: bytes
    bits: int


def disarm(data: bytes, format_: str) -> bytes:
    """Hide the EXIF directories that Pillow would parse from a copy, out of the meter's sight.

    A directory of n bytes can expand to n²/48 bytes of values. The 64 kB of one JPEG segment make 90 MB; the parts that
    continue it in further segments are hidden. AVIF's is hidden whole: its orientation is in the container
    (`irot`, `imir`), and the format says to disregard EXIF's.
    """
    if format_ == "JPEG":
        before, mark, after = data.partition(b"Exif\0\0")
        return before + mark + after.replace(b"Exif\0\0", b"Skip\0\0") if b"Exif\0\0" in after else data
    if format_ == "AVIF":
        return re.sub(rb"(infe.{8}(?:..)?)Exif", rb"\1skip", data, flags=re.DOTALL)
    return data


def disarm_png(data: bytes) -> PngFacts:
    """The file, and what is read of it here instead; chunks beyond `MOST_PARTS` are left to the decoder."""
    profile, bits, kept, since = b"", 0, [], 0
    for kind, start, length in islice(png_chunks(data), MOST_PARTS):
        if kind == b"sBIT":
            bits = max(data[start : start + min(length, 4)], default=0)
        elif kind == b"iCCP":
            profile = _unpacked(data[start : start + length].partition(b"\0")[2][1:])
        elif kind not in _PNG_TEXTS:
            continue
        if kind != b"sBIT":
            kept.append(data[since : start - 8])
            since = start + length + 4
    return PngFacts(b"".join([*kept, data[since:]]) if kept else data, profile, bits)


def _unpacked(content: bytes) -> bytes:
    """The whole of it, or nothing of what is broken or has more than `MAX_PROFILE`."""
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(content, MAX_PROFILE)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else profile


__all__ = ["MAX_PROFILE", "PngFacts", "disarm", "disarm_png"]
