"""What a page shows of a verdict: numbered boxes around the faces, and the map as a layer of its own.

>>> from fakeface.explain import draw_faces
>>> draw_faces(picture, detector(picture).faces).save("faces.png")      # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..results import FaceResult
from .maps import coloured, levels_of

# Blue and orange stay apart for colour-blind readers; number and list say the rest.
VERDICT_COLOURS = {"real": (29, 78, 216), "uncertain": (71, 85, 105), "generated": (194, 65, 12)}
WHITE = (255, 255, 255)
SHORTEST_NUMBER = 20  # pixels: what is still read on a phone that shows the picture at a third of its size
LAYER_SIDE = 320  # pixels: far above what a map resolves, and its bytes travel to a phone


def draw_faces(
    picture: Image.Image, faces: Sequence[FaceResult], *, chosen: int | None = None, largest: int | None = None
) -> Image.Image:
    """A copy of the picture with a box around each face in its verdict's colour, numbered from 1.

    The box of a face that was cut by its landmarks is the turned square that the model saw.

    Args:
        picture: RGB, the one that was judged.
        faces: of its `Result`.
        chosen: place in `faces`, from 0, of one to draw stronger.
        largest: shrink the copy to this longer side in pixels first, so that lines and numbers keep their width.
    """
    drawn = picture.copy()
    if largest:
        drawn.thumbnail((largest, largest))
    scale = max(drawn.size) / max(picture.size)
    line = max(2, round(max(drawn.size) / 300))
    pen = ImageDraw.Draw(drawn)
    for place in sorted(range(len(faces)), key=lambda place: place == chosen):  # the chosen one on top
        face = faces[place]
        left, top, right, bottom = (round(edge * scale) for edge in face.box)
        box = (max(left, 0), max(top, 0), min(right, drawn.width - 1), min(bottom, drawn.height - 1))
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        colour, width = VERDICT_COLOURS[face.verdict], line * (2 if place == chosen else 1)
        for ink, thickness in ((WHITE, width + 2), (colour, width)):  # the colour is seen on dark and on light
            if face.square:
                corners = [(x * scale, y * scale) for x, y in face.square]
                pen.line([*corners, corners[0], corners[1]], fill=ink, width=thickness, joint="curve")
            else:
                pen.rectangle(box, outline=ink, width=thickness)
        if len(faces) > 1:
            _number(pen, str(place + 1), box, colour, max(SHORTEST_NUMBER, line * 9))
    return drawn


def _number(pen: ImageDraw.ImageDraw, text: str, box: tuple[int, ...], colour: tuple[int, ...], height: int) -> None:
    """A number on the box's upper left corner, in white on the box's colour."""
    font = ImageFont.load_default(height)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right - left + height * 0.6, bottom - top + height * 0.5
    x, y = box[0], box[1] - high if box[1] > high else box[1]
    pen.rectangle((x, y, x + wide, y + high), fill=colour)
    pen.text((x + height * 0.3 - left, y + height * 0.25 - top), text, WHITE, font)


def map_layer(map: np.ndarray, label: str = "generated") -> Image.Image:
    """A map as an RGBA picture to lay over the judged one: the colours of `maps.overlay`, opaque where the map is 1.

    Args:
        map: (height, width), from 0 to 1.
        label: what it argues for.

    Returns:
        At most `LAYER_SIDE` pixels on its longer side, in the proportions of the map.
    """
    levels = levels_of(map)
    levels.thumbnail((LAYER_SIDE, LAYER_SIDE), Image.Resampling.BILINEAR)
    layer = coloured(levels, label)
    layer.putalpha(levels)
    return layer


__all__ = ["VERDICT_COLOURS", "draw_faces", "map_layer"]
