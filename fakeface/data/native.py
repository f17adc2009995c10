"""What a picture file says of itself before anything is done to it: format, size, JPEG quality, metadata.

These facts alone tell many sources apart, so they are kept beside each picture for the audit.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from PIL import Image, JpegImagePlugin

from ..decoding import decode
from ..images import Limits, load_picture

_SAMPLINGS = {-1: "none", 0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # Pillow's numbers
# Luminance table of the JPEG standard, annex K.1, which libjpeg scales by the quality.
# fmt: off
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
# fmt: on


class Native(NamedTuple):
    """Facts of one picture file. The names are those of the columns."""

    native_width: int
    native_height: int
    native_format: str  # as Pillow calls it; `RAW` for bare pixels
    native_jpeg_quality: int  # 1 to 100 on libjpeg's scale; -1 if it is no JPEG
    native_subsampling: str  # 4:4:4, 4:2:2, 4:2:0, other; `none` if it is no JPEG, or grey
    native_has_metadata: bool  # EXIF, XMP, IPTC, a colour profile, a comment, or text


def read_native(data: Any, name: str, limits: Limits) -> tuple[Image.Image, Native]:
    """Decode a picture once: upright RGB, and the facts of its file.

    Args:
        data: bytes of a file, or pixels as `load_picture` takes them.
        name: for the error.
        limits: what it may cost.

    Raises:
        PictureError: the picture is refused.
    """
    if not isinstance(data, bytes):
        picture = load_picture(data, name=name, limits=limits)
        return picture, Native(*picture.size, "RAW", -1, "none", False)
    decoded = decode(data, name, limits)  # the inside of `load_picture`, which does not tell the format
    facts = _facts(decoded)
    return load_picture(decoded, name=name, limits=limits), facts


def _facts(picture: Image.Image) -> Native:
    quality, sampling = -1, "none"
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        quality = jpeg_quality(picture.quantization.get(0, ()))
        sampling = _SAMPLINGS.get(JpegImagePlugin.get_sampling(picture), "other") if picture.layers > 1 else "none"
    kept = {"exif", "icc_profile", "xmp", "photoshop", "comment", "XML:com.adobe.xmp"}
    has = any(picture.info.get(key) for key in kept) or bool(getattr(picture, "text", None))
    return Native(*picture.size, picture.format or "", quality, sampling, has)


def jpeg_quality(table: Any) -> int:
    """Quality on libjpeg's scale whose luminance table is nearest in sum; -1 without a table.

    Tables of other encoders (Photoshop, cameras) have no exact counterpart.
    """
    if len(table) != 64:
        return -1
    total = sum(table)
    return min(range(1, 101), key=lambda quality: abs(_table_sum(quality) - total))


@cache
def _table_sum(quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality  # libjpeg, jpeg_quality_scaling
    return sum(min(max((value * scale + 50) // 100, 1), 255) for value in _LUMINANCE)
