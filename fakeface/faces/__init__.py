"""Find faces, and cut face crops.

>>> from fakeface.faces import FaceFinder, align_face, cut_face, face_square
>>> find = FaceFinder.from_pretrained()                                             # doctest: +SKIP
>>> crops = [cut_face(picture, face_square(face)) for face in find(picture)]        # doctest: +SKIP
>>> levelled = [align_face(picture, face, size=224) for face in find(picture)]      # doctest: +SKIP
"""

from .cut import (
    EXACT,
    SQUARE_OVER_BOX,
    Jitter,
    Square,
    align_face,
    aligned_square,
    cut_face,
    face_square,
    set_upright,
    surroundings,
)
from .face import Face
from .finder import BYTES, FILE, SHA256, FaceFinder, FaceFinderError

__all__ = [
    "BYTES",
    "EXACT",
    "FILE",
    "SHA256",
    "SQUARE_OVER_BOX",
    "Face",
    "FaceFinder",
    "FaceFinderError",
    "Jitter",
    "Square",
    "align_face",
    "aligned_square",
    "cut_face",
    "face_square",
    "set_upright",
    "surroundings",
]
