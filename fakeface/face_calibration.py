"""How wide to cut the faces that are found, and down to what size to judge them: measured on held-out pictures.

A model knows the faces of its training as they were cut there, which another finder's box does not repeat. So the
margin around its box is chosen amid those at which the model tells labels apart best; and a face is too small where
enlarging it costs too much of that, or makes photographs `generated`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from .detector import Detector
from .faces import Face
from .images import load_picture
from .metrics import rank_auc

MARGINS = (1.0, 1.1, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5, 1.7, 2.0)
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
        ValueError: the detector has no finder, or no faces of both labels were found.
    """
    if detector.preparer.finder is None:
        raise ValueError("no face model: name its file in FAKEFACE_FACE_MODEL")
    found: list[tuple[Image.Image, Face]] = []
    kept: list[int] = []
    for image, label in zip(tqdm(images, desc="Finding faces", unit="picture"), labels, strict=True):
        picture = load_picture(image)
        if faces := detector.preparer.finder(picture):
            found.append((picture, faces[0]))
            kept.append(int(label))
    of = np.array(kept)
    if len(set(kept)) < 2:
        raise ValueError("faces of both labels are needed, and were not found in these pictures")
    by_margin = {
        margin: rank_auc(of, _scores(detector, (_crop(detector, *one, margin) for one in found)))
        for margin in tqdm(MARGINS, desc="Margins")
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
    small = _scores(detector, (_shrunk(_crop(detector, *one, margin), one[1].side, side) for one in found))
    whole = _scores(detector, (_crop(detector, *one, margin) for one in found))
    auc = rank_auc(labels, small)
    flagged = small[labels == 0] >= detector.model.config.threshold_generated
    return Shrunken(auc, rank_auc(labels, whole) - auc, float(flagged.mean()))


def _crop(detector: Detector, picture: Image.Image, face: Face, margin: float) -> Image.Image:
    return replace(detector.preparer, face_margin=margin).crop(picture, face)


def _shrunk(crop: Image.Image, face_side: float, side: int) -> Image.Image:
    """The crop as if its face had been `side` pixels long in the picture."""
    length = max(1, round(crop.width * side / face_side))
    return crop.resize((length, length), Image.Resampling.LANCZOS)


@torch.inference_mode()
def _scores(detector: Detector, crops: Iterator[Image.Image]) -> np.ndarray:
    """Calibrated probabilities of `generated`, (n,)."""
    found, batch = [], []

    def run() -> None:
        if batch:
            logits = detector.model(pixel_values=torch.stack(batch).to(detector.model.device)).logits
            found.append(logits.double().softmax(dim=1)[:, 1].cpu().numpy())
            batch.clear()

    for crop in crops:
        batch.append(torch.from_numpy(detector.processor.to_array(crop)))
        if len(batch) == BATCH:
            run()
    run()
    return np.concatenate(found)


__all__ = ["FaceCalibration", "Shrunken", "calibrate_faces", "plateau_centre", "smallest_side"]
