"""From which scores on a fast model may decide alone in a cascade: measured on held-out faces, as users meet them."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.special import expit

from ..data.faces import only_faces, with_faces
from ..delivery.augment import Augmentation
from ..detector.detector import Detector
from ..faces import FaceFinder
from ..metrics.detection import MetricError
from ..results import Thresholds, verdict
from .calibration import raw_margins


@dataclass(frozen=True)
class CascadeCalibration:
    """Bounds of a cascade, and what they were read off.

    Attributes:
        real_up_to, generated_from: as of `fakeface.detector.cascade.Bounds`.
        share: of the scores, on which the fast model may decide otherwise than the thorough one does.
        differing: on which it does.
        decided: that the fast model decides.
        n: scores, of each picture clean and delivered.
    """

    real_up_to: float
    generated_from: float
    share: float
    differing: float
    decided: float
    n: int

    def stored(self, first: str) -> dict[str, Any]:
        """As `FakeFaceConfig.cascade` has it; `first` is the fast model's fingerprint."""
        return {"first": first, **asdict(self)}


def fit_bounds(
    first: np.ndarray, second: np.ndarray, first_point: Thresholds, second_point: Thresholds, share: float = 0.01
) -> CascadeCalibration:
    """The widest bounds with which the cascade's verdicts are the thorough model's, but for a share of the pictures.

    Half of the share may go to either side. Beyond a bound the fast model's own verdict holds, so that no bound lies
    amid what it is not sure of itself.

    Args:
        first, second: scores of the same pictures by the fast and the thorough model, (n,).
        first_point, second_point: their thresholds.
        share: of all pictures, of which the two may say different things where the fast model decides.

    Raises:
        MetricError: there are no scores.
    """
    n = len(first)
    if not n:
        raise MetricError("a cascade is calibrated on pictures with a face, and there are none")
    told = np.array([verdict(score, second_point) for score in second.tolist()])
    allowed = share / 2 * n
    low = _surest(first, told != "real", first <= first_point.threshold_real, allowed)
    high = _surest(-first, told != "generated", first >= first_point.threshold_generated, allowed)
    real_up_to, generated_from = (0.0 if low is None else low), (1.0 if high is None else -high)
    real = (first <= real_up_to) & (first <= first_point.threshold_real)
    made = (first >= generated_from) & (first >= first_point.threshold_generated)
    differing = (real & (told != "real")) | (made & (told != "generated"))
    return CascadeCalibration(
        real_up_to, generated_from, share, float(differing.mean()), float((real | made).mean()), n
    )


def _surest(keys: np.ndarray, wrong: np.ndarray, may: np.ndarray, allowed: float) -> float | None:
    """The highest of the keys, of those that may, up to and with which no more than so many are wrong."""
    found, errors = None, 0
    for key in np.unique(keys[may]):  # ties stand or fall together
        errors += int(wrong[may & (keys == key)].sum())
        if errors > allowed:
            break
        found = float(key)
    return found


def calibrate_cascade(
    first: Detector,
    second: Detector,
    dataset: Dataset,
    *,
    how: Augmentation | None = None,
    seed: int = 0,
    batch_size: int = 32,
    workers: int = 0,
    share: float = 0.01,
) -> CascadeCalibration:
    """Measure the bounds on the found face of each picture, clean and delivered.

    Args:
        first, second: the fast and the thorough detector.
        dataset: held-out pictures; those without a face are left out.
        how, seed, batch_size, workers: as of `raw_margins`.
        share: as of `fit_bounds`.

    Raises:
        MetricError: no face was found.
    """
    finder = FaceFinder.from_pretrained()
    faces = only_faces(with_faces(dataset, max(workers, 1), finder=finder))
    scores = []
    for detector in (first, second):
        cut = replace(detector.preparer, finder=finder)
        margins, _ = raw_margins(detector, faces, how=how, seed=seed, batch_size=batch_size, workers=workers, cut=cut)
        scores.append(expit(margins / detector.config.temperature + detector.config.bias))
    return fit_bounds(scores[0], scores[1], first.config, second.config, share)


__all__ = ["CascadeCalibration", "calibrate_cascade", "fit_bounds"]
