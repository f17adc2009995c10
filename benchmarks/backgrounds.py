"""Whether a model looks at what is behind a face: backgrounds blurred away, or those of other pictures put behind it.

model_checks.py writes the table into docs/model-checks.md.
"""

from collections.abc import Iterator

import numpy as np
from datasets import Dataset
from PIL import Image, ImageFilter
from tqdm import tqdm

from fakeface import Detector
from fakeface.faces import Face, FaceFinder, aligned_square
from fakeface.images.load import load_picture
from fakeface.metrics.detection import LEVEL, RESAMPLES, detection_metrics, rank_auc
from fakeface.reports.markdown import figure, table

# Of the square that FFHQ cuts around a face: half the width and the height of an oval from the hairline to the chin and
# from ear to ear, and how far its centre lies below the square's.
OVAL = (0.28, 0.38)
BELOW = 0.09
SOFT = 0.12  # of the oval's radius: half the width of its border
BLUR = 0.08  # of the picture's shorter side, as where model_checks.py hides a region
CHANGES = (
    "as it is",
    "all but the face blurred away",
    "background of another picture of the same label",
    "background of a picture of the other label",
)


def face_mask(size: tuple[int, int], face: Face) -> Image.Image:
    """An oval over a face, by its landmarks: 255 inside, falling to 0 over a soft border.

    Args:
        size: width and height of the picture.
        face: in pixels of the picture.
    """
    square = aligned_square(face)
    along = np.array(square.half) / np.hypot(*square.half)
    down = np.array([-along[1], along[0]])
    centre = np.array(square.centre) + BELOW * square.side * down
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    offset = np.stack([x, y], -1) - centre
    radius = np.hypot(offset @ along / (OVAL[0] * square.side), offset @ down / (OVAL[1] * square.side))
    inside = np.clip((1 + SOFT - radius) / (2 * SOFT), 0, 1)
    return Image.fromarray(np.round(255 * inside).astype(np.uint8))


def on_blurred(picture: Image.Image, face: Face) -> Image.Image:
    """A picture with all but the face blurred away."""
    blurred = picture.filter(ImageFilter.GaussianBlur(BLUR * min(picture.size)))
    return Image.composite(picture, blurred, face_mask(picture.size, face))


def on_background(picture: Image.Image, face: Face, other: Image.Image, others_face: Face) -> Image.Image:
    """A face on the background of another picture, which is turned, moved and scaled until its own face lies beneath.

    Args:
        picture, face: whose face it is; what comes out has the picture's size.
        other, others_face: whose background it is; where it ends, its mirror image goes on.
    """
    import cv2

    place, source = (np.vstack([aligned_square(one).matrix(256), [0, 0, 1]]) for one in (face, others_face))
    behind = cv2.warpAffine(
        np.asarray(other),
        (source @ np.linalg.inv(place))[:2],
        picture.size,
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return Image.composite(picture, Image.fromarray(behind), face_mask(picture.size, face))


def partners(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each picture one of the same label, never itself, and one of the other label, each as often as can be.

    Args:
        labels: 0 real, 1 generated, at least two of both, (n,).
    """
    same, other = np.zeros(len(labels), int), np.zeros(len(labels), int)
    places = [rng.permutation(np.flatnonzero(labels == label)) for label in (0, 1)]
    for own, others in (places, places[::-1]):
        same[own] = np.roll(own, 1)
        other[own] = np.resize(others, len(own))
    return same, other


def auc_change(labels: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """How much the AUC of the same pictures changes, and its bootstrap interval: pictures are drawn within labels.

    Args:
        labels: 0 real, 1 generated, (n,).
        before, after: scores (n,).
    """
    rng, places = np.random.default_rng(seed), [np.flatnonzero(labels == label) for label in (0, 1)]
    draws = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = np.concatenate([rng.choice(own, len(own)) for own in places])
        draws[i] = rank_auc(labels[drawn], after[drawn]) - rank_auc(labels[drawn], before[drawn])
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return rank_auc(labels, after) - rank_auc(labels, before), float(low), float(high)


def scores_of(detector: Detector, faces: list[tuple[Image.Image, Face]]) -> np.ndarray:
    """Scores (n,) of faces, cut as the model meets them."""
    return detector.scores([next(detector.preparer.inputs_of(picture, face)) for picture, face in faces])


def changed(pictures: list[tuple[Image.Image, Face]], labels: np.ndarray) -> Iterator[list[tuple[Image.Image, Face]]]:
    """Each picture as in `CHANGES`; where its face is stays as it was found."""
    same, other = partners(labels, np.random.default_rng(0))
    for i, (picture, face) in enumerate(pictures):
        versions = (
            picture,
            on_blurred(picture, face),
            on_background(picture, face, *pictures[same[i]]),
            on_background(picture, face, *pictures[other[i]]),
        )
        yield [(version, face) for version in versions]


def background_table(detector: Detector, finder: FaceFinder, rows: Dataset, labels: np.ndarray) -> str:
    """AUC of the label of the face in each of `CHANGES`, and how far it is from that of the pictures as they are."""
    pictures, kept = [], []
    for i, image in enumerate(tqdm(rows["image"], desc="Faces")):
        picture = load_picture(image)
        if faces := finder(picture):
            pictures.append((picture, faces[0]))
            kept.append(i)
    told = labels[kept]
    found = np.stack([
        scores_of(detector, versions)
        for versions in tqdm(changed(pictures, told), desc="Backgrounds", total=len(pictures))
    ])  # fmt: skip
    cells = []
    for place, name in enumerate(CHANGES):
        cell = figure(detection_metrics(told, found[:, place], ("auc",)), "auc")
        moved = (
            "" if not place else "{:+.3f} ({:+.3f} to {:+.3f})".format(*auc_change(told, found[:, 0], found[:, place]))
        )
        cells.append([name, cell, moved])
    return table([f"{len(kept)} faces", "AUC", "against the pictures as they are"], cells)
