"""What a picture file tells about itself before a pixel is decoded: format, quantisation tables, metadata.

Only headers are walked, within the file's length; no picture is opened here (see `fakeface.images` for that).
"""

import struct
from collections.abc import Iterator
from itertools import islice

import numpy as np

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_NO_PAYLOAD = {0x01, *range(0xD0, 0xD9)}

# Segments or chunks of a file that are looked at. The largest picture that is read has some 8,000, if libpng wrote it;
# a hostile file of that size can hold sixteen million.
_MOST_PARTS = 50_000

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


def format_facts(data: bytes) -> dict[str, float]:
    """1 for the file's format, 0 for the others."""
    found = file_format(data)
    return {name: float(name == found) for name in (*FORMATS, "other")}


def jpeg_facts(data: bytes) -> dict[str, float]:
    """Quality as libjpeg counts it, sums of the quantisation tables, chroma subsampling, and whether progressive.

    Files that are no JPEG, and facts a JPEG lacks, give -1.
    """
    names = "quality luma_table chroma_table first_step subsampling progressive"
    facts: dict[str, float] = {name: -1.0 for name in names.split()}
    if file_format(data) != "JPEG":
        return facts
    for marker, payload in islice(_segments(data), _MOST_PARTS):
        if marker == 0xDB:
            for number, table in _tables(payload):
                facts["chroma_table" if number else "luma_table"] = float(table.sum())
                if not number:
                    facts["first_step"] = float(table[0])
                    facts["quality"] = quality(int(table.sum()))
        elif marker in _START_OF_FRAME and len(payload) >= 9:
            facts["progressive"] = float(marker == 0xC2)
            facts["subsampling"] = float(payload[7])  # luma's horizontal and vertical factors, 0x22 for 4:2:0
    return facts


def quality(luma_sum: int) -> float:
    """libjpeg's quality (1 to 100) whose luminance table has this sum, nearest for tables of other encoders."""
    scale = 100 * luma_sum / _STANDARD_LUMA_SUM
    value = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return float(min(100, max(1, round(value))))


def metadata_facts(data: bytes) -> dict[str, float]:
    """Bytes of EXIF, XMP, colour profile, comments and whatever else stands beside the picture, in JPEG, PNG, WebP."""
    facts: dict[str, float] = {kind: 0.0 for kind in ("exif", "xmp", "profile", "comment", "other")}
    for kind, length in islice(_metadata(data), _MOST_PARTS):
        if kind:
            facts[kind] += length
    return facts


def _metadata(data: bytes) -> Iterator[tuple[str | None, int]]:
    """Kind and length of each part of a file, one at a time; None for what is no metadata."""
    found = file_format(data)
    if found == "JPEG":
        return ((_jpeg_kind(marker, payload), len(payload)) for marker, payload in _segments(data))
    if found == "PNG":
        return ((_PNG_KINDS.get(name), length) for name, length in _png_chunks(data))
    if found == "WEBP":
        return ((_WEBP_KINDS.get(name), length) for name, length in _webp_chunks(data))
    return iter(())


_PNG_KINDS = {
    b"eXIf": "exif",
    b"iTXt": "xmp",
    b"iCCP": "profile",
    b"tEXt": "comment",
    b"zTXt": "comment",
    b"pHYs": "other",
}
_WEBP_KINDS = {b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "profile"}


def _jpeg_kind(marker: int, payload: bytes) -> str | None:
    if marker == 0xE1:
        return "exif" if payload.startswith(b"Exif") else "xmp"
    if marker == 0xE2 and payload.startswith(b"ICC_PROFILE"):
        return "profile"
    if marker == 0xFE:
        return "comment"
    # JFIF's own header has 14 bytes in every file; more is a thumbnail.
    return "other" if 0xE0 <= marker <= 0xEF and not (marker == 0xE0 and len(payload) == 14) else None


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
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


def _tables(payload: bytes) -> list[tuple[int, np.ndarray]]:
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


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, min(length, len(data) - at)
        at += 12 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, min(length, len(data) - at)
        at += 8 + length + length % 2
