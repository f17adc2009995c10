"""The one door for pictures: whatever a user, a dataset or a stranger hands over, to an upright RGB picture.

    >>> load_picture("portrait.jpg")                                        # doctest: +SKIP
    <PIL.Image.Image image mode=RGB size=1024x1024>

Every refusal is a `PictureError` with the picture's name, a reason code and the cure. Pictures are untrusted: see
`fakeface.decoding` for what guards the decoders and `fakeface.fetch` for what guards downloads.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from fakeface import colour
from fakeface.decoding import Limits, PictureError, check_size, decode

__all__ = ["PICTURE_SUFFIXES", "Limits", "PictureError", "list_pictures", "load_picture", "picture_bytes"]

# fmt: off
PICTURE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif",
    ".jp2", ".j2k", ".jpx", ".jpf", ".heic", ".heif", ".hif",
})
# fmt: on

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/?/")
_DEFAULT_LIMITS = Limits()


def load_picture(picture: Any, *, name: str | None = None, limits: Limits = _DEFAULT_LIMITS) -> Image.Image:
    """Load one picture as upright 8-bit RGB.

    Args:
        picture: bytes of a file; a path; an https address; a binary file object, read from where it stands; a PIL
            image; a numpy array (HxW, HxWx1, HxWx3, HxWx4; uint8, uint16 or floats from 0 to 1); a torch tensor
            (HxW or CxHxW, same types); or the `{"bytes": ..., "path": ...}` of an undecoded `datasets` row, whose
            path is read only if there are no bytes.
        name: what to call the picture in errors; by default its path, its address or its kind.
        limits: what it may cost.

    Returns:
        A new picture of mode RGB, without metadata. EXIF orientation is applied, alpha lies on white, ICC profiles are
        converted to sRGB, 16-bit grey is scaled to 8, and of an animation it is the first frame.

    Raises:
        PictureError: the picture is refused. No other exception comes from the picture itself.
    """
    name = _name(picture) if name is None else name
    try:
        return colour.upright_rgb(_opened(picture, name, limits))
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(name, "out-of-memory", "no memory left to convert it; scale it down") from error
    except Exception as error:  # PIL images and file objects come with code of their own
        raise PictureError(name, "broken", f"cannot be read ({str(error)[:100]}); save it again") from error


def list_pictures(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Expand folders, recursively and in sorted order, to the files in them with a suffix in `PICTURE_SUFFIXES`.

    Everything else is passed on as it is, missing paths and unreadable folders too: `load_picture` refuses
    them by name. Links to folders are not followed below the given paths, so that loops end.
    """
    for path in map(Path, paths):
        if not os.path.isdir(path):
            yield path
            continue
        errors: list[OSError] = []
        for folder, subfolders, files in os.walk(path, onerror=errors.append):
            subfolders.sort()
            for file in sorted(files):
                if Path(file).suffix.lower() in PICTURE_SUFFIXES:
                    yield Path(folder, file)
        yield from (Path(error.filename) for error in errors)


def _opened(picture: Any, name: str, limits: Limits) -> Image.Image:
    """A loaded PIL image of any mode, from any kind of picture."""
    if isinstance(picture, Image.Image):
        check_size(picture.size, name, limits)
        picture.load()
        return picture
    if _is_array(picture):
        return _from_array(picture, name, limits)
    return decode(picture_bytes(picture, name=name, limits=limits), name, limits)


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
        from fakeface.fetch import fetch  # ssl takes a while to import

        data = fetch(picture, max_bytes=limits.max_bytes, seconds=limits.download_seconds, name=name)
    elif isinstance(picture, (str, os.PathLike)):
        data = _path_bytes(os.fspath(picture), name, limits)
    elif callable(getattr(picture, "read", None)):
        data = _stream_bytes(picture, name, limits)
    else:
        kinds = "bytes, a path, an https address, a file, a PIL image, an array or a tensor"
        raise PictureError(name, "unsupported-type", f"{type(picture).__name__} is no picture; give {kinds}")
    if len(data) > limits.max_bytes:
        problem = f"more than {limits.max_bytes / 2**20:g} MiB; save it smaller"
        raise PictureError(name, "too-many-bytes", problem)
    return data


def _row_bytes(row: dict[str, Any], name: str, limits: Limits) -> bytes:
    data, path = row.get("bytes"), row.get("path")
    if isinstance(data, (bytes, bytearray, memoryview)):
        return picture_bytes(data, name=name, limits=limits)
    # A dataset is a stranger's: its paths do not make us fetch addresses or open archives ("zip://a.jpg::b.zip").
    if not isinstance(path, (str, os.PathLike)) or _ADDRESS.match(str(path)) or "::" in str(path):
        raise PictureError(name, "missing", "the row has neither bytes nor the path of a local file; embed the bytes")
    return picture_bytes(Path(path), name=name, limits=limits)


def _path_bytes(path: str | bytes, name: str, limits: Limits) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device would wait for ever
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
            raise PictureError(name, "not-a-file", f"{kind}; give a picture file")
        with open(path, "rb") as file:
            return _stream_bytes(file, name, limits)
    except (FileNotFoundError, NotADirectoryError):
        raise PictureError(name, "missing", "no such file; check the path") from None
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


def _name(picture: Any) -> str:
    if isinstance(picture, dict):
        return _name(picture["path"]) if picture.get("path") else "picture"
    if isinstance(picture, str) and _ADDRESS.match(picture):
        from fakeface.fetch import short_name

        return short_name(picture)
    if isinstance(picture, (str, os.PathLike)):
        return os.fsdecode(picture)
    own = getattr(picture, "filename", None) or getattr(picture, "name", None)  # of PIL images, of files
    return os.fsdecode(own) if isinstance(own, (str, bytes, os.PathLike)) and own else type(picture).__name__
