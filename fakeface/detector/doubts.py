"""Faces in a form that no model of ours was trained on, told by their pixels: negatives, and pictures made of dots.

Such a face gets a score all the same, and most often that of a photograph, whatever it was made of: a verdict `real` on
it would not hold. The numbers were measured on 500 faces of photographs and of 90 generators: docs/results.md.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..faces import Face

NEGATIVE = "the face is a negative, which the model was not trained for"
UNFAMILIAR = "the face is unlike those that the model was trained on, as drawings, renderings, masks or old prints are"
DOTS = "the face is made of dots, or of black and white alone, which the model was not trained for"

# In a negative the eyes are lighter than the cheeks, and the skin has more blue than red, or no colour. Warmth is Cr
# less Cb: one face in 500 is as cold as the first and has light eyes as well; none is as cold as the second.
_MOST_WARMTH, _COLDEST = 3.0, -10.0
_CLOSEST_EYES = 8.0  # pixels: an eye is then one pixel wide
# Share of samples next to black or white: at most 0.56 in faces, however sharpened; at least 0.99 in 1-bit pictures.
_EXTREMES = (24, 231)
_MOST_EXTREME = 0.85
# Mean step between neighbouring pixels: at most 30 in faces, at least 31 where a screen was scaled down.
_MOST_STEP = 32.0
_SMALLEST = 64  # pixels: in smaller faces every edge is a step
_LOOKED_AT = 384  # pixels of a side: enough, and quick


def face_doubts(picture: Image.Image, face: Face) -> tuple[str, ...]:
    """Why a verdict `real` on a face would not hold, in plain words.

    Args:
        picture: upright RGB.
        face: in it.
    """
    left, top, right, bottom = face.box
    middle = ((left + right) / 2, (top + bottom) / 2)
    found = [DOTS] if _has_dots(picture, middle, min(right - left, bottom - top)) else []
    return (*found, NEGATIVE) if _is_negative(picture, face) else tuple(found)


def centre_doubts(picture: Image.Image) -> tuple[str, ...]:
    """The same of a picture's centre, where no face was searched for: a negative is not told from it."""
    middle = (picture.width / 2, picture.height / 2)
    return (DOTS,) if _has_dots(picture, middle, min(picture.size) / 2) else ()


def _has_dots(picture: Image.Image, middle: tuple[float, float], side: float) -> bool:
    """Whether a square in it is made of dots, at the picture's own resolution: scaled down they would become greys."""
    pixels = _pixels(picture, middle, min(side, _LOOKED_AT) / 2)
    if min(pixels.shape[:2]) < 2:  # beyond the picture's edge
        return False
    extreme = (pixels < _EXTREMES[0]) | (pixels > _EXTREMES[1])
    if extreme.mean() > _MOST_EXTREME:
        return True
    light = pixels.mean(axis=2)
    steps = [np.abs(np.diff(light, axis=axis)).mean() for axis in (0, 1)]
    return side >= _SMALLEST and sum(steps) / 2 > _MOST_STEP


def _is_negative(picture: Image.Image, face: Face) -> bool:
    right_eye, left_eye, _, *mouth = (np.array(point) for point in face.landmarks)
    apart = float(np.linalg.norm(right_eye - left_eye))
    if apart < _CLOSEST_EYES:
        return False
    radius = max(1.0, 0.12 * apart)
    down = (sum(mouth) - right_eye - left_eye) / 2
    eyes = [_pixels(picture, tuple(eye), radius) for eye in (right_eye, left_eye)]
    cheeks = [_pixels(picture, tuple(eye + 0.45 * down), radius) for eye in (right_eye, left_eye)]
    if any(part.size == 0 for part in (*eyes, *cheeks)):  # beyond the picture's edge
        return False
    luma = np.array([0.299, 0.587, 0.114])  # ITU-T T.871
    light_of_eyes = np.mean([(part @ luma).mean() for part in eyes])
    light_of_cheeks = np.mean([np.median(part @ luma) for part in cheeks])
    red, green, blue = np.concatenate([part.reshape(-1, 3) for part in cheeks]).mean(axis=0)
    warmth = 0.6687 * red - 0.0874 * green - 0.5813 * blue
    return bool(warmth < _COLDEST or (light_of_eyes > light_of_cheeks and warmth < _MOST_WARMTH))


def _pixels(picture: Image.Image, middle: tuple[float, ...], radius: float) -> np.ndarray:
    """A square of a picture as float32 (height, width, 3), cut at its edges; empty beyond them."""
    x, y = middle
    box = (max(0, int(x - radius)), max(0, int(y - radius)))
    end = (min(picture.width, int(x + radius) + 1), min(picture.height, int(y + radius) + 1))
    if box[0] >= end[0] or box[1] >= end[1]:
        return np.empty((0, 0, 3), np.float32)
    return np.asarray(picture.crop((*box, *end)), np.float32)


__all__ = ["DOTS", "NEGATIVE", "UNFAMILIAR", "centre_doubts", "face_doubts"]
