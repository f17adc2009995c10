"""Cut faces out of pictures: a square around the box, or the face levelled by its landmarks.

`align_face` is how models with `face_cut="landmarks"` see every face, in training and in use. `face_square`, `cut_face`
and `set_upright` are how `face_cut="box"` and `fakeface data build` cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .face import TURNS, Face

# FFHQ's square is so many times as long as the longer side of YuNet's box: the median of 9,600 faces.
SQUARE_OVER_BOX = 1.43
REACH = 3  # pixels beyond the square that bicubic interpolation may look at


@dataclass(frozen=True)
class Jitter:
    """How far a cut is from the exact one: what training draws, so that a finder's scatter changes no score.

    Attributes:
        scale: the square's side over that of the exact cut; above 0.
        rotation: degrees that the square is turned clockwise, so that the face in it turns anticlockwise.
        shift: right and down, in sides of the square, along its own axes.
        mirror: whether left and right change places, last.
    """

    scale: float = 1.0
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirror: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Jitter:
        """About as far off as YuNet's landmarks scatter on faces that stand upright; half of them mirrored."""
        return cls(
            scale=math.exp(rng.uniform(-0.08, 0.08)),
            rotation=rng.normal(0, 2.5),
            shift=(rng.normal(0, 0.02), rng.normal(0, 0.02)),
            mirror=bool(rng.random() < 0.5),
        )


EXACT = Jitter()


@dataclass(frozen=True)
class Square:
    """A square in a picture, turned by any angle.

    Attributes:
        centre: (x, y) in pixels.
        half: from the centre to the middle of the right edge: half the side in pixels, and its direction.
    """

    centre: tuple[float, float]
    half: tuple[float, float]

    @property
    def side(self) -> float:
        """In pixels."""
        return 2 * math.hypot(*self.half)

    @property
    def tilt(self) -> float:
        """Degrees that it is turned clockwise, -180 to 180."""
        return math.degrees(math.atan2(self.half[1], self.half[0]))

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Upper left, upper right, lower right and lower left as the square stands upright, (x, y) in pixels."""
        (x, y), (across, down) = self.centre, self.half
        return (
            (x - across + down, y - down - across),
            (x + across + down, y + down - across),
            (x + across - down, y + down + across),
            (x - across - down, y - down + across),
        )

    def matrix(self, size: int, scale: tuple[float, float] = (1.0, 1.0), start: tuple[int, int] = (0, 0)) -> np.ndarray:
        """From pixels of the square, drawn `size` pixels long, to those of the picture: (2, 3), as OpenCV takes it.

        Both count from the centre of the upper left pixel.

        Args:
            size: in pixels.
            scale: of the picture across and down, if it is scaled.
            start: what of the scaled picture is cut off at its left and its upper edge, in pixels.
        """
        (x, y), (across, down) = self.centre, self.half
        right = np.array([across * scale[0], down * scale[1]])
        below = np.array([-down * scale[0], across * scale[1]])
        centre = np.array([x * scale[0] - start[0], y * scale[1] - start[1]])
        origin = centre + (right + below) * (1 / size - 1) - 0.5
        return np.column_stack([right * 2 / size, below * 2 / size, origin])


def aligned_square(face: Face, margin: float = 1.0, jitter: Jitter = EXACT) -> Square:
    """The square that FFHQ would cut around a face (Karras, Laine and Aila, CVPR 2019), `margin` times as long.

    With e the step from the right eye to the left and m that from between the eyes to between the corners of the mouth,
    its horizontal axis runs along e - rot90(m), where rot90(x, y) = (-y, x), so that eyes and mouth both level it;
    its side is the longer of 4 |e| and 3.6 |m|; its centre lies a tenth of m below the eyes. FFHQ takes the eyes' and
    mouth's places from 68 landmarks, we from five.

    Args:
        face: with its landmarks in pixels of the picture.
        margin: its side over that of FFHQ.
        jitter: changes it.
    """
    right_eye, left_eye, _, right_mouth, left_mouth = np.asarray(face.landmarks, float)
    eyes = (right_eye + left_eye) / 2
    between, down = left_eye - right_eye, (right_mouth + left_mouth) / 2 - eyes
    along = between - np.array([-down[1], down[0]])
    length = np.hypot(*along)
    along = along / length if length > 1e-6 else np.array([1.0, 0.0])
    # Landmarks that fall into one point make a square of a pixel, not none.
    half = max(np.hypot(*between) * 2.0, np.hypot(*down) * 1.8, 0.5 / margin) * margin * jitter.scale
    x, y = along * half
    if jitter.rotation:
        angle = math.radians(jitter.rotation)
        x, y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    dx, dy = 2 * jitter.shift[0], 2 * jitter.shift[1]
    centre = eyes + down * 0.1 + dx * np.array([x, y]) + dy * np.array([-y, x])
    return Square((float(centre[0]), float(centre[1])), (float(x), float(y)))


def align_face(picture: Image.Image, face: Face, size: int, margin: float = 1.0, jitter: Jitter = EXACT) -> Image.Image:
    """Cut a face, levelled, centred and scaled by its landmarks: see `aligned_square`.

    The picture is first shrunk (Lanczos) where the square is longer than the output, so that nothing aliases; then
    the square is drawn in one bicubic step. A large picture costs what the part around the face does.

    Args:
        picture: upright RGB.
        face: with its landmarks in pixels of the picture.
        size: side of the output in pixels.
        margin, jitter: as of `aligned_square`.

    Returns:
        RGB, (size, size). What lies outside the picture is its mirror image.
    """
    import cv2

    square = aligned_square(face, margin, jitter)
    shrink = min(1.0, size / square.side)
    shown = tuple(max(1, round(length * shrink)) if shrink < 1 else length for length in picture.size)
    scale = (shown[0] / picture.width, shown[1] / picture.height)
    part, start = _part(picture, square, shown, scale)
    drawn = cv2.warpAffine(
        np.ascontiguousarray(part),
        square.matrix(size, scale, start),
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return Image.fromarray(drawn[:, ::-1] if jitter.mirror else drawn)


def surroundings(
    picture: Image.Image, face: Face, margin: float = 1.0, *, largest: int | None = None
) -> tuple[Image.Image, Face]:
    """The part of a picture that `align_face` draws a face of, upright as the picture is, and the face in it.

    Args:
        picture: upright RGB.
        face: with its landmarks in pixels of the picture.
        margin: as of `aligned_square`.
        largest: side in pixels that a longer part is shrunk to (Lanczos); by default it keeps its resolution.
    """
    part, (left, top) = _part(picture, aligned_square(face, margin), picture.size, (1.0, 1.0))
    shrink = min(1.0, (largest or max(part.size)) / max(part.size))
    size = (max(1, round(part.width * shrink)), max(1, round(part.height * shrink)))
    seen = face.moved((size[0] / part.width, size[1] / part.height), (-left, -top))
    return (part if shrink == 1 else part.resize(size, Image.Resampling.LANCZOS)), seen


def _part(
    picture: Image.Image, square: Square, shown: tuple[int, ...], scale: tuple[float, float]
) -> tuple[Image.Image, tuple[int, int]]:
    """The part of the picture that a square is drawn of, scaled as if all of it was, and where it begins."""
    corners = np.asarray(square.corners) * scale
    spans = []
    for low, high, length in zip(corners.min(axis=0) - REACH, corners.max(axis=0) + REACH, shown, strict=True):
        # Outside the picture stands its mirror image, which takes as much of its inside.
        first, last = min(low, 2 * length - high), max(high, -low)
        begin = min(max(math.floor(first), 0), length - 1)
        spans.append((begin, max(min(math.ceil(last), length), begin + 1)))
    (left, right), (top, bottom) = spans
    if scale == (1.0, 1.0):
        return picture.crop((left, top, right, bottom)), (left, top)
    box = (
        left / scale[0],
        top / scale[1],
        min(right / scale[0], picture.width),
        min(bottom / scale[1], picture.height),
    )
    return picture.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=box), (left, top)


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
