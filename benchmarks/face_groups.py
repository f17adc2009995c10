"""Error rates on groups of faces that no column tells apart: by skin tone, and with sunglasses or a mask on.

    fakeface evaluate runs/resnet50-cnn-taught/model --data "../shared/faces/pool-*.parquet" --dtype auto \\
        --out runs/full
    python benchmarks/face_groups.py runs/full --data "../shared/faces/pool-*.parquet" \\
        [--page docs/results.md]

Writes benchmarks/face_groups.csv. Skin tone is the individual typology angle (Chardon et al., 1991) of the cheeks, as
Merler et al. (Diversity in Faces, 2019) use it: it is measured on the picture, so light and make-up shift it, and it
says nothing of a person's origin; grey pictures have none. Sources and generators differ in it: a difference between
tones may be one between them. Validation pictures, which set the threshold, have no part in it.

Sunglasses and masks are drawn over the landmarks of test pictures, on photographs and generated pictures alike, and the
picture is saved once more, as all pictures of the pool were; the row *saved again* tells what that alone does. Pictures
in which YuNet finds no face are in a row of their own. Rates of fewer than 20 pictures are left open, as in all
reports.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from figures_file import as_columns, keep, read_figures, with_ends
from PIL import Image, ImageDraw

from fakeface import Detector
from fakeface.data.loading import checked, open_dataset
from fakeface.delivery.channels import reencode
from fakeface.evaluation.subjects import weights_sha256
from fakeface.evaluation.tables import tabulate
from fakeface.evaluation.text import cell
from fakeface.faces import Face, FaceFinder
from fakeface.images.load import load_picture
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

# Lower ends in degrees: Chardon's very light and light, intermediate, tan, brown and dark, in twos.
TONES = {"light": 41.0, "intermediate or tan": 10.0, "brown or dark": -90.0}
QUALITY = 88  # of the pool's one JPEG save
SHARP = 4  # times finer are shapes drawn, to have smooth edges
SHOWN = ("auc", "fpr", "miss_rate")
SPLITS = {"test": "test", "unseen": "unseen sources"}
COLOURLESS = "without colour"
LEAST_YELLOW = 4.0  # b* under which a cheek has no colour to speak of: grey pictures, blue light
COLUMNS = ("kind", "group", "n_real", "n_generated", *with_ends(*SHOWN), "weights_sha256")


def typology_angle(picture: Image.Image, face: Face) -> float | None:
    """Individual typology angle of the cheeks in degrees, from -90 (dark) to 90 (light); None for those without colour.

    Args:
        picture: upright RGB.
        face: found in it. Each cheek is a square between eye and corner of the mouth, a fifth of the eyes' distance
            wide.
    """
    right_eye, left_eye, _, right_mouth, left_mouth = face.landmarks
    half = max(1.0, math.dist(right_eye, left_eye) / 10)
    pixels = []
    for eye, mouth in ((right_eye, right_mouth), (left_eye, left_mouth)):
        x, y = (eye[0] + mouth[0]) / 2, (eye[1] + mouth[1]) / 2
        left, top = max(0, round(x - half)), max(0, round(y - half))
        right, bottom = min(picture.width, round(x + half)), min(picture.height, round(y + half))
        if left < right and top < bottom:
            pixels.append(np.asarray(picture.crop((left, top, right, bottom)), float).reshape(-1, 3))
    if not pixels:
        return None
    lightness, yellowness = lab(np.median(np.concatenate(pixels), axis=0))
    return math.degrees(math.atan2(lightness - 50, yellowness)) if yellowness >= LEAST_YELLOW else None


def lab(pixel: np.ndarray) -> tuple[float, float]:
    """L* and b* of an sRGB pixel (3,), 0 to 255, under D65 (IEC 61966-2-1, CIE 15)."""
    share = pixel / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    _, y, z = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    root_y, root_z = (
        value ** (1 / 3) if value > (6 / 29) ** 3 else value / (3 * (6 / 29) ** 2) + 4 / 29 for value in (y, z / 1.089)
    )
    return 116 * root_y - 16, 200 * (root_y - root_z)


def tone_of(angle: float | None) -> str:
    if angle is None:
        return COLOURLESS
    return next(name for name, lowest in TONES.items() if angle >= lowest)


def as_it_is(picture: Image.Image, face: Face) -> Image.Image:
    """The picture, unchanged."""
    return picture


def sunglasses(picture: Image.Image, face: Face) -> Image.Image:
    """Two dark lenses and a bridge over the eyes."""
    right, left = (np.array(eye) for eye in face.landmarks[:2])
    apart = float(np.linalg.norm(left - right))
    shapes = [_ellipse(eye, left - right, 0.42 * apart, 0.34 * apart) for eye in (right, left)]
    up = np.array([-(left - right)[1], (left - right)[0]]) * 0.05
    bridge = [right - up, left - up, left + up, right + up]
    return _painted(picture, [*shapes, bridge], (18, 18, 22))


def mask(picture: Image.Image, face: Face) -> Image.Image:
    """A light-blue surgical mask from the middle of the nose to under the chin."""
    right_eye, left_eye, nose, right_mouth, left_mouth = (np.array(point) for point in face.landmarks)
    across = left_eye - right_eye
    mouth, eyes = (right_mouth + left_mouth) / 2, (right_eye + left_eye) / 2
    down = mouth - eyes
    top = nose - 0.15 * down
    chin = mouth + 0.75 * down
    edge = [top - 0.85 * across, top, top + 0.85 * across, mouth + 0.75 * across, chin + 0.4 * across]
    edge += [chin - 0.4 * across, mouth - 0.75 * across]
    return _painted(picture, [edge], (160, 196, 220))


def _ellipse(centre: np.ndarray, along: np.ndarray, long: float, short: float) -> list[np.ndarray]:
    """Corners of an ellipse whose long half axis lies along a direction."""
    first = along / np.linalg.norm(along)
    second = np.array([-first[1], first[0]])
    turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    return [centre + long * math.cos(turn) * first + short * math.sin(turn) * second for turn in turns]


def _painted(picture: Image.Image, shapes: list[list[np.ndarray]], colour: tuple[int, int, int]) -> Image.Image:
    layer = Image.new("L", (picture.width * SHARP, picture.height * SHARP))
    pen = ImageDraw.Draw(layer)
    for shape in shapes:
        pen.polygon([(float(x) * SHARP, float(y) * SHARP) for x, y in shape], fill=255)
    return Image.composite(
        Image.new("RGB", picture.size, colour), picture, layer.resize(picture.size, Image.Resampling.BOX)
    )


DRAWN: dict[str, Callable[[Image.Image, Face], Image.Image]] = {
    "saved again": as_it_is,
    "sunglasses": sunglasses,
    "mask": mask,
}


def rows_of(groups: dict[tuple[str, str], pd.DataFrame], report: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each kind and group, with the figures that a report has of a split at its operating point."""
    names = {f"{kind}: {group}": (kind, group) for kind, group in groups}
    splits = [scores.assign(split=name) for name, scores in zip(names, groups.values(), strict=True)]
    point: Any = SimpleNamespace(**report["operating_point"])
    rows = []
    for found in tabulate(pd.concat(splits, ignore_index=True), point)["overall"]:
        kind, group = names[found["split"]]
        row = {"kind": kind, "group": group, "n_real": found["n_real"], "n_generated": found["n_generated"]}
        rows.append({**row, **as_columns(found, SHOWN), "weights_sha256": report["weights_sha256"]})
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of docs/results.md, from rows as they stand in the CSV."""
    cells = []
    for row in (read_figures(kept, SHOWN) for kept in rows):
        counts = f"{row['n_real']} + {row['n_generated']}"
        cells.append([f"{row['kind']}: {row['group']}", counts, *(cell(row, name) for name in SHOWN)])
    return table(["faces", "photographs + generated", "AUC", "photographs called generated", "missed"], cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that `fakeface evaluate --out` wrote")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--model", default="runs/resnet50-cnn-taught/model")
    parser.add_argument("--face-model", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    report = json.loads((options.run / "evaluation.json").read_text(encoding="utf-8"))
    if report["weights_sha256"] != weights_sha256(options.model):
        parser.error(f"{options.run}: its scores are of another model than {options.model}")
    scores = pd.read_csv(options.run / "scores.csv")
    scores = scores.loc[(scores["view"] == "clean") & scores["split"].isin(list(SPLITS))]
    data, _ = checked(open_dataset(options.data))
    place = {sha256: row for row, sha256 in enumerate(data["sha256"])}
    find = FaceFinder.from_pretrained(options.face_model)
    seen: dict[str, Face] = {}
    angles: dict[str, float | None] = {}
    for sha256 in scores["sha256"]:
        picture = load_picture(data[place[sha256]]["image"])
        if faces := find(picture):
            seen[sha256] = faces[0]
            angles[sha256] = typology_angle(picture, faces[0])
    found = scores.loc[scores["sha256"].isin(list(seen))]
    tones = found["sha256"].map(lambda sha256: tone_of(angles[sha256]))
    groups = {
        (f"skin, {name}", tone): found.loc[(found["split"] == split) & (tones == tone)]
        for split, name in SPLITS.items()
        for tone in (*TONES, COLOURLESS)
    }
    test = found.loc[found["split"] == "test"]
    groups["face", "as it is"] = test
    detector = Detector.from_pretrained(options.model, faces=False, dtype="auto")  # as the scores of the run
    for name, draw in DRAWN.items():
        drawn = (
            reencode(draw(load_picture(data[place[sha256]]["image"]), seen[sha256]), "JPEG", QUALITY, "4:2:0")
            for sha256 in test["sha256"]
        )
        groups["face", name] = test.assign(score=[result.score for result in detector.stream(drawn)])
    groups["face", "none found"] = scores.loc[~scores["sha256"].isin(list(seen))]
    rows = rows_of({place: own for place, own in groups.items() if len(own)}, report)
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "face groups", as_markdown(rows))


if __name__ == "__main__":
    main()
