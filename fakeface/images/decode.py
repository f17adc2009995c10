"""The inside of `fakeface.images`: bytes of one picture file to a decoded PIL image, within limits.

Pillow does the decoding. What is here keeps a hostile file from using it against us: the format is recognised by its
first bytes and only that one decoder is called (Pillow also has decoders that start Ghostscript), sizes are checked
before pixels are decoded, and Pillow reads through `_Meter`, which ends a parse that has become absurd.
"""

from __future__ import annotations

import importlib
import io
import struct
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

from PIL import Image, ImageChops

from ..utils.errors import FakefaceError
from .deep import MOST_STRETCHED, REMARK, deep_colour, float_tiff
from .disarm import disarm, disarm_png
from .file_parts import jpeg_is_whole, jxl_size
from .tiff import float_colour, full_picture


class PictureError(FakefaceError):
    """A picture was refused.

    Attributes:
        picture: the picture's name, as given.
        reason: a short stable word, also called `code`: `missing`, `unreadable`, `not-a-file`, `empty`,
            `not-a-picture`, `unsupported-format`, `unsupported-type`, `truncated`, `broken`, `too-small`,
            `too-many-bytes`, `too-many-pixels`, `timeout`, `out-of-memory`; for addresses also `refused-address`,
            `unreachable`.
        problem: what is wrong, and the cure.

    `str()` is "PICTURE: PROBLEM" in printable characters only: names come from outside and go to terminals.
    """

    def __init__(self, picture: str, reason: str, problem: str) -> None:
        super().__init__(picture, reason, problem)  # all three, so that the error survives pickling between processes
        self.picture = picture
        self.reason = self.code = reason
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
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
)
_PLUGINS = {"AVIF": "Avif", "JPEG2000": "Jpeg2K", "TIFF": "Tiff", "WEBP": "WebP"}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# Met among uploads, and not decoded here; the name makes a clear message.
_OTHER_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "icon"),
    (b"<svg", "SVG"),
)

_CURE = "save it as JPEG or PNG and try again"
_CURE_RAW = "develop it, and save it as JPEG or PNG"

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


class PictureFile:
    """A picture file held in memory, its header read and found to be within the limits; its pixels when asked for.

    Attributes:
        format: Pillow's name for it.
        picture: as Pillow opened it; `info` holds what the file says, `significant_bits` (`sBIT` of PNG) among it.
        remark: what of the file is left aside, in words; empty where nothing is.

    Raises:
        PictureError: the file is refused; no other exception leaves.
    """

    def __init__(self, data: bytes, name: str, limits: Limits) -> None:
        self.name, self.limits, self.remark = name, limits, ""
        self.format = _recognise(data, name, limits)
        self._given, self._meter = data, _Meter(b"", limits.seconds)
        self._deadline = time.thread_time() + limits.seconds  # for all decoding of it, however often it begins anew
        try:
            self.picture = self._open(data)
        except PictureError:
            raise
        except Exception as error:  # Pillow raises a dozen types on broken files; which ones changes with its version
            raise self._refusal(error) from error

    def _open(self, data: bytes) -> Image.Image:
        more: dict[str, Any] = {}
        if self.format == "TIFF":
            data, turned, self.remark = full_picture(data)
            if turned:
                exif = Image.Exif()
                exif[274] = turned
                more["exif"] = exif.tobytes()
            if size := float_colour(data):
                # Its samples take four times the memory of others.
                check_size(size, self.name, replace(self.limits, max_pixels=self.limits.max_pixels // 2))
                return float_tiff(data, size)
        elif self.format == "PNG":
            data, profile, bits = disarm_png(data)
            more = {"significant_bits": bits} | ({"icc_profile": profile} if profile else {})
        self._data = disarm(data, self.format)
        self._meter = _Meter(self._data, self._deadline - time.thread_time())
        self._meter.largest_read = _MAX_JPEG2000_HEADER if self.format == "JPEG2000" else len(self._data)
        with quiet():
            picture = Image.open(self._meter, formats=(self.format,))
        check_size(picture.size, self.name, self.limits)
        _check_tiff_tiles(picture, self.limits)
        self._meter.largest_read = len(self._data)
        if picture.info.get("progressive"):
            picture.decodermaxblock = _PROGRESSIVE_BLOCK
        picture.info.update(more)
        return picture

    def load(self) -> Image.Image:
        """The first frame in the file's own mode, with `info["exif"]` and `info["icc_profile"]` where the file has
        them, and not yet turned upright.

        Raises:
            PictureError: the file is refused; no other exception leaves.
        """
        try:
            self._load()
        except Exception as error:
            if whole := self._without_its_end(error):
                return whole
            raise self._refusal(error) from error
        return self._deepened()

    def frames(self, numbers: Iterable[int]) -> Iterator[Image.Image]:
        """Frames in the file's own mode, each good until the next is asked for.

        Args:
            numbers: ascending. All frames before them are decoded, too.

        Raises:
            PictureError: a frame is broken; those before it were not.
        """
        info, size = dict(self.picture.info), self.picture.size
        try:
            for number in numbers:
                for step in range(self.picture.tell() + 1, number + 1):
                    self.picture.seek(step)
                    if self.picture.size != size:  # or a frame of a GIF could make the canvas as large as it likes
                        raise ValueError("a frame leaves the canvas")
                self._load()
                for key in ("exif", "icc_profile"):
                    if key in info:
                        self.picture.info[key] = info[key]
                yield self.picture
        except Exception as error:
            raise self._refusal(error) from error

    def _load(self) -> None:
        # TIFF's is the one decoder that parses metadata while loading.
        with quiet() if self.format == "TIFF" else nullcontext():
            self.picture.load()

    def _deepened(self) -> Image.Image:
        """The picture; read anew in 16 bits where the eight that Pillow keeps of them are as good as empty."""
        picture = self.picture
        if picture.mode not in ("RGB", "RGBA") or REMARK in picture.info or not self._is_deep():
            return picture
        if max(high for _, high in cast(Any, picture.getextrema())[:3]) * 256 + 255 > MOST_STRETCHED:
            return picture
        return deep_colour(self._data, picture) or picture

    def _is_deep(self) -> bool:
        if self.format == "PNG":
            return self._given[24:25] == b"\x10"
        return self.format == "TIFF" and 16 in cast(Any, self.picture).tag_v2.get(258, ())

    def _without_its_end(self, error: Exception) -> Image.Image | None:
        """A JPEG that lacks its last bytes and no pixel: what stands in their place makes no difference."""
        if (
            self.format != "JPEG"
            or self._meter.exhausted
            or "truncated" not in str(error)
            or not jpeg_is_whole(self._data)
        ):
            return None
        rest = self._data.removesuffix(b"\xff")
        try:
            ends = [self._open(rest + padding + b"\xff\xd9") for padding in (b"", b"\xaa" * 64)]
            for picture in ends:
                picture.load()
        except Exception:  # then it is as broken as it was
            return None
        return ends[0] if ImageChops.difference(*ends).getbbox() is None else None

    def _refusal(self, error: Exception) -> PictureError:
        return (
            error
            if isinstance(error, PictureError)
            else _refusal(error, self._given, self.format, self._meter, self.name)
        )


def check_size(size: tuple[int, int], name: str, limits: Limits) -> None:
    """Raise PictureError unless `size` (width, height in pixels) is within the limits."""
    width, height = size
    if width * height > limits.max_pixels:
        allowed = f"{limits.max_pixels / 1e6:g} million"
        raise PictureError(name, "too-many-pixels", f"{width}x{height} pixels, more than {allowed}; scale it down")
    if min(width, height) < limits.min_side:
        problem = f"{width}x{height} pixels; both sides must have at least {limits.min_side}"
        raise PictureError(name, "too-small", problem)


def _recognise(data: bytes, name: str, limits: Limits) -> str:
    """The Pillow name of the format of `data`, its decoder imported."""
    if not data:
        raise PictureError(name, "empty", "the file is empty; download or copy it again")
    format_ = next((format_ for signature, format_ in _SIGNATURES if data.startswith(signature)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        format_ = "WEBP"
    elif data[4:8] == b"ftyp":
        format_ = _recognise_iso(data, name)
    elif data[:4] == b"II*\0" and data[8:10] == b"CR":
        raise PictureError(name, "unsupported-format", f"Canon raw (CR2) files are not supported; {_CURE_RAW}")
    if format_ is None:
        for signature, other in _OTHER_SIGNATURES:
            if data.startswith(signature):
                raise PictureError(name, "unsupported-format", f"{other} files are not supported; {_CURE}")
        raise PictureError(
            name, "not-a-picture", "not a picture, whatever its name says; give a JPEG, PNG or WebP file"
        )
    if format_ == "JXL":
        _prepare_jxl(data, name, limits)
    if format_ in _PLUGINS:
        importlib.import_module(f"PIL.{_PLUGINS[format_]}ImagePlugin")
    return format_


def starts_like_picture(data: bytes) -> bool:
    """Whether a file's first bytes, 32 of them or more, are those of a format that is read."""
    if data.startswith(b"BM"):  # two letters are a word's beginning, too; behind the size are four empty bytes
        return data[6:10] == bytes(4)
    if data[4:8] == b"ftyp":
        return bool(_brands(data) & (_AVIF_BRANDS | _HEIF_BRANDS))
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or any(data.startswith(signature) for signature, _ in _SIGNATURES)


def _brands(data: bytes) -> set[bytes]:
    """Of an ISO container, from its first box."""
    box = data[: min(int.from_bytes(data[:4], "big"), 4096)]
    return {data[8:12], *(box[i : i + 4] for i in range(16, len(box), 4))}


def _recognise_iso(data: bytes, name: str) -> str:
    """AVIF or HEIF, which share their container with films, by the brands in the first box."""
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if b"crx " in brands:
        raise PictureError(name, "unsupported-format", f"Canon raw (CR3) files are not supported; {_CURE_RAW}")
    if not brands & _HEIF_BRANDS:
        raise PictureError(name, "unsupported-format", "a film, not a picture; give one frame of it")
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports] (an optional extra)
    except ImportError:
        problem = f"HEIC files need one more package: pip install pillow-heif; or {_CURE}"
        raise PictureError(name, "unsupported-format", problem) from None
    pillow_heif.register_heif_opener()
    return "HEIF"


def _prepare_jxl(data: bytes, name: str, limits: Limits) -> None:
    """Import a decoder of JPEG XL, if one is installed. It decodes as it opens, so the size is checked here."""
    try:
        import pillow_jxl  # noqa: F401  # pyright: ignore[reportMissingImports] (whoever has such files installs it)
    except ImportError:
        problem = f"JPEG XL files need one more package: pip install pillow-jxl-plugin; or {_CURE}"
        raise PictureError(name, "unsupported-format", problem) from None
    size = jxl_size(data)
    if size is None:
        raise PictureError(name, "truncated", "the JPEG XL file ends too early; download or copy it again")
    check_size(size, name, limits)


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
