"""How wide to cut the faces that are found, and down to what size to judge them: measured on held-out pictures.

A model knows the faces of its training as they were cut there, which another finder's box does not repeat. So the
margin around its box is chosen where the model tells labels apart best; and a face is too small where enlarging it
costs more than a tolerable part of that.
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
TOLERABLE = 0.02  # of AUC, lost where a face is as small as it may be; about what delivery costs
BATCH = 32


@dataclass(frozen=True)
class FaceCalibration:
    """Numbers for `FakeFaceConfig`, and what they were read off.

    Attributes:
        face_margin, smallest_face: as the config has them.
        n_real, n_generated: pictures with a face, of each label.
        not_found: pictures without one.
        by_margin: AUC at each margin.
        by_side: AUC of faces shrunk to each side, at the chosen margin; of those that were larger before.
    """

    face_margin: float
    smallest_face: int
    n_real: int
    n_generated: int
    not_found: int
    by_margin: dict[float, float]
    by_side: dict[int, float]


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
    margin = _best(by_margin)
    by_side = {}
    for side in tqdm(SIDES, desc="Sizes"):
        larger = [place for place, (_, face) in enumerate(found) if face.side >= side]
        if len(set(of[larger].tolist())) == 2:
            small = (_shrunk(_crop(detector, *found[place], margin), found[place][1].side, side) for place in larger)
            whole = _scores(detector, (_crop(detector, *found[place], margin) for place in larger))
            by_side[side] = rank_auc(of[larger], _scores(detector, small)) - rank_auc(of[larger], whole)
    smallest = smallest_side(by_side)
    by_side = {side: by_margin[margin] + change for side, change in by_side.items()}
    n_generated = int(of.sum())
    return FaceCalibration(
        margin, smallest, len(of) - n_generated, n_generated, len(images) - len(of), by_margin, by_side
    )


def _best(by_margin: dict[float, float]) -> float:
    """The margin with the best mean of its own AUC and its neighbours': one alone may be luck."""
    margins, aucs = list(by_margin), np.array(list(by_margin.values()))
    smooth = np.convolve(np.pad(aucs, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    return margins[int(smooth.argmax())]


def smallest_side(changes: dict[int, float], tolerable: float = TOLERABLE) -> int:
    """The smallest side from which on no larger one loses more AUC than is tolerable; the largest if all do.

    Args:
        changes: AUC of shrunken faces minus that of the same faces as they were, for each side in pixels.
        tolerable: loss, at least 0.
    """
    sides = sorted(changes, reverse=True)
    smallest = sides[0]
    for side in sides:
        if changes[side] < -tolerable:
            break
        smallest = side
    return smallest


def _crop(detector: Detector, picture: Image.Image, face: Face, margin: float) -> Image.Image:
    return replace(detector.preparer, face_margin=margin).crop(picture, face)


def _shrunk(crop: Image.Image, face_side: float, side: int) -> Image.Image:
    """The crop as if its face had been `side` pixels long in the picture."""
    length = max(1, round(crop.width * side / face_side))
    return crop.resize((length, length), Image.Resampling.LANCZOS)


@torch.inference_mode()
def _scores(detector: Detector, crops: Iterator[Image.Image]) -> np.ndarray:
    """Uncalibrated order is all that counts here: `generated` minus `real` logits, (n,)."""
    found, batch = [], []

    def run() -> None:
        if batch:
            logits = detector.model(pixel_values=torch.stack(batch).to(detector.model.device)).logits
            found.append((logits[:, 1] - logits[:, 0]).float().cpu().numpy())
            batch.clear()

    for crop in crops:
        batch.append(torch.from_numpy(detector.processor.to_array(crop)))
        if len(batch) == BATCH:
            run()
    run()
    return np.concatenate(found)


__all__ = ["FaceCalibration", "calibrate_faces", "smallest_side"]
