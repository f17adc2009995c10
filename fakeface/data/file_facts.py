"""What a picture file tells about itself: format, quantisation tables, metadata, and what it was as it came.

Of headers only what lies within the file's length is walked.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from PIL import Image

from ..images.file_parts import (
    FORMATS,
    MOST_PARTS,
    file_format,
    jpeg_segments,
    png_chunks,
    quality,
    quantisation_tables,
    webp_chunks,
)
from ..images.load import Limits, load_picture

_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def format_facts(data: bytes) -> dict[str, float]:
    """1 for the file's format, 0 for the others."""
    found = file_format(data)
    return {name: float(name == found) for name in (*FORMATS, "other")}


def jpeg_facts(data: bytes) -> dict[str, float]:
    """Quality as libjpeg counts it, sums of the quantisation tables, chroma subsampling, and whether progressive.

    Files that are not JPEG, and facts a JPEG lacks, give -1.
    """
    names = "quality luma_table chroma_table first_step subsampling progressive"
    facts: dict[str, float] = {name: -1.0 for name in names.split()}
    if file_format(data) != "JPEG":
        return facts
    for marker, payload in islice(jpeg_segments(data), MOST_PARTS):
        if marker == 0xDB:
            for number, table in quantisation_tables(payload):
                facts["chroma_table" if number else "luma_table"] = float(table.sum())
                if not number:
                    facts["first_step"] = float(table[0])
                    facts["quality"] = quality(int(table.sum()))
        elif marker in _START_OF_FRAME and len(payload) >= 9:
            facts["progressive"] = float(marker == 0xC2)
            facts["subsampling"] = float(payload[7])  # luma's horizontal and vertical factors, 0x22 for 4:2:0
    return facts


def metadata_facts(data: bytes) -> dict[str, float]:
    """Bytes of EXIF, XMP, colour profile, comments and whatever else stands beside the picture, in JPEG, PNG, WebP."""
    facts: dict[str, float] = {kind: 0.0 for kind in ("exif", "xmp", "profile", "comment", "other")}
    for kind, length in islice(_metadata(data), MOST_PARTS):
        if kind:
            facts[kind] += length
    return facts


def _metadata(data: bytes) -> Iterator[tuple[str | None, int]]:
    """Kind and length of each part of a file, one at a time; None for what is not metadata."""
    found = file_format(data)
    if found == "JPEG":
        return ((_jpeg_kind(marker, payload), len(payload)) for marker, payload in jpeg_segments(data))
    if found == "PNG":
        return ((_PNG_KINDS.get(name), length) for name, _, length in png_chunks(data))
    if found == "WEBP":
        return ((_WEBP_KINDS.get(name), length) for name, _, length in webp_chunks(data))
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


# Sampling factors of the luminance in a JPEG's frame header, with chroma at 1x1, which is what encoders write.
_SAMPLINGS = {0x11: "4:4:4", 0x21: "4:2:2", 0x22: "4:2:0"}


class Native(NamedTuple):
    """Facts of one picture file. The names are those of the columns."""

    native_width: int  # pixels, upright
    native_height: int
    native_format: str  # of `fakeface.data.file_facts.FORMATS`, `other`, or `RAW` for bare pixels
    native_jpeg_quality: int  # 1 to 100 on libjpeg's scale; -1 if it is not a JPEG
    native_subsampling: str  # 4:4:4, 4:2:2, 4:2:0 or other; `none` if it is not a JPEG
    native_has_metadata: bool  # EXIF, XMP, a colour profile, a comment; told of JPEG, PNG and WebP


def read_native(data: Any, name: str, limits: Limits) -> tuple[Image.Image, Native]:
    """Decode a picture once: upright RGB, and the facts of its file.

    Args:
        data: bytes of a file, or pixels as `load_picture` takes them.
        name: for the error.
        limits: what it may cost.

    Raises:
        PictureError: the picture is refused.
    """
    picture = load_picture(data, name=name, limits=limits)
    if not isinstance(data, bytes):
        return picture, Native(*picture.size, "RAW", -1, "none", False)
    jpeg = jpeg_facts(data)
    sampling = "none" if jpeg["subsampling"] < 0 else _SAMPLINGS.get(int(jpeg["subsampling"]), "other")
    has_metadata = any(metadata_facts(data).values())
    return picture, Native(*picture.size, file_format(data), int(jpeg["quality"]), sampling, has_metadata)
