"""What worker processes make of one picture of a build: decode, cut, equalise and describe it.

A row depends on the picture, the recipe and nothing else, so that it may be made in any order, by any process, and
twice.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from ...images.load import Limits, PictureError
from ..engine.workers import Entry
from ..file_facts import Native, read_native
from ..splits import phash

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NATIVE = [
    ("native_width", pa.int32()),
    ("native_height", pa.int32()),
    ("native_format", pa.string()),
    ("native_jpeg_quality", pa.int16()),
    ("native_subsampling", pa.string()),
    ("native_has_metadata", pa.bool_()),
]
SCHEMA = pa.schema(
    [
        ("image", IMAGE),  # without bytes where the picture was rejected
        ("label", pa.int64()),
        ("generator", pa.string()),
        ("source", pa.string()),
        ("family", pa.string()),  # what the source says of the generator; empty where it says nothing
        *NATIVE,
        ("phash", pa.string()),
        ("sha256", pa.string()),
        ("reason", pa.string()),  # why it was rejected, a short code; empty if it was not
        ("problem", pa.string()),
        ("original", pa.int64()),  # of a reconstruction, its photograph's number in the plan
    ]
)


class Opened(NamedTuple):
    """A picture: upright RGB, cut; and the facts of its file."""

    pixels: Image.Image
    native: Native


@dataclass(frozen=True)
class RowMaker:
    """Makes rows of pictures. It is a `Work` of `fakeface.data.engine`.

    Attributes:
        seed: of the history.
        history: a `fakeface.data.equalise.History`; None keeps files as they were found.
        face_margin: side of the cut square in sides of the face's box.
        finder: a `FaceFinder`; None cuts nothing.
    """

    seed: int
    history: Any
    face_margin: float = 0.0
    finder: Any = None

    def make(self, entry: Entry, content: bytes | np.ndarray) -> dict[str, Any]:
        pixels, native = self.open(entry, content)
        stored = self.store(pixels, content)
        return {
            **_bare_row(entry),
            "image": {"bytes": stored, "path": entry.name},
            **native._asdict(),
            # A box filter first: Lanczos from full size would take a fifth of the whole unit's time, and gives the same
            # hash, or one 2 bits away.
            "phash": phash(pixels.reduce(max(1, min(pixels.size) // 128))),
            "sha256": hashlib.sha256(stored).hexdigest(),
        }

    def refuse(self, entry: Entry, error: PictureError) -> dict[str, Any]:
        return {**_bare_row(entry), "reason": error.reason, "problem": error.problem}

    def open(self, picture: Entry, content: bytes | np.ndarray) -> Opened:
        """Decode and cut a picture, given its file, or bare pixels where there is none. Raises PictureError."""
        pixels, native = read_native(content, picture.name, Limits())
        return Opened(self._cut_face(pixels, picture.name) if self.finder else pixels, native)

    def store(self, pixels: Image.Image, content: bytes | np.ndarray) -> bytes:
        """The file to keep of a picture that was opened: what the history makes of it, or the file as it was found."""
        if self.history is not None:
            from ..equalise import equalise

            # What is drawn for a picture depends on its bytes, not on its place: a copy gets the same.
            drawn_by = content if isinstance(content, bytes) else content.tobytes()
            key = int.from_bytes(hashlib.sha256(drawn_by).digest()[:8], "little")
            return equalise(pixels, self.history, np.random.default_rng((self.seed, key)))
        if isinstance(content, bytes):
            return content
        buffer = io.BytesIO()
        pixels.save(buffer, "PNG")  # bare pixels have no file to keep; this loses nothing
        return buffer.getvalue()

    def _cut_face(self, pixels: Image.Image, name: str) -> Image.Image:
        from ...faces import cut_face, face_square, set_upright

        faces = self.finder(pixels)
        if not faces:
            raise PictureError(name, "no-face", "no face was found in it; leave it out, or build without --faces")
        square = face_square(faces[0], self.face_margin)
        # As the Detector cuts: shrunk before it is padded, since a padded square could fill the memory, and upright.
        return set_upright(cut_face(pixels, square, largest=self.history.size if self.history else None), faces[0])


def _bare_row(picture: Entry) -> dict[str, Any]:
    told = picture.reference
    row = dict.fromkeys(SCHEMA.names)
    row.update(
        label=told.label, generator=told.generator, source=told.source, family=told.family, reason="", problem=""
    )
    return {**row, "image": {"bytes": None, "path": picture.name}}
