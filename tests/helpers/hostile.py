"""A corpus of hostile and odd picture files, made by script so that none has to be kept.

    python tests/helpers/hostile.py FOLDER

Archives stand apart, in `write_archives`: what they hold is listed, and each member read.

`write_corpus` returns what is to be expected of each file: `picture`, `refused`, `refused:REASON` where the reason is
certain, or `either` where it is up to the decoder, so long as it neither falls over nor hangs.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, features

Corpus = Iterator[tuple[str, bytes, str]]  # file name, content, expectation


def photo(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture with edges, gradients and noise, always the same."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 3))
    channels = np.stack([x * 3, y * 4, (x // 8 + y // 8) % 2 * 200], axis=2) + noise
    return Image.fromarray(channels.clip(0, 255).astype(np.uint8)).convert(mode)


def encode(format_: str, picture: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (picture or photo()).save(buffer, format_, **options)
    return buffer.getvalue()


@cache
def valid_files() -> dict[str, bytes]:
    """A small sound file of every format, by file name."""
    files = {
        "baseline.jpg": encode("JPEG"),
        "progressive.jpg": encode("JPEG", progressive=True),
        "plain.png": encode("PNG"),
        "lossy.webp": encode("WEBP"),
        "lossless.webp": encode("WEBP", lossless=True),
        "raw.tif": encode("TIFF"),
        "lzw.tif": encode("TIFF", compression="tiff_lzw"),
        "plain.bmp": encode("BMP"),
        "plain.gif": encode("GIF"),
        "plain.jp2": encode("JPEG2000"),
    }
    if features.check("avif"):
        files["plain.avif"] = encode("AVIF", speed=10)
    return files


def write_corpus(folder: Path) -> dict[str, str]:
    """Write every file of the corpus into `folder`; returns file name to expectation."""
    makers: tuple[Callable[[], Corpus], ...] = (
        _sound, _cut, _flipped, _impostors, _bombs, _jpeg, _png, _tiff, _others, _deep, _below, _animations
    )  # fmt: skip
    expected = {}
    for maker in makers:
        for name, data, expectation in maker():
            assert name not in expected, name
            (folder / name).write_bytes(data)
            expected[name] = expectation
    return expected


def write_archives(folder: Path) -> dict[str, int]:
    """Write hostile zip and tar archives; returns how many pictures each may give at most."""
    files = {"a.jpg": encode("JPEG"), "deeper/b.png": encode("PNG"), "c.webp": encode("WEBP")}
    packed = _zip(files)
    archives = {"sound.zip": (packed, 3), "encrypted.zip": (_encrypted(packed), 0), "sound.tar.gz": (_tar(files), 3)}
    outside = ["../up.jpg", "/etc/absolute.jpg", "a/../../up.jpg", "..\\up.jpg", "C:\\up.jpg", "x" * 5000 + ".jpg"]
    archives["outside.zip"] = (_zip(dict.fromkeys(outside, files["a.jpg"])), 0)
    archives["outside.tar"] = (_tar(dict.fromkeys(outside, files["a.jpg"]), "w"), 0)
    for percent in (10, 35, 60, 85, 99):
        archives[f"cut-{percent}.zip"] = (packed[: len(packed) * percent // 100], 0)
        for name, mode in (("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz"), ("tar.bz2", "w:bz2")):
            whole = _tar(files, mode)
            archives[f"cut-{percent}.{name}"] = (whole[: len(whole) * percent // 100], 3)
    archives["wrong-sum.zip"] = (_patched(packed, packed.index(b"PK\1\2") + 16, b"\0\0\0\0"), 3)
    archives["bomb.zip"] = (_zip({"zeros.jpg": bytes(300_000_000)}), 0)
    archives["bomb.tar.gz"] = (_tar({"zeros.jpg": bytes(300_000_000)}), 0)
    archives["nested.zip"] = (_zip({"inner.zip": packed, "a.jpg": files["a.jpg"]}), 4)
    archives["many.zip"] = (_zip({f"{number}.txt": b"" for number in range(20_000)}), 0)
    archives["links.tar"] = (_links(), 0)
    archives["long-header.tar"] = (_tar({"x" * 2_000_000 + ".jpg": files["a.jpg"]}, "w"), 0)
    archives["no-archive.zip"] = (files["a.jpg"], 0)
    archives["no-archive.tar"] = (files["a.jpg"] * 20, 0)
    for name, (data, _) in archives.items():
        (folder / name).write_bytes(data)
    return {name: most for name, (_, most) in archives.items()}


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _encrypted(packed: bytes) -> bytes:
    """The flag alone: what follows is then no longer what the password would give."""
    data = bytearray(packed)
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + flags] |= 1
    return bytes(data)


def _tar(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _links() -> bytes:
    """Links to files of the machine, and devices, all named like pictures."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"kind-{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory: (tag, type, count, value or offset) each. `tail` begins at its end."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + tail


def grey_tiff(width: int, height: int, *more: tuple[int, int, int, int], strip: int = 0) -> bytes:
    """An uncompressed 8-bit grey TIFF with a black strip; `more` entries replace and add to the necessary ones."""
    entries = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    entries |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, min(width * height, 2**32 - 1))}
    entries |= {tag: (kind, count, value) for tag, kind, count, value in more}
    return tiff([(tag, kind, count, value) for tag, (kind, count, value) in sorted(entries.items())], tail=bytes(strip))


def exif_bomb(size: int) -> bytes:
    """EXIF data in which thousands of entries each claim the same half of the data as their value."""
    count = min(size // 24, 65_535)
    start = 8 + 2 + 12 * count + 4
    entries = b"".join(struct.pack("<HHII", tag, 7, size - start, start) for tag in range(count))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries).ljust(size, b"\0")


def segments(marker: int, head: bytes, data: bytes, most: int = 65_000) -> bytes:
    """JPEG segments of one marker that together carry `data`, each part behind `head`."""
    parts = [head + data[i : i + most] for i in range(0, len(data), most)]
    return b"".join(struct.pack(">BBH", 0xFF, marker, len(part) + 2) + part for part in parts)


def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose every scan is a few bytes of file and a pass over the whole picture."""
    sound = encode("JPEG", photo(width, height).convert("L"), progressive=True)
    first = sound.index(b"\xff\xda")
    table = segments(0xC4, b"", bytes([0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xE0]))
    # AC coefficients 1 to 63 at the top bit, in one end-of-band run of 32,767 blocks after another
    header = struct.pack(">BBHBBBBBB", 0xFF, 0xDA, 8, 1, 1, 0x00, 1, 63, 0x00)
    return sound[:first] + table + (header + bytes(8)) * scans + b"\xff\xd9"


def _sound() -> Corpus:
    for name, data in valid_files().items():
        yield name, data, "picture"
    frames = [photo(), photo().transpose(Image.Transpose.ROTATE_180)]
    for suffix, format_ in (("gif", "GIF"), ("webp", "WEBP"), ("png", "PNG")):
        yield f"animated.{suffix}", encode(format_, frames[0], save_all=True, append_images=frames[1:]), "picture"
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        grey = Image.fromarray(np.asarray(photo(mode="L")).astype(np.uint16) * 257)
        picture = grey if mode == "I;16" else photo(mode=mode)
        yield f"mode-{mode.replace(';', '-')}.png", encode("PNG", picture), "picture"
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "LAB", "I", "F"):
        picture = photo().convert("L").convert(mode) if mode in ("I", "F") else photo(mode=mode)
        yield f"mode-{mode}.tif", encode("TIFF", picture), "picture"
    yield "cmyk.jpg", encode("JPEG", photo(mode="CMYK")), "picture"
    yield "transparency.gif", encode("GIF", photo(mode="P"), transparency=3), "picture"
    yield "transparency.png", encode("PNG", photo(mode="P"), transparency=bytes(range(256))), "picture"
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[274] = orientation
        yield f"orientation-{orientation}.jpg", encode("JPEG", exif=exif), "picture"
    yield "motion-photo.jpg", encode("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(5000), "picture"
    yield "mpo.jpg", encode("MPO", photo(), save_all=True, append_images=[photo()]), "picture"
    yield "side-8.png", encode("PNG", photo(8, 8)), "picture"
    yield "side-7.png", encode("PNG", photo(7, 200)), "refused:too-small"
    yield "side-1.gif", encode("GIF", photo(1, 1)), "refused:too-small"


def _cut() -> Corpus:
    for name, data in valid_files().items():
        certain = name.endswith((".jpg", ".png", ".gif", ".bmp", "raw.tif"))
        for percent in range(5, 100, 5):
            cut = data[: len(data) * percent // 100]
            yield f"cut-{percent}-{name}", cut, "refused:truncated" if certain else "refused"


def _flipped() -> Corpus:
    dice = random.Random(2026)
    for name, data in valid_files().items():
        for flips in (1, 8, 64):
            flipped = bytearray(data)
            for _ in range(flips):
                flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            yield f"flipped-{flips}-{name}", bytes(flipped), "either"


def _impostors() -> Corpus:
    yield "empty.jpg", b"", "refused:empty"
    yield "one-byte.png", b"\x89", "refused:not-a-picture"
    yield "text.jpg", b"This is not a picture, whatever its name says.\n" * 20, "refused:not-a-picture"
    yield "page.png", b"<!doctype html><title>404</title>", "refused:not-a-picture"
    yield "zeros.gif", bytes(5000), "refused:not-a-picture"
    yield "noise.webp", random.Random(1).randbytes(5000), "refused:not-a-picture"
    yield "archive.jpg", b"PK\x03\x04" + bytes(100), "refused:not-a-picture"
    yield "document.jpg", b"%PDF-1.7\n" + bytes(100), "refused:unsupported-format"
    yield "drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "refused:unsupported-format"
    yield "script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n", "refused:unsupported-format"
    yield "layers.jpg", b"8BPS\0\1" + bytes(100), "refused:unsupported-format"
    yield "film.jpg", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100), "refused:unsupported-format"
    yield "photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "refused"
    yield "icon.png", encode("ICO", photo(32, 32)), "refused:unsupported-format"
    yield "portable.jpg", encode("PPM"), "refused:not-a-picture"
    yield "png-named.jpg", encode("PNG"), "picture"
    yield "jpeg-named.png", encode("JPEG"), "picture"
    yield "gif-named.txt", encode("GIF"), "picture"
    for name, data in valid_files().items():
        yield f"head-of-{name}", data[:32], "refused"
        yield f"garbage-after-head-{name}", data[:16] + random.Random(3).randbytes(2000), "refused"


def _bombs() -> Corpus:
    """Small files that decode to something enormous, or say so."""
    rows = zlib.compressobj(9)
    idat = b"".join(rows.compress(bytes(3751)) for _ in range(30_000)) + rows.flush()
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")
    yield "bomb-30000.png", png, "refused:too-many-pixels"
    yield "bomb-canvas.gif", _patched(encode("GIF"), 6, b"\xff\xff\xff\xff"), "refused:too-many-pixels"
    webp = encode("WEBP", photo(), save_all=True, append_images=[photo(64, 48, "L").convert("RGB")])
    yield "bomb-canvas.webp", _patched(webp, 24, b"\xfe\x3f\0\xfe\x3f\0"), "refused"
    yield "bomb-size.bmp", _patched(encode("BMP"), 18, struct.pack("<ii", 60_000, 60_000)), "refused:too-many-pixels"
    yield "bomb-size.tif", grey_tiff(100_000, 100_000), "refused:too-many-pixels"
    jpeg = encode("JPEG")
    sof = jpeg.index(b"\xff\xc0") + 5
    yield "bomb-size.jpg", _patched(jpeg, sof, b"\xff\xdc\xff\xdc"), "refused:too-many-pixels"
    yield "lying-size.jpg", _patched(jpeg, sof, struct.pack(">HH", 3000, 3000)), "either"
    yield "lying-size.gif", _patched(encode("GIF"), 6, struct.pack("<HH", 3000, 3000)), "either"
    jp2 = encode("JPEG2000")
    huge = struct.pack(">II", 60_000, 60_000)
    yield "bomb-size.jp2", _patched(jp2, jp2.index(b"ihdr") + 4, huge), "refused:too-many-pixels"
    yield "lying-codestream.jp2", _patched(jp2, jp2.index(b"\xff\x4f\xff\x51") + 8, huge), "refused"
    yield "bomb-codestream.j2k", _patched(encode("JPEG2000", no_jp2=True), 8, huge), "refused:too-many-pixels"
    flood = struct.pack(">I", 8 + 8 * 600_000) + b"jp2h" + b"\0\0\0\x08skip" * 600_000
    yield "flood-boxes.jp2", jp2[:32] + flood, "refused"
    if features.check("avif"):
        avif = encode("AVIF", speed=10)
        yield "bomb-size.avif", _patched(avif, avif.index(b"ispe") + 8, huge), "refused"
        exif = Image.Exif()
        exif[270] = "x" * 300_000  # Pillow would refuse to write the bomb itself
        carrier, harmless = encode("AVIF", speed=10, exif=exif), exif.tobytes()[6:]
        yield "bomb-exif.avif", carrier.replace(harmless, exif_bomb(len(harmless))), "picture"


def _jpeg() -> Corpus:
    sound = encode("JPEG")
    start, rest = sound[:2], sound[2:]
    yield "bomb-scans.jpg", scan_bomb(2000, 2000, 20_000), "refused"
    yield "bomb-exif.jpg", start + segments(0xE1, b"Exif\0\0", exif_bomb(2_000_000)) + rest, "picture"
    yield "bomb-exif-one-segment.jpg", start + segments(0xE1, b"Exif\0\0", exif_bomb(64_000)) + rest, "picture"
    yield "huge-exif.jpg", start + segments(0xE1, b"Exif\0\0", bytes(8_000_000)) + rest, "picture"
    yield "broken-exif.jpg", encode("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "picture"
    yield "orientation-99.jpg", encode("JPEG", exif=b"Exif\0\0" + tiff([(274, 3, 1, 99)])), "picture"
    yield "flood-comments.jpg", start + b"\xff\xfe\0\x02" * 200_000 + rest, "either"
    yield "flood-padding.jpg", start + b"\xff" * 500_000 + rest, "either"
    yield "broken-profile.jpg", encode("JPEG", icc_profile=b"no profile at all"), "picture"
    yield "huge-profile.jpg", encode("JPEG", icc_profile=bytes(5_000_000)), "picture"
    yield "no-scan.jpg", sound[: sound.index(b"\xff\xda")] + b"\xff\xd9", "refused"
    yield "only-ends.jpg", b"\xff\xd8\xff\xd9", "refused"
    yield "space-before.jpg", b"\n" + sound, "refused:not-a-picture"
    yield "loop-of-images.jpg", encode("MPO", photo(), save_all=True, append_images=[photo()])[:-500], "either"


def _png() -> Corpus:
    sound = encode("PNG")
    head, rest = sound[:33], sound[33:]
    text = zlib.compress(bytes(50_000_000), 9)
    yield "bomb-ztxt.png", head + chunk(b"zTXt", b"Comment\0\0" + text) + rest, "picture"
    yield "bomb-itxt.png", head + chunk(b"iTXt", b"Comment\0\1\0\0\0" + text) + rest, "picture"
    yield "bomb-iccp.png", head + chunk(b"iCCP", b"sRGB\0\0" + text) + rest, "picture"
    yield "bomb-late-ztxt.png", sound[:-12] + chunk(b"zTXt", b"C\0\0" + text) + sound[-12:], "picture"
    yield "bomb-exif.png", head + chunk(b"eXIf", exif_bomb(2_000_000)) + rest, "picture"
    yield "flood-chunks.png", head + chunk(b"skIp", b"") * 100_000 + rest, "either"
    yield "flood-empty-idat.png", head + chunk(b"IDAT", b"") * 100_000 + rest, "either"
    yield "no-pixels.png", head + chunk(b"IEND", b""), "refused"
    yield "no-size.png", _patched(sound, 16, bytes(8)), "refused"
    yield "wrong-checksum.png", _patched(sound, 29, b"\0\0\0\0"), "refused"
    yield "lying-chunk.png", _patched(sound, 33, b"\x7f\xff\xff\xff"), "either"


def _tiff() -> Corpus:
    yield "grey.tif", grey_tiff(64, 48, strip=4000), "picture"
    yield (
        "bomb-strips.tif",
        grey_tiff(64, 48, (273, 1, 4_000_000, 8), (278, 4, 1, 1), strip=4_000_000),
        "refused:broken",
    )
    yield "bomb-tile.tif", grey_tiff(64, 48, (322, 4, 1, 60_000), (323, 4, 1, 60_000), strip=4000), "refused"
    yield "bomb-values.tif", tiff([(tag, 7, 500_000, 8) for tag in range(1000, 60_000)], tail=bytes(500_000)), "refused"
    yield "bomb-samples.tif", grey_tiff(64, 48, (277, 4, 1, 2**31), strip=4000), "refused"
    yield "no-strips.tif", grey_tiff(64, 48, (273, 4, 0, 0), strip=4000), "refused"
    yield "far-directory.tif", b"II*\0\xff\xff\xff\xff" + bytes(100), "refused"
    yield "big-tiff-directory.tif", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63) + bytes(1000), "refused"
    loop = bytearray(grey_tiff(64, 48, strip=4000))
    loop[8 + 2 + 9 * 12 : 8 + 2 + 9 * 12 + 4] = struct.pack("<I", 8)
    yield "loop.tif", bytes(loop), "picture"
    first = grey_tiff(64, 48, strip=4000)
    chain = b"".join(struct.pack("<HI", 0, len(first) + 6 * (i + 1)) for i in range(50_000))
    yield "deep-chain.tif", _patched(first, 8 + 2 + 9 * 12, struct.pack("<I", len(first))) + chain, "picture"


def _others() -> Corpus:
    gif = encode("GIF")
    after_palette = gif.index(b",", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    comment = b"!\xfe" + (b"\xff" + b"c" * 255) * 20_000 + b"\0"
    yield "flood-comment.gif", gif[:after_palette] + comment + gif[after_palette:], "either"
    yield "no-frame.gif", gif[:after_palette] + b";", "refused"
    yield "frame-outside.gif", _patched(gif, after_palette + 1, struct.pack("<HH", 60_000, 60_000)), "refused"
    yield "negative.bmp", _patched(encode("BMP"), 18, struct.pack("<ii", -64, 48)), "refused"
    yield "offset.bmp", _patched(encode("BMP"), 10, struct.pack("<I", 2**31)), "refused"
    yield "run-length.bmp", _run_length_bmp(4000, 4000), "either"
    webp = encode("WEBP")
    yield "lying-riff.webp", _patched(webp, 4, struct.pack("<I", 2**31)), "refused:truncated"
    yield "short-riff.webp", _patched(webp, 4, struct.pack("<I", 20)), "refused"


def _deep() -> Corpus:
    """More than 8 bits a sample, and ends that are missing."""
    ten = np.asarray(photo()).astype(np.uint16) * 4
    png, floats = (
        _coded(suffix, values) for suffix, values in ((".png", ten), (".tif", (ten / 1020).astype(np.float32)))
    )
    yield "bits-10.png", png, "picture"
    yield "bits-10.tif", _coded(".tif", ten), "picture"
    yield "floats.tif", floats, "picture"
    yield "nothing-but-nan.tif", _coded(".tif", np.full((48, 64, 3), np.nan, np.float32)), "picture"
    for percent in (20, 50, 80, 95):
        yield f"cut-{percent}-bits-10.png", png[: len(png) * percent // 100], "refused:truncated"
        yield f"cut-{percent}-floats.tif", floats[: len(floats) * percent // 100], "refused"
    colour = ((258, 3, 1, 32), (277, 3, 1, 3), (339, 3, 1, 3))
    yield "bomb-floats.tif", grey_tiff(60_000, 60_000, *colour, strip=4000), "refused:too-many-pixels"
    yield "bomb-float-tile.tif", grey_tiff(64, 48, *colour, (322, 4, 1, 60_000), (323, 4, 1, 60_000)), "refused"
    yield "lying-floats.tif", grey_tiff(5000, 4000, *colour, strip=4000), "refused"
    for name, data in (("baseline", encode("JPEG")), ("progressive", encode("JPEG", progressive=True))):
        yield f"without-end-{name}.jpg", data[:-2], "picture"
        yield f"without-more-{name}.jpg", data[:-40], "refused:truncated"
    yield "bomb-scans-cut.jpg", scan_bomb(800, 800, 20_000)[:-2], "refused"
    yield "head.jxl", b"\xff\x0a" + bytes(20), "refused"


def _coded(suffix: str, values: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(suffix, values)[1].tobytes()


def _below() -> Corpus:
    """Directories of a TIFF below the first, which say that they hold the full picture."""
    for name, below in (("itself", 8), ("nothing", 0), ("beyond", 2**31)):
        yield f"below-{name}.tif", grey_tiff(64, 48, (254, 4, 1, 1), (330, 4, 1, below), strip=4000), "picture"
    yield "below-many.tif", grey_tiff(64, 48, (254, 4, 1, 1), (330, 4, 2**30, 8), strip=4000), "picture"
    small = grey_tiff(64, 48, (254, 4, 1, 1), (330, 4, 1, 8192), strip=4000).ljust(8192, b"\0")
    for name, large in (
        ("bomb", grey_tiff(60_000, 60_000)),
        ("strips", grey_tiff(6400, 4800, (273, 4, 4_000_000, 8))),
        ("tile", grey_tiff(6400, 4800, (322, 4, 1, 60_000), (323, 4, 1, 60_000))),
    ):
        yield f"below-{name}.tif", small + large[8:], "refused"


def _animations() -> Corpus:
    """Many frames, large frames, and frames that are not what they say."""
    dots = [Image.new("L", (16, 16), 100 + n % 100) for n in range(3000)]
    for suffix, format_ in (("gif", "GIF"), ("png", "PNG"), ("webp", "WEBP")):
        many = dots if format_ == "GIF" else dots[:300]
        yield f"frames-{len(many)}.{suffix}", encode(format_, many[0], save_all=True, append_images=many[1:]), "picture"
        large = [photo(900, 600), photo(900, 600).transpose(Image.Transpose.ROTATE_180)] * 2
        data = encode(format_, large[0], save_all=True, append_images=large[1:], duration=[20, 20, 20, 900])
        yield f"frames-large.{suffix}", data, "picture"
        for percent in (30, 60, 95):
            yield f"cut-{percent}-frames-large.{suffix}", data[: len(data) * percent // 100], "either"
    flat = [Image.new("RGB", (4000, 4000), colour) for colour in ("gray", "blue", "navy")]
    hidden = encode("PNG", flat[0], save_all=True, append_images=flat[1:], default_image=True)
    yield "hidden-16-megapixels.png", hidden, "picture"
    gif = bytearray(encode("GIF", flat[0].resize((64, 48)), save_all=True, append_images=[photo()]))
    at = gif.index(b",\0\0\0\0\x40\0\x30\0", gif.index(b",\0\0\0\0\x40\0\x30\0") + 1)
    yield "frame-enlarges.gif", _patched(bytes(gif), at + 5, b"\xff\xff\xff\xff"), "picture"
    apng = encode("PNG", photo(), save_all=True, append_images=[photo().transpose(Image.Transpose.ROTATE_180)])
    yield "frame-outside.png", _patched(apng, apng.rindex(b"fcTL") + 8, b"\0\0\xff\xff" * 2), "either"
    times = b"".join(chunk(b"fcTL", struct.pack(">7I", n, 64, 48, 0, 0, 0, 0)[:24] + b"\0\0") for n in range(60_000))
    yield "flood-frames.png", apng[:33] + chunk(b"acTL", struct.pack(">II", 60_000, 0)) + times + apng[33:], "either"


def _run_length_bmp(width: int, height: int) -> bytes:
    """Runs of one pixel, which Pillow decodes in Python."""
    palette = bytes(1024)
    pixels = b"\1\0" * 1_000_000 + b"\0\1"
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def _patched(data: bytes, at: int, patch: bytes) -> bytes:
    return data[:at] + patch + data[at + len(patch) :]


if __name__ == "__main__":
    for file_name, expectation in write_corpus(Path(sys.argv[1])).items():
        print(f"{file_name}\t{expectation}")
