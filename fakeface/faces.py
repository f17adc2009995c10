"""Find faces, and cut face crops.

    >>> from fakeface.faces import FaceFinder, cut_face, face_square
    >>> find = FaceFinder.from_pretrained()                                     # doctest: +SKIP
    >>> crops = [cut_face(picture, face_square(face)) for face in find(picture)]    # doctest: +SKIP

The finder is YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research,
2023) as OpenCV ships it. It sees faces of about 20 to 300 pixels in what it is shown, upright ones best, so a picture
is shown to it at several sizes, and turned where upright nothing is sure.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

REPOSITORY = "opencv/face_detection_yunet"
FILE = "face_detection_yunet_2023mar.onnx"
REVISION = "3cc26e7f1014a5ee5d74a42acee58bafc9d0a310"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
BYTES = 232_589
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
OVERLAP = 0.5  # of the smaller of two boxes: above it, both are of one face
TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)

_CREATING = threading.Lock()  # OpenCV's log level, which is changed meanwhile, is that of the process


class FaceFinderError(ValueError):
    """The face model is missing or not the one that belongs here; the message names the file and the cure."""


class FaceModelMissing(FaceFinderError):
    """No face model was named, and the Hub did not give it."""


@dataclass(frozen=True)
class Face:
    """One face in a picture.

    Attributes:
        box: left, top, right, bottom in pixels of the upright picture, tight around the face; beyond the picture's
            edges where the face is cut by them.
        confidence: that it is a face, 0 to 1.
        landmarks: (x, y) of the right eye, left eye, nose tip, right and left corner of the mouth: the person's right,
            which is on the left of an upright picture.
    """

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: tuple[tuple[float, float], ...]

    @property
    def side(self) -> float:
        """The longer side of the box in pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def turns(self) -> int:
        """How many quarter turns anticlockwise set the face upright, 0 to 3, read off eyes and mouth."""
        (right_x, right_y), (left_x, left_y), _, *mouth = self.landmarks
        x = sum(corner[0] for corner in mouth) - right_x - left_x
        y = sum(corner[1] for corner in mouth) - right_y - left_y
        if abs(y) >= abs(x):
            return 0 if y >= 0 else 2
        return 1 if x < 0 else 3


class FaceFinder:
    """Finds the faces of a picture. Threads may share one, and it can be sent to other processes."""

    def __init__(self, weights: bytes):
        self._weights = weights
        self._thread = threading.local()  # OpenCV's detectors keep state between calls: each thread has its own

    def __reduce__(self):
        return type(self), (self._weights,)

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None) -> FaceFinder:
        """Load the face model: the given file, else the one that `FAKEFACE_FACE_MODEL` names, else from the Hub.

        Raises:
            FaceModelMissing: none was named, and the Hub did not give it.
            FaceFinderError: the named file cannot be read, or is another one than the one whose sha256 is known here.
        """
        name = os.fspath(model or os.environ.get(VARIABLE) or _download())
        try:
            with open(name, "rb") as file:
                weights = file.read(BYTES + 1)
        except OSError as error:
            raise FaceFinderError(f"{name}: cannot be read ({error.strerror}); {_get_it()}") from None
        if hashlib.sha256(weights).hexdigest() != SHA256:
            raise FaceFinderError(f"{name}: not the face model that fakeface uses (its sha256 differs); {_get_it()}")
        return cls(weights)

    def __call__(self, picture: Image.Image) -> list[Face]:
        """Find all faces, the largest first.

        Args:
            picture: upright RGB, as `load_picture` returns it.

        Returns:
            A face once, however often it was seen; empty where there is none.
        """
        faces = self._upright(picture)
        if not _sure(faces):
            # Sideways and upside-down faces are seen at lower confidence or not at all, with landmarks put wrong.
            for turn in TURNS:
                turned = picture.transpose(turn)
                seen = [*self._look(turned, WIDE), *self._look(turned, NEAR)]
                faces += [_turned_back(face, turn, picture.size) for face in seen]
        # A look with a border can find a face in the border.
        faces = [face for face in faces if _overlap(face.box, (0.0, 0.0, *map(float, picture.size))) > 0]
        return sorted(_distinct(faces), key=lambda face: face.side, reverse=True)

    def _upright(self, picture: Image.Image) -> list[Face]:
        """Faces of a picture at all sizes that are worth a look; a face may be there more than once."""
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
        shown = min(WIDE, longer)
        for side in CLOSER:
            smallest = min((face.side for face in faces), default=0.0) * shown / longer
            if longer <= shown or (_sure(faces) and smallest >= SMALL):
                break
            faces += self._look(picture, side)
            shown = min(side, longer)
        return faces

    def _look(self, picture: Image.Image, side: int, border: float = 0.0, most: float = 1.0) -> Iterator[Face]:
        """Faces seen with the longer side shrunk to `side` and a grey border around, in pixels of the picture.

        A smaller picture is enlarged `most` times at most.
        """
        scale = min(most, side / max(picture.size))
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        if min(size) < FLAT:
            return
        view = picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        edge = round(border * max(size))
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


def face_square(face: Face, margin: float = 1.4) -> tuple[float, float, float, float]:
    """The square to cut around a face: `margin` times the longer side of its box, about the box's centre.

    Returns:
        Left, top, right, bottom in pixels of the upright picture; may reach beyond it.
    """
    left, top, right, bottom = face.box
    x, y, half = (left + right) / 2, (top + bottom) / 2, face.side * margin / 2
    return x - half, y - half, x + half, y + half


def cut_face(
    picture: Image.Image, box: tuple[float, float, float, float], *, largest: int | None = None
) -> Image.Image:
    """Cut a square out of a picture, on whole pixels.

    Args:
        picture: upright RGB.
        box: the square, as `face_square` gives it.
        largest: side in pixels that a larger square is shrunk to (Lanczos), before anything is padded; by default
            the square keeps the picture's resolution.

    Returns:
        A square RGB picture. What lies outside the picture repeats its edge: a flat colour would draw a line where
        the picture ends, and a stretched face is another face.

    Raises:
        ValueError: the square does not touch the picture.
    """
    side = max(1, round(box[2] - box[0]))
    left, top = round(box[0]), round(box[1])
    inside = (max(left, 0), max(top, 0), min(left + side, picture.width), min(top + side, picture.height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"the square {box} lies outside the picture of {picture.width} x {picture.height} pixels")
    crop = picture.crop(inside)
    scale = min(1.0, (largest or side) / side)
    shown = round(side * scale)
    before = [
        min(round((edge - start) * scale), shown - 1) for edge, start in zip(inside[:2], (left, top), strict=True)
    ]
    if scale < 1:
        # The picture is scaled before it is padded: a padded square of a large picture could fill the memory.
        room = [max(1, min(round(length * scale), shown - pad)) for length, pad in zip(crop.size, before, strict=True)]
        crop = crop.resize((room[0], room[1]), Image.Resampling.LANCZOS)
    if crop.size == (shown, shown):
        return crop
    after = [shown - pad - length for pad, length in zip(before, crop.size, strict=True)]
    pads = [(before[1], after[1]), (before[0], after[0]), (0, 0)]
    return Image.fromarray(np.pad(np.asarray(crop), pads, mode="edge"))


def set_upright(crop: Image.Image, face: Face) -> Image.Image:
    """A face crop, turned by quarters so that the face's eyes are above its mouth; no pixel changes its value."""
    return crop.transpose(TURNS[face.turns - 1]) if face.turns else crop


def _get_it() -> str:
    return f"fetch {FILE} from huggingface.co/{REPOSITORY} and name it in {VARIABLE}"


def _download() -> str:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(REPOSITORY, FILE, revision=REVISION)
    if isinstance(cached, str):
        return cached
    try:
        # One question first: a download would ask six times, and keep a machine without network waiting for it.
        get_hf_file_metadata(hf_hub_url(REPOSITORY, FILE, revision=REVISION))
        return hf_hub_download(REPOSITORY, FILE, revision=REVISION)
    except Exception as error:  # every failure of the network, of several libraries
        raise FaceModelMissing(f"{FILE}: the Hub did not give the face model; {_get_it()}") from error


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
