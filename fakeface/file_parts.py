"""The parts of a picture file, walked without decoding a pixel: segments, chunks, quantisation tables.

Nothing here trusts a length: a walk ends at the file's end, and what a file says of itself is only ever sliced. Callers
look at `MOST_PARTS` parts at most.
"""

import struct
from collections.abc import Iterator

import numpy as np

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")

# Segments or chunks of a file that are looked at. The largest picture that is read has some 8,000, if libpng wrote it;
# a hostile file of that size can hold sixteen million.
MOST_PARTS = 50_000

_NO_PAYLOAD = {0x01, *range(0xD0, 0xD9)}

# The luminance table of ITU-T T.81, annex K, which encoders scale by their quality, sums to this.
_STANDARD_LUMA_SUM = 3688


def file_format(data: bytes) -> str:
    """One of `FORMATS`, or `other`, by the file's first bytes."""
    starts = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": b"GIF8", "BMP": b"BM"}
    for name, start in starts.items():
        if data.startswith(start):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "AVIF"
    return "TIFF" if data[:4] in (b"II*\0", b"MM\0*") else "other"


def quality(luma_sum: int) -> float:
    """libjpeg's quality (1 to 100) whose luminance table has this sum, nearest for tables of other encoders."""
    scale = 100 * luma_sum / _STANDARD_LUMA_SUM
    value = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return float(min(100, max(1, round(value))))


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and payloads of a JPEG up to its first scan; what is cut off or no marker ends the walk."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _NO_PAYLOAD:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA or length < 2:
            break
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def quantisation_tables(payload: bytes) -> list[tuple[int, np.ndarray]]:
    """Numbers and 64 steps of the quantisation tables in one DQT segment."""
    found, at = [], 0
    while at < len(payload):
        wide, number = payload[at] >> 4, payload[at] & 15
        size = 128 if wide else 64
        if at + 1 + size > len(payload):
            break
        found.append((number, np.frombuffer(payload, ">u2" if wide else "u1", 64, at + 1).astype(np.int64)))
        at += 1 + size
    return found


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each chunk's content, up to the file's end."""
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at + 8, min(length, len(data) - at)
        at += 12 + length


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each chunk's content, up to the file's end."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, min(length, len(data) - at)
        at += 8 + length + length % 2
