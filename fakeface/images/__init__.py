"""From untrusted bytes to upright RGB, and what a file says of itself."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .credentials import Credentials
    from .decode import Limits, PictureError
    from .load import PICTURE_SUFFIXES, Opened, list_pictures, load_picture, open_picture, picture_bytes
    from .provenance import ABSENCE, Claim, Provenance, read_provenance

__all__ = [
    "ABSENCE",
    "PICTURE_SUFFIXES",
    "Claim",
    "Credentials",
    "Limits",
    "Opened",
    "PictureError",
    "Provenance",
    "list_pictures",
    "load_picture",
    "open_picture",
    "picture_bytes",
    "read_provenance",
]

__getattr__ = lazy_names(
    __name__,
    {
        "credentials": ["Credentials"],
        "decode": ["Limits", "PictureError"],
        "load": ["PICTURE_SUFFIXES", "Opened", "list_pictures", "load_picture", "open_picture", "picture_bytes"],
        "provenance": ["ABSENCE", "Claim", "Provenance", "read_provenance"],
    },
)
