"""One unit of a build, done by one worker: read, decode, cut, equalise, describe, and write a parquet file atomically.

A unit's file is the journal entry of its pictures: it is there, whole, or not at all. What is in it depends on the
pictures, the recipe and nothing else, so that units may be done in any order, by any process, and twice.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from ..images import Limits, PictureError
from ..long_runs import end_with_parent
from .layouts import Reader
from .native import Native, read_native
from .plan import Picture, read_unit
from .splits import phash
from .table_writer import TableWriter

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
        *NATIVE,
        ("phash", pa.string()),
        ("sha256", pa.string()),
        ("reason", pa.string()),  # why it was rejected, a short code; empty if it was not
        ("problem", pa.string()),
        ("original", pa.int64()),  # of a reconstruction, its photograph's number in the plan
    ]
)


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know; the same for all units.

    Attributes:
        plan: file of the plan.
        roots: folder of each source of the recipe.
        units: folder to write into.
        seed: of the history.
        history: a `fakeface.data.equalise.History`; None keeps files as they were found.
        face_margin: side of the cut square in sides of the face's box; 0 cuts nothing.
        face_model: file of the face detector; None for the default.
    """

    plan: Path
    roots: tuple[Path, ...]
    units: Path
    seed: int
    history: Any
    face_margin: float
    face_model: str | None = None


class Opened(NamedTuple):
    """A picture of the plan: upright RGB, cut; the facts of its file; the file, or bare pixels where there is none."""

    pixels: Image.Image
    native: Native
    data: bytes | np.ndarray


class Worker:
    """Does units in one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = Limits()
        self._readers: dict[int, Reader] = {}
        self._finder: Any = None

    def do(self, unit: int) -> int:
        """Write the file of one unit unless it is there. Returns the number of pictures."""
        pictures = read_unit(self.settings.plan, unit)
        file = unit_file(self.settings.units, unit)
        if not file.exists():
            fresh = file.with_name(f".{file.name}.{os.getpid()}.writing")
            with TableWriter(fresh, SCHEMA) as writer:
                for picture in pictures:
                    writer.add(self._row(picture))
            os.replace(fresh, file)
        return len(pictures)

    def _row(self, picture: Picture) -> dict[str, Any]:
        name = picture.reference.path
        row = dict.fromkeys(SCHEMA.names)
        row.update(label=picture.label, generator=picture.generator, source=picture.source, reason="", problem="")
        row["image"] = {"bytes": None, "path": f"{picture.source}/{name}"}
        try:
            row.update(self._contents(picture))
        except PictureError as error:
            row.update(reason=error.reason, problem=error.problem)
        return row

    def _contents(self, picture: Picture) -> dict[str, Any]:
        """The columns that the picture itself gives. Raises PictureError."""
        pixels, native, data = self.open(picture)
        stored = self.store(pixels, data)
        return {
            "image": {"bytes": stored, "path": f"{picture.source}/{picture.reference.path}"},
            **native._asdict(),
            # A box filter first: Lanczos from full size would take a fifth of the whole unit's time, and gives the same
            # hash, or one 2 bits away.
            "phash": phash(pixels.reduce(max(1, min(pixels.size) // 128))),
            "sha256": hashlib.sha256(stored).hexdigest(),
        }

    def open(self, picture: Picture) -> Opened:
        """Read, decode and cut a picture. Raises PictureError."""
        name, how = picture.reference.path, self.settings
        if picture.choice not in self._readers:
            self._readers[picture.choice] = Reader(how.roots[picture.choice], self.limits)
        data = self._readers[picture.choice].read(picture.reference)
        pixels, native = read_native(data, name, self.limits)
        if how.face_margin:
            pixels = self._cut_face(pixels, name)
        return Opened(pixels, native, data)

    def store(self, pixels: Image.Image, data: bytes | np.ndarray) -> bytes:
        """The file to keep of a picture that was opened: what the history makes of it, or the file as it was found."""
        if self.settings.history is not None:
            from .equalise import equalise

            # What is drawn for a picture depends on its bytes, not on its place: a copy gets the same.
            content = data if isinstance(data, bytes) else data.tobytes()
            key = int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
            return equalise(pixels, self.settings.history, np.random.default_rng((self.settings.seed, key)))
        if isinstance(data, bytes):
            return data
        buffer = io.BytesIO()
        pixels.save(buffer, "PNG")  # bare pixels have no file to keep; this loses nothing
        return buffer.getvalue()

    def _cut_face(self, pixels: Image.Image, name: str) -> Image.Image:
        from ..faces import FaceFinder, cut_face, face_square, set_upright

        if self._finder is None:
            self._finder = FaceFinder.from_pretrained(self.settings.face_model)
        faces = self._finder(pixels)
        if not faces:
            raise PictureError(name, "no-face", "no face was found in it; leave it out, or build without --faces")
        square = face_square(faces[0], self.settings.face_margin)
        # As the Detector cuts: shrunk before it is padded, since a padded square could fill the memory, and upright.
        largest = self.settings.history.size if self.settings.history else None
        return set_upright(cut_face(pixels, square, largest=largest), faces[0])


def unit_file(folder: Path, unit: int) -> Path:
    return folder / f"unit-{unit:07d}.parquet"


_worker: Worker | None = None


def start_worker(settings: Settings) -> None:
    """Initialise a worker process. It ends with its parent, also when that is killed and can tell nobody."""
    global _worker
    Image.MAX_IMAGE_PIXELS = None  # `fakeface.decoding` has limits of its own, and warnings would go to stderr
    _worker = Worker(settings)
    end_with_parent()


def do_task(units: list[int]) -> int:
    """Do the units of one task in a worker process. Returns the number of pictures."""
    assert _worker is not None
    return sum(map(_worker.do, units))
