"""From a picture to what the model is shown of it: decode, find and cut faces, resize.

Nothing here imports torch, so that worker processes start quickly and stay small. `Detector` and `fakeface score` both
prepare pictures here, and hence agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..faces import (
    SQUARE_OVER_BOX,
    Face,
    FaceFinder,
    Jitter,
    Square,
    align_face,
    aligned_square,
    cut_face,
    face_square,
    set_upright,
    surroundings,
)
from ..images.load import Opened, PictureError, open_picture
from ..utils.errors import OptionError
from .doubts import centre_doubts, face_doubts

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
        distances: how far each input is from the training's, in the same order; empty where the model does not tell.
        remarks: what was done to the picture or left aside, in plain words.
        doubts: why a verdict `real` on the picture would not hold, in plain words.
        face_doubts: the same of each face, or of the centre.
        frames: of an animation the frames that are judged, each a case of its own; their inputs follow each other.
    """

    name: str
    size: tuple[int, int] = (0, 0)
    faces: list[Face] | None = None
    found: int = 0
    error: PictureError | None = None
    views: int = 1
    logits: list[list[float]] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    remarks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    face_doubts: list[tuple[str, ...]] = field(default_factory=list)
    frames: list[Case] = field(default_factory=list)

    @property
    def subjects(self) -> int:
        """How many faces, or centres, are judged, those of all its frames."""
        if self.frames:
            return sum(frame.subjects for frame in self.frames)
        return 1 if self.faces is None else len(self.faces)

    @property
    def inputs(self) -> int:
        """How many inputs of the model it has, those of all its frames."""
        return sum(frame.inputs for frame in self.frames) if self.frames else self.views * self.subjects

    @property
    def complete(self) -> bool:
        return self.error is not None or len(self.logits) == self.inputs

    def judged_frames(self) -> list[Case]:
        """Its frames with their share of logits and distances; of a still picture itself."""
        start = 0
        for frame in self.frames:
            end = start + frame.inputs
            frame.logits, frame.distances = self.logits[start:end], self.distances[start:end]
            start = end
        return self.frames or [self]


@dataclass(frozen=True)
class Preparer:
    """Prepares pictures for one model. Can be sent to other processes.

    Attributes:
        size: side of the model's input in pixels.
        crop_fraction: side of the centre square that the model sees over the picture's shorter side, in (0, 1].
        face_margin: side of a face crop over the longer side of the face's box, or over the side of FFHQ's square.
        finder: finds the faces to judge; without one the centre square of every picture is judged.
        crops: how many crops of each face are judged: the centre, its mirror image, then corners and theirs; 1 to 10.
        consistency: how many re-encodings of each face are judged as well, from 0.
        max_faces: judge only so many faces of a picture, the largest; by default all.
        face_cut: how a face is cut, as `FakeFaceConfig` has it: `"box"` or `"landmarks"`.
    """

    size: int
    crop_fraction: float = 1.0
    face_margin: float = 2.0
    finder: FaceFinder | None = None
    crops: int = 1
    consistency: int = 0
    max_faces: int | None = None
    face_cut: str = "box"

    def __post_init__(self) -> None:
        if not 1 <= self.crops <= MOST_CROPS:
            raise OptionError(f"crops is {self.crops}: it takes a number from 1 to {MOST_CROPS}")
        if not 0 <= self.consistency <= 100:
            raise OptionError(f"consistency is {self.consistency}: it takes a number from 0 to 100")
        if self.max_faces is not None and self.max_faces < 1:
            raise OptionError(f"max_faces is {self.max_faces}: it takes a number from 1")

    def try_open(self, name: str, picture: Any) -> tuple[Case, Iterator[np.ndarray]]:
        """As `open`, of anything `open_picture` takes; a picture that is refused becomes a case with an error."""
        try:
            return self.open(name, open_picture(picture, name=name))
        except PictureError as error:
            return Case(name, error=error), iter(())

    def open(self, name: str, picture: Image.Image | Opened) -> tuple[Case, Iterator[np.ndarray]]:
        """A case of a loaded picture, and the model's inputs for it, made as they are asked for.

        Args:
            name: of the case.
            picture: as `open_picture` returns it, or upright RGB, as `load_picture` does.

        Returns:
            The case, and uint8 arrays (size, size, 3), `Case.views` of them for each face.
        """
        opened = as_opened(picture)
        return self.open_found(name, opened, self.found_in(opened))

    def found_in(self, opened: Opened) -> list[list[Face]]:
        """The faces of each frame; none without a `finder`."""
        return [self.finder(frame) if self.finder else [] for frame in opened.frames]

    def open_found(self, name: str, opened: Opened, found: list[list[Face]]) -> tuple[Case, Iterator[np.ndarray]]:
        """As `open`, of the faces that `found_in` found."""
        frames = [self._open_frame(name, *pair) for pair in zip(opened.frames, found, strict=True)]
        cases, inputs = [case for case, _ in frames], [arrays for _, arrays in frames]
        case = cases[0] if len(cases) == 1 else Case(name, cases[0].size, frames=cases)
        case.remarks, case.doubts = opened.remarks, opened.doubts
        return case, chain.from_iterable(inputs)

    def _open_frame(self, name: str, picture: Image.Image, found: list[Face]) -> tuple[Case, Iterator[np.ndarray]]:
        views = self.crops * (1 + self.consistency)
        if self.finder is None:
            case = Case(name, picture.size, views=views, face_doubts=[centre_doubts(picture)])
            return case, self._inputs(picture)
        faces = self._ready(picture, found)
        inputs = (array for face in faces for array in self.inputs_of(picture, face))
        doubts = [face_doubts(picture, face) for face in faces]
        return Case(name, picture.size, faces, len(found), views=views, face_doubts=doubts), inputs

    def find(self, picture: Image.Image) -> tuple[list[Face], int]:
        """The faces of a loaded picture to judge, ready to be cut, and how many there are; with a `finder` only."""
        assert self.finder is not None
        found = self.finder(picture)
        return self._ready(picture, found), len(found)

    def _ready(self, picture: Image.Image, found: list[Face]) -> list[Face]:
        """Those of the faces found that are judged, as they are cut."""
        faces = found[: self.max_faces]
        if self.face_cut == "landmarks" and self.finder:
            return [self.finder.level(picture, face) for face in faces]
        return faces

    def inputs_of(self, picture: Image.Image, face: Face) -> Iterator[np.ndarray]:
        """The model's inputs for one face of a loaded picture: uint8 arrays (size, size, 3), all its views."""
        if self.face_cut == "box":
            yield from self._inputs(self.crop(picture, face))
            return
        yield from self._aligned(picture, face)
        if self.consistency:
            part, seen = surroundings(picture, face, self.face_margin, largest=LARGEST_CROP)
            for sent in self._sent(part):
                scale = (sent.width / part.width, sent.height / part.height)
                yield from self._aligned(sent, seen.moved(scale))

    def crop(self, picture: Image.Image, face: Face) -> Image.Image:
        """The crop of one face by its box, upright."""
        return set_upright(cut_face(picture, face_square(face, self.face_margin), largest=LARGEST_CROP), face)

    def square_of(self, face: Face) -> Square | None:
        """The turned square that the model sees of a face cut by its landmarks; `None` of one cut by its box."""
        if self.face_cut == "box":
            return None
        return aligned_square(face, self.face_margin * self.crop_fraction)

    def smallest_picture(self, smallest_face: int) -> int:
        """Shorter side in pixels from which on a picture judged by its centre has a face that long."""
        per_box = 1.0 if self.face_cut == "box" else SQUARE_OVER_BOX
        return round(smallest_face * self.face_margin * per_box)

    def _inputs(self, subject: Image.Image) -> Iterator[np.ndarray]:
        """All views of a face crop or of a whole picture: the crops of it, then those of each re-encoding."""
        yield from self._crops(subject)
        if self.consistency:
            for sent in self._sent(cut_face(subject, _centre(subject, 1.0), largest=LARGEST_CROP)):
                yield from self._crops(sent)

    def _sent(self, picture: Image.Image) -> Iterator[Image.Image]:
        """The re-encodings of a picture."""
        from ..delivery.channels import send

        for number in range(self.consistency):
            yield send(picture, np.random.default_rng((_SEED, number)))

    def _aligned(self, picture: Image.Image, face: Face) -> Iterator[np.ndarray]:
        """The crops of a face levelled by its landmarks: the same ones that `_crops` takes of a face crop."""
        side = min(self.crop_fraction, CORNER)
        away = (1 - side) / 2 / side  # from the middle to a corner, in sides of the corner's square
        places = [(0.0, 0.0), (-away, -away), (away, away), (away, -away), (-away, away)]
        for number in range(self.crops):
            scale = self.crop_fraction if number < 2 else side
            jitter = Jitter(scale, shift=places[number // 2], mirror=bool(number % 2))
            yield np.asarray(align_face(picture, face, self.size, self.face_margin, jitter))

    def _crops(self, subject: Image.Image) -> Iterator[np.ndarray]:
        boxes = [_centre(subject, self.crop_fraction)]
        if self.crops > 2:
            boxes += _corners(subject, min(self.crop_fraction, CORNER))
        for number in range(self.crops):
            # The processor's own resize (its box, BICUBIC): a test holds the two together, bit for bit.
            crop = subject.resize((self.size, self.size), Image.Resampling.BICUBIC, box=boxes[number // 2])
            yield np.asarray(ImageOps.mirror(crop) if number % 2 else crop)


def as_opened(picture: Image.Image | Opened) -> Opened:
    """What `open_picture` returned; an upright RGB picture as one frame."""
    return picture if isinstance(picture, Opened) else Opened((picture,))


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


__all__ = ["LARGEST_CROP", "MOST_CROPS", "Case", "Preparer", "as_opened"]
