"""Everything the probes of an audit look at, as one flat row of numbers for each picture.

Keys read `what.name`: `file.*` stands in the file, `stored.*` is measured of the picture as it is stored, `fed.*` of
the square that a classifier is fed, and `native.*` is what the dataset says of the file as it was found. `face.*` and
`background.*` are of the picture as it is stored, or of the square that a model cuts out of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ...detector.preparation import Preparer
from ...images.load import PictureError, load_picture
from ..columns import NATIVE
from ..faces import find_main_face
from ..file_facts import format_facts, jpeg_facts, metadata_facts
from ..loading import PHASH
from ..measures import (
    background_spectrum,
    bytes_per_pixel,
    centre_square,
    colour,
    greyness,
    light,
    sharpness,
)
from ..splits import phash

LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


@dataclass(frozen=True)
class Features:
    """Measures one row of a dataset.

    Attributes:
        side, crop_fraction: of the square that the classifier is fed: its side in pixels, and its share of the shorter
            side.
        find_faces: a `FaceFinder`, or `None` to leave face positions out.
        prepare: changes the picture before it is cut to the classifier's square, such as an augmentation.
        cut: a model's, with its finder: the face in each picture is found and cut as for that model, and all but
            `file.*`, `stored.*` and `native.*` is measured of what it is then fed; a picture without a face is refused.
            By default the classifier is fed the centre.
    """

    side: int = 160
    crop_fraction: float = 0.875
    find_faces: Callable[[Image.Image], list[Any]] | None = None
    prepare: Callable[[Image.Image, int], Image.Image] | None = field(default=None)
    cut: Preparer | None = None

    def __call__(self, row: dict[str, Any], index: int) -> dict[str, Any]:
        """`values` (NaN where there is none), `phash`, and `refused`: why the picture could not be read, or empty."""
        image = row["image"] or {}
        try:
            picture = load_picture(image, name=image.get("path") or f"row {index}")
            data = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
        except (PictureError, OSError) as error:
            return {"refused": str(error), "phash": "0" * 16, "values": {}}
        given = row.get("phash") or ""
        fed = self.prepare(picture, index) if self.prepare else picture
        if self.cut is None:
            fed = centre_square(fed, self.crop_fraction, self.side)
        elif (fed := self._cut_out(fed)) is None:
            name = image.get("path") or f"row {index}"
            return {"refused": f"{name}: no face was found in it", "phash": "0" * 16, "values": {}}
        shown = picture if self.cut is None else fed
        values = {**file_features(data, picture), **native_features(row), **self.face_features(shown)}
        for place, shown in (("stored", picture), ("fed", fed)):
            for name, measure in (("light", light), ("colour", colour), ("sharpness", sharpness), ("grey", greyness)):
                values.update({f"{place}.{name}.{key}": value for key, value in measure(shown).items()})
        values["fed.bytes.per_pixel"] = bytes_per_pixel(fed)
        return {"refused": "", "phash": given if PHASH.fullmatch(given) else phash(picture), "values": values}

    def _cut_out(self, picture: Image.Image) -> Image.Image | None:
        """What the model whose cut it is sees of the picture's face; `None` where there is none."""
        assert self.cut is not None
        assert self.cut.finder is not None
        face = find_main_face(self.cut.finder, picture)
        return face and Image.fromarray(next(self.cut.inputs_of(picture, face)))

    def face_features(self, picture: Image.Image) -> dict[str, float]:
        """Landmarks and size of the largest face as shares of the shorter side, from the middle; and the background."""
        faces = self.find_faces(picture) if self.find_faces else []
        found: dict[str, float] = {}
        square = None
        if self.find_faces:
            points = faces[0].landmarks if faces else [(math.nan, math.nan)] * len(LANDMARKS)
            shorter, middle = min(picture.size), (picture.width / 2, picture.height / 2)
            for name, point in zip(LANDMARKS, points, strict=True):
                for axis, value, origin in zip("xy", point, middle, strict=True):
                    found[f"face.{name}_{axis}"] = (value - origin) / shorter
        if faces:
            left, top, right, bottom = faces[0].box
            found["face.side"] = max(right - left, bottom - top) / min(picture.size)
            square = face_outline(faces[0].box)
        elif self.find_faces:
            found["face.side"] = math.nan
        spectrum = background_spectrum(picture, square)
        return {**found, **{f"background.{band:02}": value for band, value in enumerate(spectrum)}}


def face_outline(box: tuple[float, float, float, float], margin: float = 1.2) -> tuple[float, float, float, float]:
    """A square around a face's box with some room for hair; outside it is background."""
    left, top, right, bottom = box
    x, y, reach = (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top) * margin / 2
    return x - reach, y - reach, x + reach, y + reach


def file_features(data: bytes, picture: Image.Image) -> dict[str, float]:
    """What the file and its size in pixels tell."""
    groups = {"format": format_facts(data), "jpeg": jpeg_facts(data), "metadata": metadata_facts(data)}
    values = {f"file.{group}.{name}": value for group, facts in groups.items() for name, value in facts.items()}
    values["stored.size.width"], values["stored.size.height"] = float(picture.width), float(picture.height)
    values["stored.bytes.per_pixel"] = len(data) / (picture.width * picture.height)
    return values


def native_features(row: dict[str, Any]) -> dict[str, float]:
    """What the dataset's `native_*` columns say; words become a number each that depends on the word alone."""
    values = {}
    for column in NATIVE:
        if column in row:
            value = row[column]
            if value is None:
                number = math.nan
            elif isinstance(value, str):
                number = float(int.from_bytes(value.encode()[:6], "big"))
            else:
                number = float(value)
            values[f"native.{column.removeprefix('native_')}"] = number
    return values
