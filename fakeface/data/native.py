"""What a picture file was before anything was done to it: format, size, JPEG quality, metadata.

These facts alone tell many sources apart, so they are kept beside each picture for the audit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from PIL import Image

from ..images import Limits, load_picture
from .file_facts import file_format, jpeg_facts, metadata_facts

# Sampling factors of the luminance in a JPEG's frame header, with chroma at 1x1, which is what encoders write.
_SAMPLINGS = {0x11: "4:4:4", 0x21: "4:2:2", 0x22: "4:2:0"}


class Native(NamedTuple):
    """Facts of one picture file. The names are those of the columns."""

    native_width: int  # pixels, upright
    native_height: int
    native_format: str  # of `fakeface.data.file_facts.FORMATS`, `other`, or `RAW` for bare pixels
    native_jpeg_quality: int  # 1 to 100 on libjpeg's scale; -1 if it is no JPEG
    native_subsampling: str  # 4:4:4, 4:2:2, 4:2:0 or other; `none` if it is no JPEG
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
