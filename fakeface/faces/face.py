"""What is known of one face in a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


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

    def moved(self, scale: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0)) -> Face:
        """The same face in the picture shifted by so many pixels across and down, and scaled after that."""

        def point(x: float, y: float) -> tuple[float, float]:
            return (x + shift[0]) * scale[0], (y + shift[1]) * scale[1]

        left, top, right, bottom = self.box
        box = (*point(left, top), *point(right, bottom))
        return replace(self, box=box, landmarks=tuple(point(x, y) for x, y in self.landmarks))
