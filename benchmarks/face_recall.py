"""How many faces the finder finds, by their size, turn and company, and how many it finds where there are none.

    python benchmarks/face_recall.py [--data "../shared/faces/pool-*.parquet"] [--faces 60]

Writes benchmarks/face_recall.csv. Faces are squares of the data in which, upright and at its own size, exactly one face
is found; that box, moved along with the square, is the truth. Each is set into a plain grey picture: shrunk or enlarged
until its box is so many pixels long, turned, cut close, or with eleven others of 40 to 400 pixels. Found means a box
that covers at least 0.4 of the union of both. The truth comes from the same finder, so this measures what changes with
the picture, not the finder against people.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from figures_file import keep
from PIL import Image
from tqdm import tqdm

from fakeface.data.loading import open_dataset, take_evenly
from fakeface.faces import FaceFinder
from fakeface.images.load import load_picture
from fakeface.metrics.detection import wilson_interval

Box = tuple[float, float, float, float]
Case = tuple[Image.Image, list[Box]]

GREY = (118, 122, 126)
SIDES = (16, 20, 24, 30, 40, 64, 128, 300, 1000, 2000, 4000)  # pixels of a face's longer side
CANVASES = {"close": 1.6, "in a wide picture": 8.0}  # the picture's side over the face's
LARGEST = 6400  # side of a picture in pixels: 41 megapixels
ANGLES = (10, 20, 30, 45, 90, 180, 270)
GROUP, GROUP_SIDES = 12, (40, 400)
SAME = 0.4
COLUMNS = ("kind", "value", "pictures", "faces", "found", "recall", "low", "high", "elsewhere")


def overlap(one: Box, other: Box) -> float:
    """Area of the intersection over that of the union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def side_of(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def on_canvas(square: Image.Image, box: Box, side: int, size: int) -> Case:
    """The square amid a grey picture of `size` pixels, its face `side` pixels long; cut where it is larger."""
    scale = side / side_of(box)
    shown = square.resize((round(square.width * scale), round(square.height * scale)), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (size, size), GREY)
    left, top = (size - shown.width) // 2, (size - shown.height) // 2
    canvas.paste(shown, (left, top))
    x0, y0, x1, y1 = (value * scale for value in box)
    return canvas, [(x0 + left, y0 + top, x1 + left, y1 + top)]


def turned(square: Image.Image, box: Box, angle: int) -> Case:
    """Turned anticlockwise about the middle of a grey picture; the truth is the box around the turned box's ellipse."""
    canvas, [(x0, y0, x1, y1)] = on_canvas(square, box, 200, 640)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = (x0 + x1) / 2 - 320, (y0 + y1) / 2 - 320
    x, y = x * c + y * s + 320, -x * s + y * c + 320
    a, b = (x1 - x0) / 2, (y1 - y0) / 2
    wide, high = np.hypot(a * c, b * s), np.hypot(a * s, b * c)
    found = canvas.rotate(angle, Image.Resampling.BICUBIC, fillcolor=GREY)
    return found, [(x - wide, y - high, x + wide, y + high)]


def group(faces: list[tuple[Image.Image, Box]], rng: np.random.Generator) -> Case:
    """Faces in four columns and three rows, of sizes spread evenly by their logarithm."""
    cell = 640
    canvas, boxes = Image.new("RGB", (4 * cell, 3 * cell), GREY), []
    for place, (square, box) in enumerate(faces):
        side = round(np.exp(rng.uniform(*np.log(GROUP_SIDES))))
        one, [(x0, y0, x1, y1)] = on_canvas(square, box, side, cell)
        left, top = place % 4 * cell, place // 4 * cell
        canvas.paste(one, (left, top))
        boxes.append((x0 + left, y0 + top, x1 + left, y1 + top))
    return canvas, boxes


def cases(faces: list[tuple[Image.Image, Box]]) -> Iterator[tuple[str, str, Case]]:
    """Kind, value and picture, one after the other."""
    for square, box in faces:
        for name, times in CANVASES.items():
            for side in SIDES:
                if (size := round(side * times)) <= LARGEST:
                    yield f"side in pixels, {name}", str(side), on_canvas(square, box, side, size)
        for angle in ANGLES:
            yield "turned by degrees", str(angle), turned(square, box, angle)
        yield "cut by the frame", "0.9 of the face", on_canvas(square, box, 300, 270)
    rng = np.random.default_rng(0)
    for first in range(0, len(faces) - GROUP + 1, GROUP):
        yield f"in a group of {GROUP}", "{} to {} px".format(*GROUP_SIDES), group(faces[first : first + GROUP], rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["../shared/faces/pool-*.parquet"])
    parser.add_argument("--face-model", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--faces", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    finder = FaceFinder.from_pretrained(options.face_model)
    faces = []
    for image in take_evenly(open_dataset(options.data), 3 * options.faces)["image"]:
        square = load_picture(image)
        found = finder(square)
        if len(found) == 1 and found[0].turns == 0 and found[0].side >= 64 and len(faces) < options.faces:
            faces.append((square, found[0].box))
    counts: dict[tuple[str, str], list[int]] = {}
    for kind, value, (picture, boxes) in tqdm(cases(faces), desc="Pictures"):
        found = [face.box for face in finder(picture)]
        seen = sum(any(overlap(box, other) >= SAME for other in found) for box in boxes)
        extra = sum(all(overlap(box, other) < SAME for box in boxes) for other in found)
        entry = counts.setdefault((kind, value), [0, 0, 0, 0])
        for place, number in enumerate((1, len(boxes), seen, extra)):
            entry[place] += number
    rows = []
    for place, (pictures, there, seen, extra) in counts.items():
        shares = (f"{share:.3f}" for share in (seen / there, *wilson_interval(seen, there)))
        rows.append(dict(zip(COLUMNS, (*place, pictures, there, seen, *shares, extra), strict=True)))
    keep(options.out, rows, COLUMNS)


if __name__ == "__main__":
    main()
