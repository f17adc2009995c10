"""The one door for pictures: whatever a user or a dataset hands over, to an upright RGB picture.

    >>> load_picture("portrait.jpg")                                        # doctest: +SKIP
    <PIL.Image.Image image mode=RGB size=1024x1024>

Every refusal is a `PictureError` with the picture's name, a reason code and the cure. Pictures are untrusted: see
`fakeface.images.decode` for what guards the decoders and `fakeface.images.download` for what guards downloads.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from . import convert as colour
from .animation import MOST_JUDGED
from .decode import Limits, PictureError, check_size, starts_like_picture
from .frames import Opened, read_frames, seen

__all__ = [
    "PICTURE_SUFFIXES",
    "Limits",
    "Opened",
    "OtherFiles",
    "PictureError",
    "is_content",
    "is_picture_file",
    "list_pictures",
    "load_picture",
    "open_picture",
    "picture_bytes",
]

# fmt: off
PICTURE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif",
    ".jp2", ".j2k", ".jpx", ".jpf", ".heic", ".heif", ".hif", ".mpo", ".jxl",
})
# fmt: on

# A suffix that tells of some type of file; others, and none, are looked into: uploads are often named by a hash.
_TELLING = re.compile(r"\.(?!bin$|dat$|tmp$)[a-z][a-z0-9]{1,4}")

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/?/")
_DEFAULT_LIMITS = Limits()


def load_picture(picture: Any, *, name: str | None = None, limits: Limits = _DEFAULT_LIMITS) -> Image.Image:
    """Load one picture as upright 8-bit RGB; of an animation the frame shown longest.

    Args:
        picture: bytes of a file; a path; an https address; a binary file object, read from where it stands; a PIL
            image; a numpy array (HxW, HxWx1, HxWx3, HxWx4; uint8, uint16 or floats from 0 to 1); a torch tensor
            (HxW or CxHxW, same types); or the `{"bytes": ..., "path": ...}` of an undecoded `datasets` row, whose
            path is read only if there are no bytes.
        name: what to call the picture in errors; by default its path, its address or its kind.
        limits: what it may cost.

    Returns:
        A new picture of mode RGB, without metadata. EXIF orientation is applied, alpha lies on white, ICC profiles are
        converted to sRGB, and samples of more than 8 bits are scaled to 8, those of 10 and 12 bits in files of 16 too.

    Raises:
        PictureError: the picture is refused. No other exception comes from the picture itself.
    """
    return open_picture(picture, name=name, limits=limits, most=1).frames[0]


def open_picture(
    picture: Any, *, name: str | None = None, limits: Limits = _DEFAULT_LIMITS, most: int = MOST_JUDGED
) -> Opened:
    """Open one picture as its viewers see it: what `load_picture` gives, and of an animation a few frames more.

    Args:
        picture: as of `load_picture`, or what this returned, which is returned again. Of a PIL image it is the frame
            at which it stands.
        name, limits: as of `load_picture`.
        most: frames of an animation.

    Raises:
        PictureError: the picture is refused. No other exception comes from the picture itself.
    """
    if isinstance(picture, Opened):
        return picture
    name = _name(picture) if name is None else name
    try:
        if isinstance(picture, Image.Image):
            check_size(picture.size, name, limits)
            picture.load()
        elif _is_array(picture):
            picture = _from_array(picture, name, limits)
        else:
            return read_frames(picture_bytes(picture, name=name, limits=limits), name, limits, most)
        remarks: list[str] = []
        return seen((colour.upright_rgb(picture, remarks),), remarks)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(name, "out-of-memory", "no memory left to convert it; scale it down") from error
    except Exception as error:  # PIL images and file objects come with code of their own
        raise PictureError(name, "broken", f"cannot be read ({str(error)[:100]}); save it again") from error


@dataclass
class OtherFiles:
    """What folders hold beside files that are named like pictures.

    Attributes:
        pictures: files that are pictures by their first bytes alone.
        passed_over: files that are none.
    """

    pictures: int = 0
    passed_over: int = 0

    def __str__(self) -> str:
        """Both in a line; empty where there are none."""
        told = []
        if self.pictures:
            told.append(f"{self.pictures:,} without a picture's suffix read, by the first bytes")
        if self.passed_over:
            told.append(f"{self.passed_over:,} passed over as no pictures")
        return f"other files: {', '.join(told)}" if told else ""


def is_picture_file(path: str | os.PathLike[str], others: OtherFiles | None = None) -> bool:
    """Whether a file in a folder is a picture: by its suffix, or where that tells nothing by its first bytes.

    Args:
        path: of the file.
        others: counts it where its suffix is not in `PICTURE_SUFFIXES`.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in PICTURE_SUFFIXES:
        return True
    found = not _TELLING.fullmatch(suffix) and starts_like_picture(_head(path))
    if others is not None:
        others.pictures += found
        others.passed_over += not found
    return found


def _head(path: str | os.PathLike[str]) -> bytes:
    """The first bytes of an ordinary file; none of what cannot be read."""
    try:
        if not os.path.isfile(path):  # opening a pipe would wait for ever
            return b""
        with open(path, "rb") as file:
            return file.read(64)
    except (OSError, ValueError):
        return b""


def list_pictures(paths: Iterable[str | Path], others: OtherFiles | None = None) -> Iterator[Path]:
    """Expand folders, recursively and in sorted order, to the pictures in them, as `is_picture_file` tells them.

    Everything else is passed on as it is, missing paths and unreadable folders too: `load_picture` refuses
    them by name. Links to folders are not followed below the given paths, so that loops end.

    Args:
        paths: files and folders.
        others: counts what folders hold beside files that are named like pictures.
    """
    for path in map(Path, paths):
        if not os.path.isdir(path):
            yield path
            continue
        errors: list[OSError] = []
        for folder, subfolders, files in os.walk(path, onerror=errors.append):
            subfolders.sort()
            for file in sorted(files):
                if is_picture_file(os.path.join(folder, file), others):
                    yield Path(folder, file)
        yield from (Path(error.filename) for error in errors)


def _is_array(picture: Any) -> bool:
    # Whoever holds an array or a tensor has imported its library, so neither is imported to ask.
    kinds = (("numpy", "ndarray"), ("torch", "Tensor"))
    return any(isinstance(picture, getattr(sys.modules.get(module), kind, ())) for module, kind in kinds)


def _from_array(picture: Any, name: str, limits: Limits) -> Image.Image:
    try:
        array = colour.tensor_array(picture) if hasattr(picture, "detach") else picture
        if array.ndim in (2, 3):
            check_size((array.shape[1], array.shape[0]), name, limits)
        return colour.array_picture(array)
    except PictureError:
        raise
    except (ValueError, TypeError) as error:
        raise PictureError(name, "unsupported-type", str(error)) from error


def picture_bytes(picture: Any, *, name: str | None = None, limits: Limits = _DEFAULT_LIMITS) -> bytes:
    """The bytes of a picture's file as they stand there, undecoded.

    Args:
        picture: whatever `load_picture` takes, but for what has no file: PIL images, arrays and tensors.
        name: what to call the picture in errors.
        limits: at most `max_bytes` are read, within `download_seconds`.

    Raises:
        PictureError: it cannot be read, or is too large.
    """
    name = _name(picture) if name is None else name
    if isinstance(picture, dict):
        return _row_bytes(picture, name, limits)
    if isinstance(picture, (bytes, bytearray, memoryview)):
        data = bytes(picture)
    elif isinstance(picture, str) and _ADDRESS.match(picture):
        from .download import fetch  # ssl takes a while to import

        data = fetch(picture, max_bytes=limits.max_bytes, seconds=limits.download_seconds, name=name)
    elif is_content(picture):
        cure = "decode it, base64.b64decode(text.partition(',')[2]), and give the bytes"
        raise PictureError(name, "unsupported-type", f"a picture as text, not the path of one; {cure}")
    elif isinstance(picture, (str, os.PathLike)):
        data = _path_bytes(os.fspath(picture), name, limits)
    elif callable(getattr(picture, "read", None)):
        data = _stream_bytes(picture, name, limits)
    else:
        kinds = "bytes, a path, an https address, a file, a PIL image, an array or a tensor"
        raise PictureError(name, "unsupported-type", f"{type(picture).__name__} is not a picture; give {kinds}")
    if len(data) > limits.max_bytes:
        problem = f"more than {limits.max_bytes / 2**20:g} MiB; save it smaller"
        raise PictureError(name, "too-many-bytes", problem)
    return data


def _row_bytes(row: dict[str, Any], name: str, limits: Limits) -> bytes:
    data, path = row.get("bytes"), row.get("path")
    if isinstance(data, (bytes, bytearray, memoryview)):
        return picture_bytes(data, name=name, limits=limits)
    # Datasets are untrusted: their paths do not make us fetch addresses or open archives ("zip://a.jpg::b.zip").
    if not isinstance(path, (str, os.PathLike)) or _ADDRESS.match(str(path)) or "::" in str(path):
        cure = "embed the bytes; or give its picture, row['image']"
        raise PictureError(name, "missing", f"the row has neither bytes nor the path of a local file; {cure}")
    return picture_bytes(Path(path), name=name, limits=limits)


def _path_bytes(path: str | bytes, name: str, limits: Limits) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device would wait for ever
            is_folder = stat.S_ISDIR(status.st_mode)
            if is_folder and not os.access(path, os.R_OK | os.X_OK):
                raise PermissionError
            kind = "a folder" if is_folder else "not an ordinary file"
            raise PictureError(name, "not-a-file", f"{kind}; give a picture file")
        with open(path, "rb") as file:
            return _stream_bytes(file, name, limits)
    except (FileNotFoundError, NotADirectoryError):
        is_link = os.path.islink(path)
        problem = "a link to nothing; put back what it leads to" if is_link else "no such file; check the path"
        raise PictureError(name, "missing", problem) from None
    except PermissionError:
        raise PictureError(name, "unreadable", "no permission to read it; check its mode and owner") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        if isinstance(error, PictureError):
            raise
        raise PictureError(name, "unreadable", f"cannot be read ({error}); copy it again") from error


def _stream_bytes(file: Any, name: str, limits: Limits) -> bytes:
    """All that is left in a file, and one byte more than allowed at most. Unbuffered files return less than asked."""
    data = bytearray()
    while len(data) <= limits.max_bytes:
        chunk = file.read(limits.max_bytes + 1 - len(data))
        if isinstance(chunk, str):
            raise PictureError(name, "unsupported-type", 'the file is open in text mode; open it with "rb"')
        if not chunk:
            break
        data += chunk
    return bytes(data)


def is_content(picture: Any) -> bool:
    """Whether a string is a picture itself, as a data URI or in base64, and no path: those end at 4,096 bytes."""
    return isinstance(picture, str) and (picture.startswith("data:") or len(picture) > 4096)


def _name(picture: Any) -> str:
    if is_content(picture):
        return "picture"
    if isinstance(picture, dict):
        return _name(picture["path"]) if picture.get("path") else "picture"
    if isinstance(picture, str) and _ADDRESS.match(picture):
        from .download import short_name

        return short_name(picture)
    if isinstance(picture, (str, os.PathLike)):
        return os.fsdecode(picture)
    own = getattr(picture, "filename", None) or getattr(picture, "name", None)  # of PIL images, of files
    return os.fsdecode(own) if isinstance(own, (str, bytes, os.PathLike)) and own else type(picture).__name__
