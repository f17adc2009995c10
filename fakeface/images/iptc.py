"""The few texts of IPTC-IIM that tell of a picture's origin, as JPEG files carry them in Photoshop's resources.

Nothing trusts a length: a walk ends at the content's end, and after `MOST_ENTRIES` entries.
"""

import struct
from collections.abc import Iterator

MOST_ENTRIES = 500

# Data sets of the second record (IPTC-IIM 4.2, 6), by what they mean here. It has none for the digital source type, so
# programs write its address into one of these.
DATA_SETS = {65: "software", 80: "author", 110: "credit", 115: "source", 120: "description"}
_SIGNATURE = b"Photoshop 3.0\0"
_IPTC = 0x0404  # Adobe Photoshop File Formats Specification, image resource IDs


def iptc_texts(payload: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each known data set in a JPEG's APP13 segment. Whatever it holds, nothing is raised."""
    for resource in _iptc_resources(payload):
        at = 0
        for _ in range(MOST_ENTRIES):
            if at + 5 > len(resource) or resource[at] != 0x1C:
                break
            record, data_set, length = struct.unpack_from(">BBH", resource, at + 1)
            if length >= 0x8000:  # the length of a length follows: more than 32 kB of text
                break
            if record == 2 and data_set in DATA_SETS:
                text = resource[at + 5 : at + 5 + length].decode("utf-8", "replace").strip("\0 ")
                if text:
                    yield DATA_SETS[data_set], text
            at += 5 + length


def _iptc_resources(payload: bytes) -> Iterator[bytes]:
    at = len(_SIGNATURE)
    for _ in range(MOST_ENTRIES if payload.startswith(_SIGNATURE) else 0):
        if payload[at : at + 4] != b"8BIM" or at + 12 > len(payload):
            break
        kind, name = struct.unpack_from(">HB", payload, at + 4)
        at += 7 + name + (name + 1) % 2  # padded to an even number with its length
        length = int.from_bytes(payload[at : at + 4], "big")
        if kind == _IPTC:
            yield payload[at + 4 : at + 4 + length]
        at += 4 + length + length % 2


__all__ = ["iptc_texts"]
