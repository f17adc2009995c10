"""Find faces.

The finder is YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research,
2023) as OpenCV ships it; the file lies in `yunet/`, with its licence. It sees faces of about 20 to 300 pixels in what
it is shown, upright ones best, so a picture is shown to it at several sizes, and turned where upright nothing is sure.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..utils.errors import FakefaceError
from .cut import Jitter, align_face, aligned_square
from .face import TURNS, Face

FILE = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
BYTES = 232_589
SHIPPED = Path(__file__).with_name("yunet") / FILE
VARIABLE = "FAKEFACE_FACE_MODEL"

# Sides in pixels that the longer side of a picture is shrunk to. Wide and near together see faces from a thirtieth of
# it to ones that fill it; `CLOSER` is for large pictures in which the faces are small.
WIDE, NEAR, CLOSER = 640, 160, (1280, 2560)
# In a picture no longer than 480 pixels one look sees every face from 32 pixels, below which nothing is judged, to one
# that fills the frame: they are 20 to 300 pixels in it.
SMALL_PICTURE, ONE_LOOK = 480, 20 / 32
ENLARGED = 2.0  # times, where a small picture shows nothing sure: faces of 16 to 30 pixels are often missed else
FLAT = 8  # pixels: no face fits into a lower or narrower view, but OpenCV 4.13 finds some there, of numbers at random
BORDER = 0.5  # of a view's longer side, around faces that the frame cuts
SMALL = 40.0  # pixels: where a view has a face smaller than this, it may have missed smaller ones
CONFIDENT = 0.6  # what counts as a face
# Of 214 faces of the development data, looked at once, 95 % came out at 0.92 or more upright; half of them at 0.89 or
# less upside down. So it tells most turned faces, not all.
SURE = 0.9
# YuNet sets the landmarks of a tilted face too upright: of 40 faces turned by 30 degrees it saw 8 to 36, on average 21,
# and a few it saw upright, at less confidence than faces that are: of 9,600 of those it gave 75 % 0.925 and more. So it
# looks again at a face that seems tilted or is not seen surely, in a square levelled by its landmarks and wider than
# FFHQ's, in doubt also in two that lean; and again until it seems level.
UPRIGHT, TILTED, LEVEL, LEANS, LOOKS = 0.925, 4.0, 2.5, (-30.0, 30.0), 3
WEAK = 0.75  # a face seen at less than this in all of them may lie on its side
LEVELLED_SIDE, LEVELLED_MARGIN = 160, 1.6
AWAY = LEVELLED_SIDE / 4  # from the middle of that view: there stands another face
OVERLAP = 0.5  # of the smaller of two boxes: above it, both are of one face

_CREATING = threading.Lock()  # OpenCV's log level, which is changed meanwhile, is that of the process


class FaceFinderError(FakefaceError):
    """The face model is missing or not the one that belongs here; the message names the file and the cure."""


class _Look(NamedTuple):
    """A face seen again: with its new landmarks, how surely, and how many degrees it was off level in that view."""

    face: Face
    confidence: float
    off: float


class FaceFinder:
    """Finds the faces of a picture. Threads may share one, and it can be sent to other processes."""

    def __init__(self, weights: bytes):
        self._weights = weights
        self._thread = threading.local()  # OpenCV's detectors keep state between calls: each thread has its own

    def __reduce__(self):
        return type(self), (self._weights,)

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None) -> FaceFinder:
        """Load the face model: the given file, else the one that `FAKEFACE_FACE_MODEL` names, else the package's own.

        Raises:
            FaceFinderError: the file cannot be read, or its sha256 is not that of YuNet's file.
        """
        name = os.fspath(model or os.environ.get(VARIABLE) or SHIPPED)
        cure = "install fakeface again" if name == str(SHIPPED) else "name no file, and fakeface takes its own"
        try:
            with open(name, "rb") as file:
                weights = file.read(BYTES + 1)
        except OSError as error:
            raise FaceFinderError(f"{name}: cannot be read ({error.strerror}); {cure}") from None
        if hashlib.sha256(weights).hexdigest() != SHA256:
            raise FaceFinderError(f"{name}: not the face model that fakeface uses (its sha256 differs); {cure}")
        return cls(weights)

    def __call__(self, picture: Image.Image) -> list[Face]:
        """Find all faces, the largest first.

        Args:
            picture: upright RGB, as `load_picture` returns it.

        Returns:
            A face once, however often it was seen; empty where there is none.
        """
        shown = _scaled(
            picture, min(1.0, WIDE / max(picture.size))
        )  # once: all looks but the closer ones take what they see from it
        scale = (picture.width / shown.width, picture.height / shown.height)
        faces = [face.moved(scale) for face in self._upright(shown)]
        if shown is not picture:
            faces = self._closer(picture, faces)
        if not _sure(faces):
            # Sideways and upside-down faces are seen at lower confidence or not at all, with landmarks put wrong.
            for turn in TURNS:
                turned = shown.transpose(turn)
                seen = [*self._look(turned, WIDE), *self._look(turned, NEAR)]
                faces += [_turned_back(face, turn, shown.size).moved(scale) for face in seen]
        # A look with a border can find a face in the border.
        faces = [face for face in faces if _overlap(face.box, (0.0, 0.0, *map(float, picture.size))) > 0]
        return sorted(_distinct(faces), key=lambda face: face.side, reverse=True)

    def level(self, picture: Image.Image, face: Face) -> Face:
        """The face with landmarks that follow its tilt, which those of `__call__` do only in part; its box stays.

        A face that seems level and is seen as surely as upright ones are is not looked at again.

        Args:
            picture: as of `__call__`.
            face: found in it.
        """
        doubtful = face.confidence < UPRIGHT
        tilt = abs(math.remainder(aligned_square(face).tilt, 90))  # quarter turns were looked at upright
        if not doubtful and tilt < TILTED:
            return face
        part, times, start = _part_around(picture, face)
        levelled = self._levelled(part, face.moved((1 / times, 1 / times), (-start[0], -start[1])), doubtful, tilt)
        found = levelled.moved((times, times)).moved((1.0, 1.0), start)
        return replace(face, landmarks=found.landmarks)

    def _levelled(self, picture: Image.Image, face: Face, doubtful: bool, tilt: float) -> Face:
        """As `level`, of a face that needs another look."""
        # The farther off upright, the less sure: so the surest of several views is the most upright.
        looks = [self._look_levelled(picture, face, turn) for turn in ((0, *LEANS) if doubtful else (0,))]
        weak = not any(look and look.confidence >= WEAK for look in looks)
        if doubtful or weak:  # an upside-down face may have been seen upright, but the right way up it is seen surely
            turned = self._look_levelled(picture, face, 180)
            looks += [turned] if turned and (weak or turned.confidence >= SURE) else []
        if weak:
            looks += [self._look_levelled(picture, face, turn) for turn in (90, 270)]
        best = max((look for look in looks if look), key=lambda look: look.confidence, default=None)
        if best is None or (best is looks[0] and max(best.off, tilt) < TILTED):
            return face
        for _ in range(LOOKS):
            if best.off < LEVEL:
                break
            best = self._look_levelled(picture, best.face) or best
        return best.face

    def _look_levelled(self, picture: Image.Image, face: Face, turn: float = 0.0) -> _Look | None:
        """The face seen again in a square levelled by its landmarks and turned by so many degrees, if it is seen."""
        jitter = Jitter(rotation=turn)
        view = align_face(picture, face, LEVELLED_SIDE, LEVELLED_MARGIN, jitter)
        middle = (LEVELLED_SIDE / 2, LEVELLED_SIDE / 2)
        there = [one for one in self._look(view, LEVELLED_SIDE) if math.dist(aligned_square(one).centre, middle) < AWAY]
        if not there:
            return None
        seen = max(there, key=lambda one: one.confidence)
        back = aligned_square(face, LEVELLED_MARGIN, jitter).matrix(LEVELLED_SIDE)
        # The matrix counts from the centre of a pixel, landmarks from its corner.
        points = np.column_stack([np.asarray(seen.landmarks) - 0.5, np.ones(len(seen.landmarks))]) @ back.T + 0.5
        placed = replace(face, landmarks=tuple((x, y) for x, y in points.tolist()))
        return _Look(placed, seen.confidence, abs(aligned_square(seen).tilt))

    def _upright(self, picture: Image.Image) -> list[Face]:
        """Faces of a picture no longer than `WIDE`, at all sizes worth a look; a face may be there more than once."""
        longer = max(picture.size)
        if longer <= SMALL_PICTURE:
            faces = list(self._look(picture, max(NEAR, round(longer * ONE_LOOK))))
            if _sure(faces):
                return faces
        faces = [*self._look(picture, WIDE), *self._look(picture, NEAR)]
        if not _sure(faces):
            faces += self._look(picture, NEAR, BORDER)
        if not _sure(faces) and longer < WIDE:
            faces += self._look(picture, min(round(longer * ENLARGED), WIDE), most=ENLARGED)
        return faces

    def _closer(self, picture: Image.Image, faces: list[Face]) -> list[Face]:
        """These faces of a picture longer than `WIDE`, and those that only closer looks at it show."""
        longer, shown = max(picture.size), WIDE
        for side in CLOSER:
            smallest = min((face.side for face in faces), default=0.0) * shown / longer
            if longer <= shown or (_sure(faces) and smallest >= SMALL):
                break
            faces = [*faces, *self._look(picture, side)]
            shown = min(side, longer)
        return faces

    def _look(self, picture: Image.Image, side: int, border: float = 0.0, most: float = 1.0) -> Iterator[Face]:
        """Faces seen with the longer side shrunk to `side` and a grey border around, in pixels of the picture.

        A smaller picture is enlarged `most` times at most.
        """
        scale = min(most, side / max(picture.size))
        view = _scaled(picture, scale)
        if min(view.size) < FLAT:
            return
        edge = round(border * max(view.size))
        if edge:
            view = ImageOps.expand(view, edge, (127, 127, 127))
        detector = self._detector()
        detector.setInputSize(view.size)
        _, rows = detector.detect(np.ascontiguousarray(np.asarray(view)[:, :, ::-1]))  # OpenCV takes BGR
        for row in () if rows is None else rows.tolist():
            points = [((x - edge) / scale, (y - edge) / scale) for x, y in zip(row[0:14:2], row[1:14:2], strict=True)]
            (left, top), landmarks = points[0], points[2:]
            box = (left, top, left + row[2] / scale, top + row[3] / scale)
            yield Face(box, min(row[14], 1.0), tuple(landmarks))

    def _detector(self) -> Any:
        if not hasattr(self._thread, "detector"):
            self._thread.detector = _create(self._weights)
        return self._thread.detector


def _create(weights: bytes) -> Any:
    import cv2

    empty = np.empty(0, np.uint8)
    logging = cv2.utils.logging
    with _CREATING:
        level = logging.getLogLevel()
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of a default of its own, to everyone's stderr
        try:
            return cv2.FaceDetectorYN.create(
                "onnx", np.frombuffer(weights, np.uint8), empty, (NEAR, NEAR), score_threshold=CONFIDENT
            )
        finally:
            logging.setLogLevel(level)


def _part_around(picture: Image.Image, face: Face) -> tuple[Image.Image, int, tuple[int, int]]:
    """What levelled looks at a face see of its picture, however they are turned.

    Returns:
        The part, how many times it is smaller, and where its upper left corner was in the picture. It has at least
        twice the resolution that is looked at, or the picture's own; one that is no smaller is the whole picture.
    """
    square = aligned_square(face, LEVELLED_MARGIN)
    times = int(square.side / (2 * LEVELLED_SIDE))
    if times < 2:
        return picture, 1, (0, 0)
    (x, y), reach = square.centre, square.side  # the half diagonal is 0.71 of the side; looks move a little
    left, top = (min(max(0, int(at - reach)), length - 1) for at, length in zip((x, y), picture.size, strict=True))
    right, bottom = max(left + 1, min(picture.width, int(x + reach))), max(top + 1, min(picture.height, int(y + reach)))
    return picture.reduce(times, (left, top, right, bottom)), times, (left, top)


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _sure(faces: list[Face]) -> bool:
    return any(face.confidence >= SURE for face in faces)


def _distinct(faces: list[Face]) -> list[Face]:
    """Each face once: of boxes that overlap, the most confident."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: face.confidence, reverse=True):
        if all(_overlap(face.box, other.box) <= OVERLAP for other in kept):
            kept.append(face)
    return kept


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Area that two boxes share, as a fraction of the smaller box. Of a face and its nose, all."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0.0) * max(height, 0.0) / max(smaller, 1e-9)


def _turned_back(face: Face, turn: Image.Transpose, size: tuple[int, int]) -> Face:
    """A face found in a turned picture, in pixels of the picture of that size before it was turned."""
    width, height = size
    # PIL turns anticlockwise: after ROTATE_90 the old right edge is at the top.
    back = {
        Image.Transpose.ROTATE_90: lambda x, y: (width - y, x),
        Image.Transpose.ROTATE_180: lambda x, y: (width - x, height - y),
        Image.Transpose.ROTATE_270: lambda x, y: (y, height - x),
    }[turn]
    corners = (back(*face.box[:2]), back(*face.box[2:]))
    (left, right), (top, bottom) = (sorted(axis) for axis in zip(*corners, strict=True))
    return Face((left, top, right, bottom), face.confidence, tuple(back(*point) for point in face.landmarks))
