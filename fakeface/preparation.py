"""From a picture to what the model is shown of it: decode, find and cut faces, resize.

Nothing here imports torch, so that worker processes start quickly and stay small. `Detector` and `fakeface score` both
prepare pictures here, and hence agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .faces import Face, FaceFinder, cut_face, face_square, set_upright
from .images import PictureError, load_picture

LARGEST_CROP = 280  # pixels: larger face crops are shrunk to it first, as those of the training data were
MOST_CROPS = 10
# Side of a corner crop over the shorter side of the picture, unless the model looks at less anyway.
CORNER = 0.875
_SEED = 0x5EED  # of the re-encodings: the n-th one is the same for every picture, in whatever order they come


@dataclass
class Case:
    """A picture on its way.

    Attributes:
        name: what it is called in results.
        size: width and height in pixels.
        faces: those to judge; `None` to judge its centre.
        found: how many faces the picture has, those beyond `Preparer.max_faces` included.
        error: why it was refused.
        views: how many inputs of the model there are for each face, or for the centre.
        logits: the model's (real, generated) for each input, as they come: all views of the first face, then the next.
    """

    name: str
    size: tuple[int, int] = (0, 0)
    faces: list[Face] | None = None
    found: int = 0
    error: PictureError | None = None
    views: int = 1
    logits: list[list[float]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        subjects = 1 if self.faces is None else len(self.faces)
        return self.error is not None or len(self.logits) == subjects * self.views


@dataclass(frozen=True)
class Preparer:
    """Prepares pictures for one model. Can be sent to other processes.

    Attributes:
        size: side of the model's input in pixels.
        crop_fraction: side of the centre square that the model sees over the picture's shorter side, in (0, 1].
        face_margin: side of a face crop over the longer side of the face's box.
        finder: finds the faces to judge; without one the centre square of every picture is judged.
        crops: how many crops of each face are judged: the centre, its mirror image, then corners and theirs; 1 to 10.
        consistency: how many re-encodings of each face are judged as well, from 0.
        max_faces: judge only so many faces of a picture, the largest; by default all.
    """

    size: int
    crop_fraction: float = 1.0
    face_margin: float = 2.0
    finder: FaceFinder | None = None
    crops: int = 1
    consistency: int = 0
    max_faces: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.crops <= MOST_CROPS:
            raise ValueError(f"crops is {self.crops}: it takes a number from 1 to {MOST_CROPS}")
        if not 0 <= self.consistency <= 100:
            raise ValueError(f"consistency is {self.consistency}: it takes a number from 0 to 100")
        if self.max_faces is not None and self.max_faces < 1:
            raise ValueError(f"max_faces is {self.max_faces}: it takes a number from 1")

    def try_open(self, name: str, picture: Any) -> tuple[Case, Iterator[np.ndarray]]:
        """As `open`, of anything `load_picture` takes; a picture that is refused becomes a case with an error."""
        try:
            return self.open(name, load_picture(picture, name=name))
        except PictureError as error:
            return Case(name, error=error), iter(())

    def open(self, name: str, picture: Image.Image) -> tuple[Case, Iterator[np.ndarray]]:
        """A case of a loaded picture, and the model's inputs for it, made as they are asked for.

        Args:
            name: of the case.
            picture: upright RGB, as `load_picture` returns it.

        Returns:
            The case, and uint8 arrays (size, size, 3), `Case.views` of them for each face.
        """
        views = self.crops * (1 + self.consistency)
        if self.finder is None:
            return Case(name, picture.size, views=views), self._inputs(picture)
        found = self.finder(picture)
        faces = found[: self.max_faces]
        inputs = (array for face in faces for array in self._inputs(self.crop(picture, face)))
        return Case(name, picture.size, faces, len(found), views=views), inputs

    def crop(self, picture: Image.Image, face: Face) -> Image.Image:
        """The crop of one face, upright."""
        return set_upright(cut_face(picture, face_square(face, self.face_margin), largest=LARGEST_CROP), face)

    def _inputs(self, subject: Image.Image) -> Iterator[np.ndarray]:
        """All views of a face crop or of a whole picture: the crops of it, then those of each re-encoding."""
        yield from self._crops(subject)
        if self.consistency:
            from .data.channels import send

            square = cut_face(subject, _centre(subject, 1.0), largest=LARGEST_CROP)
            for number in range(self.consistency):
                yield from self._crops(send(square, np.random.default_rng((_SEED, number))))

    def _crops(self, subject: Image.Image) -> Iterator[np.ndarray]:
        boxes = [_centre(subject, self.crop_fraction)]
        if self.crops > 2:
            boxes += _corners(subject, min(self.crop_fraction, CORNER))
        for number in range(self.crops):
            # The processor's own resize (its box, BICUBIC): a test holds the two together, bit for bit.
            crop = subject.resize((self.size, self.size), Image.Resampling.BICUBIC, box=boxes[number // 2])
            yield np.asarray(ImageOps.mirror(crop) if number % 2 else crop)


def _centre(picture: Image.Image, fraction: float) -> tuple[float, float, float, float]:
    """The box that `FakeFaceImageProcessor.crop_box` gives."""
    side = min(picture.size) * fraction
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    return left, top, left + side, top + side


def _corners(picture: Image.Image, fraction: float) -> list[tuple[float, float, float, float]]:
    """Squares in the four corners of the centre square: upper left, lower right, upper right, lower left."""
    left, top, right, bottom = _centre(picture, 1.0)
    side = (right - left) * fraction
    corners = ((left, top), (right - side, bottom - side), (right - side, top), (left, bottom - side))
    return [(x, y, x + side, y + side) for x, y in corners]


__all__ = ["LARGEST_CROP", "MOST_CROPS", "Case", "Preparer"]
