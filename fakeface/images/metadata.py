"""The metadata in a picture file: EXIF, XMP, texts of PNG files, and the manifest of Content Credentials.

Nothing is decoded and no XML is parsed. Every walk ends at `MOST_PARTS` parts, and what is unpacked at `LONGEST_TEXT`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import islice

from .file_parts import MOST_PARTS, jpeg_segments, png_chunks, webp_chunks

LONGEST_TEXT = 65_536  # bytes of one piece of metadata, unpacked
LARGEST_MANIFEST = 4 * 2**20  # bytes; one with thumbnails of its ingredients has some hundred thousand

_EXIF_ITEM = re.compile(rb"Exif\0\0(?=II\*\0|MM\0\*)")  # AVIF and HEIC keep it among other items
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # the uuid box of ISO containers, C2PA 2.1, A.5


def metadata(data: bytes, format_: str) -> Iterator[tuple[str, bytes]]:
    """Kind and content of each piece of metadata, in the order of the file, cut at `LONGEST_TEXT`.

    Args:
        data: the file.
        format_: what `file_parts.file_format` says of it.

    Returns:
        The kind is `exif` (a TIFF structure), `xmp` (XML, unparsed), `iptc` (a segment of Photoshop's resources), or
        the key of a text.
    """
    if format_ == "JPEG":
        yield from _of_jpeg(data)
    elif format_ == "PNG":
        yield from _of_png(data)
    elif format_ == "WEBP":
        yield from _of_webp(data)
    else:
        item = _EXIF_ITEM.search(data)
        if format_ == "TIFF":
            yield "exif", data
        elif item:
            yield "exif", data[item.end() : item.end() + LONGEST_TEXT]
        # XMP can be found by its frame in any file (ISO 16684-1, 7.3.2).
        start = data.find(b"<x:xmpmeta")
        if start >= 0:
            yield "xmp", data[start : start + LONGEST_TEXT].partition(b"</x:xmpmeta>")[0]


def _of_jpeg(data: bytes) -> Iterator[tuple[str, bytes]]:
    for marker, payload in islice(jpeg_segments(data), MOST_PARTS):
        if marker == 0xE1 and payload.startswith(b"Exif\0\0"):
            yield "exif", payload[6:]
        elif marker == 0xE1 and payload.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            yield "xmp", payload[29:]
        elif marker == 0xED:
            yield "iptc", payload
        elif marker == 0xFE:
            yield "comment", payload


def _of_png(data: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, start, length in islice(png_chunks(data), MOST_PARTS):
        content = data[start : start + min(length, LONGEST_TEXT)]
        if kind == b"eXIf":
            yield "exif", content
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            yield from _png_text(kind, content)


def _of_webp(data: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, start, length in islice(webp_chunks(data), MOST_PARTS):
        content = data[start : start + min(length, LONGEST_TEXT)]
        if kind == b"EXIF":
            yield "exif", content.removeprefix(b"Exif\0\0")
        elif kind == b"XMP ":
            yield "xmp", content


def _png_text(kind: bytes, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Key and text of a PNG text chunk (PNG specification, 11.3.3), unpacked as far as `LONGEST_TEXT`."""
    key, _, text = content.partition(b"\0")
    packed = kind == b"zTXt"
    if packed:
        text = text[1:]
    elif kind == b"iTXt":
        packed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    if packed:
        try:
            text = zlib.decompressobj().decompress(text, LONGEST_TEXT)
        except zlib.error:
            return
    yield "xmp" if key == b"XML:com.adobe.xmp" else key.decode("latin-1"), text


def manifest(data: bytes, format_: str) -> bytes:
    """The C2PA manifest store of a file where its container says that there is one, else nothing. It is not parsed."""
    if format_ == "JPEG":  # C2PA 2.1, A.3: APP11, 8 bytes of JPEG XT in front; later segments repeat the box's head
        segments = (payload for marker, payload in islice(jpeg_segments(data), MOST_PARTS) if marker == 0xEB)
        parts = [payload for payload in segments if payload[:2] == b"JP"]
        found = b"".join([*(part[8:] for part in parts[:1]), *(part[16:] for part in parts[1:])])
    elif format_ == "PNG":
        found = _first_chunk(data, png_chunks(data), b"caBX")
    elif format_ == "WEBP":
        found = _first_chunk(data, webp_chunks(data), b"C2PA")
    else:
        at = data.find(_C2PA_BOX)
        found = data[at + 16 : at + 16 + LARGEST_MANIFEST] if at >= 0 else b""
    found = found[:LARGEST_MANIFEST]
    return found if b"jumb" in found and b"c2pa" in found else b""


def _first_chunk(data: bytes, chunks: Iterator[tuple[bytes, int, int]], wanted: bytes) -> bytes:
    for kind, start, length in islice(chunks, MOST_PARTS):
        if kind == wanted:
            return data[start : start + length]
    return b""


def cbor_texts(data: bytes, keys: tuple[bytes, ...], most: int = 3) -> Iterator[str]:
    """The short texts that stand right behind keys in CBOR (RFC 8949, 3.1: n letters follow 0x60 + n or 0x78, n)."""
    for key in keys:
        for match in islice(re.finditer(re.escape(key), data), most):
            at = match.end()
            kind, length = data[at : at + 1], data[at + 1 : at + 2]
            if b"\x60" < kind < b"\x78":
                yield data[at + 1 : at + 1 + kind[0] - 0x60].decode("utf-8", "replace")
            elif kind == b"\x78" and length:
                yield data[at + 2 : at + 2 + length[0]].decode("utf-8", "replace")


__all__ = ["LONGEST_TEXT", "cbor_texts", "manifest", "metadata"]
