"""Calibration: a temperature and a bias for the logits, and thresholds for the verdict, fitted on held-out data."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.optimize import minimize
from scipy.special import expit
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..configuration_fakeface import FakeFaceConfig
from ..data.views import Pictures, View
from ..delivery.augment import Augmentation
from ..detector.detector import Detector
from ..detector.points import RATES
from ..detector.preparation import Preparer
from ..detector.runtime import logits_of
from ..metrics.detection import MetricError, threshold_at_fpr, too_few_real
from ..model_folder.checksums import renew_sums
from ..utils.files import replace_text

VIEWS = ("clean", "delivered")
GROUPS = (2, 5, 10, 20, 50)  # numbers of faces
TAIL = 0.05  # of the real scores: the highest, whose fall is carried on
ENOUGH = 20  # pictures beyond a threshold, for it to be read off rather than carried on
DRAWS = 400  # of the bootstrap; ten beyond either end of an interval


@dataclass(frozen=True)
class Calibration:
    """Numbers for `FakeFaceConfig`; its fields have the same names."""

    temperature: float
    bias: float
    threshold_generated: float
    threshold_real: float
    target_fpr: float
    group_thresholds: dict[str, float] | None = None
    operating_points: dict[str, dict[str, Any]] | None = None
    cascade: None = None  # bounds of a cascade were fitted to verdicts at the thresholds of before

    def store(self, config: FakeFaceConfig) -> None:
        """Write the numbers into a model's config."""
        for name, value in vars(self).items():
            setattr(config, name, value)


def store_in_config(folder: Path, numbers: dict[str, Any]) -> None:
    """Replace numbers in a model folder's `config.json`; a reader sees the old file or the new one, whole."""
    file = folder / "config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    replace_text(file, json.dumps({**content, **numbers}, indent=2, sort_keys=True) + "\n")
    renew_sums(folder)


def fit(
    margins: np.ndarray,
    labels: np.ndarray,
    *,
    target_fpr: float = 0.01,
    target_miss_rate: float = 0.05,
    views: int = 1,
) -> Calibration:
    """Fit all numbers.

    Temperature and bias minimise the log loss (Guo et al., 2017; with a bias as in Platt, 1999), each label weighing
    one half, so that the score does not depend on how many pictures of each label the validation data happen to have.

    Args:
        margins: uncalibrated `generated` minus `real` logit of held-out pictures, (n,).
        labels: 0 real, 1 generated, (n,).
        target_fpr: share of real pictures that may get the verdict `generated`.
        target_miss_rate: share of generated pictures that may get the verdict `real`.
        views: how many of the margins are of each picture, such as one clean and one delivered. They say how much the
            scores of one picture scatter, but only pictures resolve a rate among pictures. The first view of all
            pictures comes first, then the next of all, in the same order.

    Raises:
        MetricError: a label is missing, a margin is not a number, or too few photographs for the target rate.
    """
    real, generated = labels == 0, labels == 1
    if not real.any() or not generated.any():
        raise MetricError("calibration needs pictures of both labels")
    if not np.isfinite(margins).all():
        raise MetricError(f"{int((~np.isfinite(margins)).sum())} margins are not finite numbers")
    photographs = int(real.sum()) // views
    if (missing := math.ceil(1 / target_fpr - 1e-9) - photographs) > 0:
        raise MetricError(
            f"{photographs} photographs cannot resolve a false-positive rate of {target_fpr:g}, however often each was "
            f"judged; take {missing} more, of other people and like those that the model will judge, or a rate of at "
            f"least 1 in {photographs}"
        )
    weights = np.where(real, 0.5 / real.sum(), 0.5 / generated.sum())
    signs = np.where(generated, 1.0, -1.0)

    def log_loss(parameters: np.ndarray) -> float:
        log_temperature, bias = parameters
        calibrated = margins / np.exp(log_temperature) + bias
        return float(np.sum(weights * np.logaddexp(0, -signs * calibrated)))

    # Bounds keep a separable validation set, where ever sharper scores fit ever better, from certainty that it has
    # not earned.
    fitted = minimize(log_loss, x0=np.zeros(2), bounds=[(np.log(0.2), np.log(20)), (-10, 10)])
    temperature, bias = float(np.exp(fitted.x[0])), float(fitted.x[1])
    logits = margins / temperature + bias
    scores = expit(logits)
    generated_from = threshold_at_fpr(scores[real], target_fpr)
    real_up_to = threshold_at_miss_rate(scores[generated], target_miss_rate)
    groups = fit_groups(logits[real], generated_from, target_fpr, views)
    points = fit_points(logits[real], generated_from, target_fpr, views)
    return Calibration(temperature, bias, generated_from, min(real_up_to, generated_from), target_fpr, groups, points)


def fit_points(
    real: np.ndarray, threshold_generated: float, target_fpr: float, views: int = 1
) -> dict[str, dict[str, Any]]:
    """The operating points of `RATES`, as `FakeFaceConfig.operating_points` has them, without those that lack pictures.

    Args:
        real: calibrated logits of real pictures, (n,), as of `fit`. A point takes at least 1 / rate pictures.
        threshold_generated, target_fpr: of the default operating point. A point of a lower rate never lies below it,
            one of a higher rate never above.
        views: how many of the logits are of each picture.

    Returns:
        By name: `fpr`, `threshold_generated` and its 95 % interval (`threshold_low`, `threshold_high`, by bootstrap
        over the pictures), `group_thresholds`, and what they rest on: `n_real` pictures, and `n_beyond` of them at or
        above the threshold, the mean of their views rounded down. Where these are fewer than `ENOUGH` it is the tail
        of the scores, carried on.
    """
    rng = np.random.default_rng(0)
    points: dict[str, dict[str, Any]] = {}
    by_picture = real.reshape(views, -1)
    photographs = by_picture.shape[1]
    for name, fpr in RATES.items():
        if too_few_real(photographs, fpr):
            continue
        threshold = Tail.of(real, views).score_at(fpr)
        if fpr <= target_fpr:
            threshold = max(threshold, threshold_generated)
        if fpr >= target_fpr:
            threshold = min(threshold, threshold_generated)
        draws = (by_picture[:, rng.integers(photographs, size=photographs)].ravel() for _ in range(DRAWS))
        low, high = np.quantile([Tail.of(drawn, views).score_at(fpr) for drawn in draws], (0.025, 0.975)).tolist()
        points[name] = {
            "fpr": fpr,
            "threshold_generated": threshold,
            "threshold_low": min(low, threshold),
            "threshold_high": max(high, threshold),
            "n_real": photographs,
            "n_beyond": int((expit(real) >= threshold).sum()) // views,
            "group_thresholds": fit_groups(real, threshold, fpr, views),
        }
    return points


@dataclass(frozen=True)
class Tail:
    """The upper end of real pictures' calibrated logits, carried on beyond the highest of them.

    It is read off the logits where those of at least `ENOUGH` pictures lie beyond; further out it is taken as
    exponential in the logit, the generalised Pareto distribution with shape 0 (Coles, An Introduction to Statistical
    Modeling of Extreme Values, 2001, section 4.3): of the share z of logits above u, with mean excess s, P(logit >= x)
    = z exp(-(x - u) / s).

    Attributes:
        ordered: all logits, the highest first, (n,).
        enough: how many of them are of `ENOUGH` pictures.
        beyond: how many lie above u.
        excess: s.
    """

    ordered: np.ndarray
    enough: int
    beyond: int
    excess: float

    @classmethod
    def of(cls, real: np.ndarray, views: int = 1) -> "Tail":
        ordered, enough = np.sort(real)[::-1], ENOUGH * views
        beyond = min(max(int(TAIL * len(real)), enough), len(real) - 1)
        return cls(ordered, enough, beyond, float((ordered[:beyond] - ordered[beyond]).mean()))

    def score_at(self, share: float) -> float:
        """The score that a real picture reaches with at most that probability."""
        n = len(self.ordered)
        if (rank := share * n) >= self.enough:
            refused = float(expit(self.ordered[min(math.floor(rank + 1e-9), n - 1)]))
            return min(1.0, float(np.nextafter(refused, 2.0)))
        return float(expit(self.ordered[self.beyond] + self.excess * math.log(self.beyond / n / share)))


def fit_groups(real: np.ndarray, threshold_generated: float, target_fpr: float, views: int = 1) -> dict[str, float]:
    """Scores from which on the most generated face makes a picture `generated`, by the number of faces judged.

    Of n real faces that score independently the highest reaches t with probability 1 - (1 - P(score >= t))^n, which
    is the target where P(score >= t) = 1 - (1 - target)^(1/n): `Tail` says where. Faces of one picture were delivered
    alike and score alike, so that the true rate is lower, not higher.

    Args:
        real: calibrated logits of real pictures, (n,).
        threshold_generated: for one face alone; no other is below it.
        target_fpr: share of pictures of real faces alone that may be called `generated`.
        views: how many of the logits are of each picture.
    """
    tail = Tail.of(real, views)
    found, least = {}, threshold_generated
    for number in GROUPS:
        share = -math.expm1(math.log1p(-target_fpr) / number)
        least = max(least, tail.score_at(share))
        found[str(number)] = least
    return found


def threshold_at_miss_rate(generated_scores: np.ndarray, miss_rate: float) -> float:
    """The highest threshold at which at most a share `miss_rate` of generated pictures scores at or below it."""
    allowed = math.floor(len(generated_scores) * miss_rate + 1e-9)
    lowest_kept = float(np.sort(generated_scores)[allowed])
    return max(0.0, float(np.nextafter(lowest_kept, -1.0)))


def raw_margins(
    detector: Detector,
    dataset: Dataset,
    *,
    how: Augmentation | None = None,
    seed: int = 0,
    batch_size: int = 32,
    workers: int = 0,
    cut: Preparer | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Uncalibrated `generated` minus `real` logits, and labels, of pictures clean and delivered: arguments for `fit`.

    Args:
        detector: its calibration is taken off the logits, whatever it is.
        dataset: held-out pictures, from `fakeface.evaluation.inputs`.
        how, seed: of the delivered view.
        batch_size: pictures to a forward pass.
        workers: processes that decode.
        cut: as of `View`, with the dataset that belongs to it.
    """
    margins, labels, config = [], [], detector.config
    for view in VIEWS:
        pictures = Pictures(dataset, View(detector.processor, view, how or Augmentation(), seed, cut=cut))
        for batch in tqdm(DataLoader(pictures, batch_size, num_workers=workers), desc=view, unit="batch"):
            logits = logits_of(detector.model, batch["pixel_values"]).double()
            margins.append((logits[:, 1] - logits[:, 0] - config.bias).numpy() * config.temperature)
            labels.append(batch["labels"].numpy())
    return np.concatenate(margins), np.concatenate(labels)
