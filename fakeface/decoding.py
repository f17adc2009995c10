"""The inside of `fakeface.images`: bytes of one picture file to a decoded PIL image, within limits.

Pillow does the decoding. What is here keeps a hostile file from using it against us: the format is recognised by its
first bytes and only that one decoder is called (Pillow also has decoders that start Ghostscript), sizes are checked
before pixels are decoded, and Pillow reads through `_Meter`, which ends a parse that has become absurd.
"""

from __future__ import annotations

import importlib
import io
import re
import struct
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from PIL import Image


class PictureError(ValueError):
    """A picture was refused.

    Attributes:
        picture: the picture's name, as given.
        reason: a short stable code: `missing`, `unreadable`, `not-a-file`, `empty`, `not-a-picture`,
            `unsupported-format`, `unsupported-type`, `truncated`, `broken`, `too-small`, `too-many-bytes`,
            `too-many-pixels`, `timeout`, `out-of-memory`; for addresses also `refused-address`, `unreachable`.
        problem: what is wrong, and the cure.

    `str()` is "PICTURE: PROBLEM" in printable characters only: names come from strangers and go to terminals.
    """

    def __init__(self, picture: str, reason: str, problem: str) -> None:
        super().__init__(picture, reason, problem)  # all three, so that the error survives pickling between processes
        self.picture = picture
        self.reason = reason
        self.problem = problem

    def __str__(self) -> str:
        text = f"{self.picture}: {self.problem}"
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@dataclass(frozen=True)
class Limits:
    """What a picture may cost. With the defaults no picture takes more than 1 GB of memory.

    Attributes:
        max_bytes: of the file. 64 MiB is several times the largest file a phone writes.
        max_pixels: width times height. 50 million admits the 48 and 50 megapixel modes of phones. The costliest
            decoder (JPEG 2000) holds 19 bytes a pixel.
        min_side: in pixels. No face fits in one 8-pixel JPEG block.
        seconds: of processor time for parsing one file. At 48 megapixels a JPEG takes 0.6, the slowest PNG 1.6 and JPEG
            2000 more than is allowed.
        download_seconds: of wall-clock time for an address, redirects included.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 50_000_000
    min_side: int = 8
    seconds: float = 3.0
    download_seconds: float = 20.0


# Format by first bytes, and the Pillow module that decodes it (imported when first met: Image.init() would import
# all 45, and its own preinit() covers the others).
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_PLUGINS = {"AVIF": "Avif", "JPEG2000": "Jpeg2K", "TIFF": "Tiff", "WEBP": "WebP"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# Met among uploads, and not decoded here; the name makes a clear message.
_OTHER_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\1\0", "icon"),
    (b"<svg", "SVG"),
)

_CURE = "save it as JPEG or PNG and try again"

# One row a strip is the most that writers do, and JPEG, the widest format, ends at 65,535 rows.
_MAX_TIFF_STRIPS = 100_000
# The header of a JPEG 2000 file is parsed from a copy out of the meter's sight. A CMYK profile in it is 3 MB at most.
_MAX_JPEG2000_HEADER = 4 * 2**20
# Bytes of a progressive JPEG handed to libjpeg at once. A scan of nothing takes 10 bytes of file and a pass over the
# whole picture, so that 64 kB (Pillow's block) can cost minutes; between blocks the meter looks at the clock.
_PROGRESSIVE_BLOCK = 256


class _Meter(io.BytesIO):
    """A file that ends a parse once it has read everything four times over or used up its processor time.

    Pillow's parsers are Python loops that read as they go, so the meter sees every turn of a loop over millions of
    empty chunks, and every one of 65,535 directory entries that each claim the whole file as their value.
    Processor time, not wall-clock time: the verdict must not depend on what else the machine does.
    """

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self.largest_read = len(data)
        self.ran_out = False  # something was read beyond the end
        self.exhausted = ""  # the reason code, once ended
        self._bytes_left = 4 * len(data) + 65_536
        self._deadline = time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        self._bytes_left -= len(chunk)
        self.ran_out |= bool(size) and not chunk
        if time.thread_time() > self._deadline:
            self.exhausted = "timeout"
        elif self._bytes_left < 0 or len(chunk) > self.largest_read:
            self.exhausted = "broken"
        if self.exhausted:
            raise OSError("its structure is absurd")
        return chunk


def decode(data: bytes, name: str, limits: Limits) -> Image.Image:
    """Decode the first frame of a picture file held in memory; later frames are never looked at.

    Returns:
        A loaded PIL image in the file's own mode, with `info["exif"]` and `info["icc_profile"]` where the file has
        them, and not yet turned upright.

    Raises:
        PictureError: the file is refused; no other exception leaves.
    """
    format_ = _recognise(data, name)
    meter = _Meter(_disarm(data, format_), limits.seconds)
    try:
        _check_tiff(data, format_)
        meter.largest_read = _MAX_JPEG2000_HEADER if format_ == "JPEG2000" else len(data)
        with quiet():
            picture = Image.open(meter, formats=(format_,))
        check_size(picture.size, name, limits)
        _check_tiff_tiles(picture, limits)
        meter.largest_read = len(data)
        if picture.info.get("progressive"):
            picture.decodermaxblock = _PROGRESSIVE_BLOCK
        with quiet() if format_ == "TIFF" else nullcontext():  # the one decoder that parses metadata while loading
            picture.load()
    except PictureError:
        raise
    except Exception as error:  # Pillow raises a dozen types on broken files; which ones changes with its version
        raise _refusal(error, data, format_, meter, name) from error
    return picture


def check_size(size: tuple[int, int], name: str, limits: Limits) -> None:
    """Raise PictureError unless `size` (width, height in pixels) is within the limits."""
    width, height = size
    if width * height > limits.max_pixels:
        allowed = f"{limits.max_pixels / 1e6:g} million"
        raise PictureError(name, "too-many-pixels", f"{width}x{height} pixels, more than {allowed}; scale it down")
    if min(width, height) < limits.min_side:
        problem = f"{width}x{height} pixels; both sides must have at least {limits.min_side}"
        raise PictureError(name, "too-small", problem)


def _recognise(data: bytes, name: str) -> str:
    """The Pillow name of the format of `data`, its decoder imported."""
    if not data:
        raise PictureError(name, "empty", "the file is empty; download or copy it again")
    format_ = next((format_ for signature, format_ in _SIGNATURES if data.startswith(signature)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        format_ = "WEBP"
    elif data[4:8] == b"ftyp":
        format_ = _recognise_iso(data, name)
    if format_ is None:
        for signature, other in _OTHER_SIGNATURES:
            if data.startswith(signature):
                raise PictureError(name, "unsupported-format", f"{other} files are not supported; {_CURE}")
        raise PictureError(
            name, "not-a-picture", "not a picture, whatever its name says; give a JPEG, PNG or WebP file"
        )
    if format_ in _PLUGINS:
        importlib.import_module(f"PIL.{_PLUGINS[format_]}ImagePlugin")
    return format_


def _recognise_iso(data: bytes, name: str) -> str:
    """AVIF or HEIF, which share their container with films, by the brands in the first box."""
    box = data[: min(int.from_bytes(data[:4], "big"), 4096)]
    brands = {data[8:12], *(box[i : i + 4] for i in range(16, len(box), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if not brands & _HEIF_BRANDS:
        raise PictureError(name, "unsupported-format", "a film, not a picture; give one frame of it")
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports] (an optional extra)
    except ImportError:
        problem = f"HEIC files need one more package: pip install pillow-heif; or {_CURE}"
        raise PictureError(name, "unsupported-format", problem) from None
    pillow_heif.register_heif_opener()
    return "HEIF"


def _disarm(data: bytes, format_: str) -> bytes:
    """Hide the EXIF directories that Pillow would parse from a copy, out of the meter's sight.

    A directory of n bytes can expand to n²/48 bytes of values. The 64 kB of one JPEG segment make 90 MB; the parts that
    continue it in further segments are hidden. AVIF's is hidden whole: its orientation is in the container
    (`irot`, `imir`), and the format says to disregard EXIF's.
    """
    if format_ == "JPEG":
        before, mark, after = data.partition(b"Exif\0\0")
        return before + mark + after.replace(b"Exif\0\0", b"Skip\0\0") if b"Exif\0\0" in after else data
    if format_ == "AVIF":
        return re.sub(rb"(infe.{8}(?:..)?)Exif", rb"\1skip", data, flags=re.DOTALL)
    return data


def _check_tiff(data: bytes, format_: str) -> None:
    """Raise ValueError if the first directory of a TIFF lists more strips or tiles than a picture can have.

    Pillow makes a tuple of each before it looks at the size of the picture, so 60 MB of offsets become 20 GB.
    """
    if format_ != "TIFF":
        return
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    at, offset, length, entry = (8, "Q", "Q", "HHQ8x") if big else (4, "I", "H", "HHI4x")
    (start,) = struct.unpack_from(order + offset, data, at)
    (entries,) = struct.unpack_from(order + length, data, start)
    start += struct.calcsize(order + length)
    for i in range(min(entries, 65_536)):
        tag, _, count = struct.unpack_from(order + entry, data, start + i * struct.calcsize(order + entry))
        if tag in (273, 324) and count > _MAX_TIFF_STRIPS:  # StripOffsets, TileOffsets
            raise ValueError(f"{count} strips")


def _check_tiff_tiles(picture: Image.Image, limits: Limits) -> None:
    """Raise ValueError if one tile alone is larger than a picture may be: libtiff would allocate it."""
    tags = getattr(picture, "tag_v2", {})
    if tags.get(322, 1) * tags.get(323, 1) > limits.max_pixels:  # TileWidth, TileLength
        raise ValueError("absurd tiles")


_WARNINGS = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings about odd metadata. The filters are global, hence the lock."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refusal(error: Exception, data: bytes, format_: str, meter: _Meter, name: str) -> PictureError:
    """Say in our words what Pillow stumbled over."""
    cut_webp = format_ == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data)
    if meter.exhausted == "timeout":
        return PictureError(name, "timeout", f"a {format_} file made to take for ever; {_CURE}")
    if isinstance(error, Image.DecompressionBombError):
        return PictureError(name, "too-many-pixels", "far too many pixels; scale it down")
    if isinstance(error, MemoryError):
        return PictureError(name, "out-of-memory", "no memory left to decode it; scale it down")
    cut = isinstance(error, (EOFError, struct.error)) or "truncated" in str(error).lower()
    if cut or cut_webp or (meter.ran_out and not meter.exhausted):
        return PictureError(name, "truncated", f"the {format_} file ends too early; download or copy it again")
    detail = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({str(error)[:100]})"
    return PictureError(name, "broken", f"the {format_} file is broken{detail}; {_CURE}")
