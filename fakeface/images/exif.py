"""The few texts of EXIF that tell of a picture's origin, read in bounded steps.

Pillow's parser can be made to expand 64 kB into 90 MB; this one looks at `MOST_ENTRIES` entries of two directories, and
at the texts it names alone.
"""

import struct
from collections.abc import Iterator

MOST_ENTRIES = 200
LONGEST_TEXT = 16_384  # bytes

# Tags of the first directory and of the EXIF directory (CIPA DC-008, 4.6), by what they mean here.
TAGS = {
    0x010E: "description",
    0x010F: "camera maker",
    0x0110: "camera model",
    0x0131: "software",
    0x0132: "changed",
    0x013B: "author",
    0x9003: "taken",
    0x9286: "comment",
    0xA434: "lens",
}
_EXIF_DIRECTORY = 0x8769
_TEXTS = (1, 2, 7)  # bytes, which the standard has for none of them but some write; ASCII; undefined


def exif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each known tag.

    Args:
        data: a TIFF structure, as it stands behind `Exif\\0\\0`. Whatever it holds, nothing is raised.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return
    starts = [struct.unpack_from(order + "I", data, 4)[0]]
    seen: set[int] = set()
    while starts:
        start = starts.pop()
        if start in seen or len(seen) >= 2 or start + 2 > len(data):
            continue
        seen.add(start)
        (count,) = struct.unpack_from(order + "H", data, start)
        for number in range(min(count, MOST_ENTRIES)):
            at = start + 2 + 12 * number
            if at + 12 > len(data):
                break
            tag, kind, length, value = struct.unpack_from(order + "HHII", data, at)
            if tag == _EXIF_DIRECTORY:
                starts.append(value)
            elif tag in TAGS and kind in _TEXTS:
                where = at + 8 if length <= 4 else value
                text = _text(data[where : where + min(length, LONGEST_TEXT)], order)
                if text:
                    yield TAGS[tag], text


def _text(content: bytes, order: str) -> str:
    """A text without what pads it; user comments name their letters in eight bytes (CIPA DC-008, table 9)."""
    if content[:8] == b"UNICODE\0":
        # The standard leaves the order of bytes open. AUTOMATIC1111 writes big-endian whatever the file's is.
        wide = content[8:]
        codec = "utf-16-be" if wide[:1] == b"\0" else "utf-16-le" if wide[1:2] == b"\0" else _WIDE[order]
        return wide.decode(codec, "replace").strip("\0 ")
    if content[:8] in (b"ASCII\0\0\0", bytes(8)):
        content = content[8:]
    return content.decode("utf-8", "replace").strip("\0 ")


_WIDE = {"<": "utf-16-le", ">": "utf-16-be"}
