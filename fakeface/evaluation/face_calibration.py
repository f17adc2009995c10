"""How wide to cut the faces that are found, and down to what size to judge them: measured on held-out pictures.

A model knows the faces of its training as they were cut there, which another finder's box does not repeat. So the
margin around its box is chosen amid those at which the model tells labels apart best; and a face is too small where
enlarging it costs too much of that, or makes photographs `generated`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..detector.detector import Detector
from ..faces import Face, surroundings
from ..images.load import load_picture
from ..metrics.detection import MetricError, rank_auc
from ..utils.errors import OptionError

MARGINS = {
    "box": (1.0, 1.1, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5, 1.7, 2.0),
    "landmarks": (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2),
}
SIDES = (16, 24, 32, 48, 64, 96)  # pixels of a face's longer side
# What shrinking may do to the same faces: a small face is worth judging while it is judged nearly as well, and while
# shrinking alone makes hardly any photograph `generated`.
TOLERABLE_LOSS = 0.05  # of AUC
TOLERABLE_FPR = 0.02  # of the photographs, at the model's own threshold; the operating point is 1 %
BATCH = 32


@dataclass(frozen=True)
class Shrunken:
    """How the model does on faces shrunk to one size.

    Attributes:
        auc: of the shrunken faces, those that were larger before.
        loss: AUC of the same faces as they were, minus `auc`.
        fpr: share of the shrunken photographs with a score from `threshold_generated` on.
    """

    auc: float
    loss: float
    fpr: float

    @property
    def tolerable(self) -> bool:
        return self.loss <= TOLERABLE_LOSS and self.fpr <= TOLERABLE_FPR


@dataclass(frozen=True)
class FaceCalibration:
    """Numbers for `FakeFaceConfig`, and what they were read off.

    Attributes:
        face_margin, smallest_face: as the config has them.
        n_real, n_generated: pictures with a face, of each label.
        not_found: pictures without one.
        by_margin: AUC at each margin.
        by_side: what shrinking to each side does, at the chosen margin.
    """

    face_margin: float
    smallest_face: int
    n_real: int
    n_generated: int
    not_found: int
    by_margin: dict[float, float]
    by_side: dict[int, Shrunken]


def calibrate_faces(detector: Detector, images: Sequence[Any], labels: np.ndarray) -> FaceCalibration:
    """Measure both numbers.

    Args:
        detector: with a face finder; its largest found face of each picture counts.
        images: held-out pictures, whatever `load_picture` takes. All stay in memory, decoded; a thousand will do.
        labels: 0 real, 1 generated, (n,).

    Raises:
        OptionError: the detector has no finder.
        MetricError: no faces of both labels were found.
    """
    if detector.preparer.finder is None:
        raise OptionError("this detector does not search for faces; load it with faces=True")
    found: list[tuple[Image.Image, Face]] = []
    kept: list[int] = []
    for image, label in zip(tqdm(images, desc="Finding faces", unit="picture"), labels, strict=True):
        picture = load_picture(image)
        if faces := replace(detector.preparer, max_faces=1).find(picture)[0]:
            found.append((picture, faces[0]))
            kept.append(int(label))
    of = np.array(kept)
    if len(set(kept)) < 2:
        raise MetricError("faces of both labels are needed, and were not found in these pictures")
    by_margin = {
        margin: rank_auc(of, _scores(detector, (_input(detector, *one, margin) for one in found)))
        for margin in tqdm(MARGINS[detector.config.face_cut], desc="Margins")
    }
    n_generated = int(of.sum())
    n_real = len(of) - n_generated
    margin = plateau_centre(by_margin, n_real, n_generated)
    by_side = {}
    for side in tqdm(SIDES, desc="Sizes"):
        larger = [place for place, (_, face) in enumerate(found) if face.side >= side]
        if len(set(of[larger].tolist())) == 2:
            by_side[side] = _compare(detector, [found[place] for place in larger], of[larger], margin, side)
    smallest = smallest_side({side: shrunken.tolerable for side, shrunken in by_side.items()})
    return FaceCalibration(margin, smallest, n_real, n_generated, len(images) - len(of), by_margin, by_side)


def plateau_centre(by_margin: dict[float, float], n_real: int, n_generated: int) -> float:
    """The middle one of the margins that cannot be told from the best: farthest from where the AUC falls off.

    Margins within one standard error of the best (Hanley and McNeil, Radiology 143, 1982, equation 1) count as equal.

    Args:
        by_margin: AUC at each margin.
        n_real, n_generated: faces that each AUC was measured on, at least 1.
    """
    best = max(by_margin.values())
    q1, q2 = best / (2 - best), 2 * best**2 / (1 + best)
    variance = best * (1 - best) + (n_generated - 1) * (q1 - best**2) + (n_real - 1) * (q2 - best**2)
    error = np.sqrt(max(variance, 0.0) / (n_real * n_generated))
    level = sorted(margin for margin, auc in by_margin.items() if auc >= best - error)
    return level[len(level) // 2]


def smallest_side(tolerable: dict[int, bool]) -> int:
    """The smallest side in pixels from which on all larger ones are tolerable too; the largest if none is."""
    sides = sorted(tolerable, reverse=True)
    smallest = sides[0]
    for side in sides:
        if not tolerable[side]:
            break
        smallest = side
    return smallest


def _compare(
    detector: Detector, found: Sequence[tuple[Image.Image, Face]], labels: np.ndarray, margin: float, side: int
) -> Shrunken:
    small = _scores(detector, (_input(detector, *one, margin, side) for one in found))
    whole = _scores(detector, (_input(detector, *one, margin) for one in found))
    auc = rank_auc(labels, small)
    flagged = small[labels == 0] >= detector.model.config.threshold_generated
    return Shrunken(auc, rank_auc(labels, whole) - auc, float(flagged.mean()))


def _input(detector: Detector, picture: Image.Image, face: Face, margin: float, side: int | None = None) -> np.ndarray:
    """What the model sees of a face, uint8 (size, size, 3); with `side`, as if the face had been so long in pixels."""
    preparer = replace(detector.preparer, face_margin=margin, crops=1, consistency=0)
    if side is None:
        return next(preparer.inputs_of(picture, face))
    if preparer.face_cut == "box":
        small = _shrunk(preparer.crop(picture, face), side / face.side)
        return next(replace(preparer, finder=None).open("face", small)[1])
    part, seen = surroundings(picture, face, margin)
    small = _shrunk(part, side / face.side)
    return next(preparer.inputs_of(small, seen.moved((small.width / part.width, small.height / part.height))))


def _shrunk(picture: Image.Image, factor: float) -> Image.Image:
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _scores(detector: Detector, inputs: Iterator[np.ndarray]) -> np.ndarray:
    """Calibrated probabilities of `generated`, (n,)."""
    found = []
    while batch := list(islice(inputs, BATCH)):
        found.append(detector.scores(batch))
    return np.concatenate(found)


__all__ = ["FaceCalibration", "Shrunken", "calibrate_faces", "plateau_centre", "smallest_side"]
