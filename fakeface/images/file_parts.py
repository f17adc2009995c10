"""The parts of a picture file, walked without decoding a pixel: segments, chunks, quantisation tables.

Nothing here trusts a length: a walk ends at the file's end, and what a file says of itself is only ever sliced. Callers
look at `MOST_PARTS` parts at most.
"""

import re
import struct
from collections.abc import Iterator
from itertools import islice

import numpy as np

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")

# Segments or chunks of a file that are looked at. The largest picture that is read has some 8,000, if libpng wrote it;
# a hostile file of that size can hold sixteen million.
MOST_PARTS = 50_000

_NO_PAYLOAD = {0x01, *range(0xD0, 0xD9)}

_SCAN = re.compile(rb"\xff\xda..", re.DOTALL)  # marker and length of a scan's header

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


def jpeg_is_whole(data: bytes) -> bool:
    """Whether the scans of a progressive JPEG bring every coefficient of all components to its last bit.

    A file that ends between two scans decodes without fault, to a coarser picture. Of a baseline JPEG it is always so.
    """
    at, components = 2, 0
    for marker, payload in jpeg_segments(data):
        at += 4 + len(payload)
        if marker in (0xC0, 0xC1):
            return True
        if marker == 0xC2:
            components = payload[5] if len(payload) > 5 else 0
            break
    done: dict[int, set[int]] = {}
    for match in islice(_SCAN.finditer(data, at), MOST_PARTS):
        count = data[match.end()] if match.end() < len(data) else 0
        header = data[match.end() + 1 : match.end() + 4 + 2 * count]
        if len(header) == 3 + 2 * count and header[-1] & 15 == 0:  # down to bit 0
            for component in header[: 2 * count : 2]:
                done.setdefault(component, set()).update(range(header[-3], min(header[-2], 63) + 1))
    return bool(components) and sum(len(coefficients) == 64 for coefficients in done.values()) == components


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


# The ratios of width to height that a JPEG XL file can name instead of its width (ISO/IEC 18181-1, D.2).
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def jxl_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG XL file as stored, before they are turned; None where it does not say."""
    if data[:2] != b"\xff\x0a":
        data = _jxl_codestream(data)
    bits = int.from_bytes(data[2:14], "little")  # fields begin at the lowest bit

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def side(small: int) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    if data[:2] != b"\xff\x0a" or len(data) < 4:
        return None
    small = take(1)
    height = side(small)
    over, under = _RATIOS.get(take(3), (0, 0))
    return (height * over // under if under else side(small)), height


def _jxl_codestream(data: bytes) -> bytes:
    """The start of the codestream in a container of boxes."""
    at = 0
    for _ in range(MOST_PARTS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 16 if length == 1 else 8
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)
            return data[start : start + 16]
        length = int.from_bytes(data[at + 8 : at + 16], "big") if length == 1 else length
        if length < head:  # 0 is the last box; less is nonsense
            break
        at += length
    return b""
