"""Metrics of a detector, as `evaluate` metrics: each figure with what it rests on and a bootstrap interval.

    >>> from fakeface.metrics import RocAuc
    >>> RocAuc().compute(predictions=[0.1, 0.4, 0.35, 0.8], references=[0, 0, 1, 1])          # doctest: +SKIP
    {'n_real': 2, 'n_generated': 2, 'auc': 0.75, 'auc_interval': (0.5, 1.0), 'refused': {}}

The figures themselves, and where they come from, are in `fakeface.metrics.counts`.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np

from ..utils.errors import FakefaceError
from .counts import FIGURES, OF_PROBABILITIES, RATES, count, ece_interval, resampled, tpr_draws

RESAMPLES = 1000
LEVEL = 0.95
SWAPPED = 0.35  # an AUC under it is not bad luck: labels or scores are the wrong way round


class MetricError(FakefaceError):
    """The pictures cannot give a figure: too few, of one label only, or with scores that are not numbers."""


def threshold_at_fpr(real_scores: np.ndarray, fpr: float) -> float:
    """The lowest threshold at which at most a share `fpr` of real pictures scores at or above it.

    Args:
        real_scores: scores of real pictures, (n,), in [0, 1].
        fpr: false-positive rate allowed, in (0, 1).

    Returns:
        A threshold in [0, 1], just above a real picture's score (1.0 if no threshold up to 1 suffices).

    Raises:
        MetricError: fewer than 1 / fpr real pictures, which cannot resolve the rate.
    """
    if reason := too_few_real(len(real_scores), fpr):
        raise MetricError(reason)
    highest_refused = float(np.sort(real_scores)[::-1][math.floor(len(real_scores) * fpr + 1e-9)])
    return min(1.0, float(np.nextafter(highest_refused, 2.0)))


def too_few_real(n: int, fpr: float) -> str:
    """Why `n` real pictures cannot resolve a false-positive rate; empty where they can."""
    needed = math.ceil(1 / fpr - 1e-9)
    short = f"{n} real pictures cannot resolve a false-positive rate of {fpr:g}: at least {needed}"
    return short if n < needed else ""


def detection_metrics(
    labels: np.ndarray,
    scores: np.ndarray,
    names: Sequence[str] = tuple(FIGURES),
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of scores, each with its interval.

    Args:
        labels: 0 real, 1 generated, (n,).
        scores: probabilities of `generated`, (n,); for figures that only rank, any finite numbers.
        names: of `fakeface.metrics.counts.FIGURES`.
        resamples: bootstrap draws; 0 for no intervals.
        level: share of the draws inside an interval.
        seed: of the draws.

    Returns:
        `n_real`, `n_generated`, each figure as a float, its `…_interval` as (low, high), and `refused`: why a figure
        is `None`, by its name.

    Raises:
        ValueError: a score is not a finite number, or a label is not 0 or 1.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, float)
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite numbers")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (real) and 1 (generated)")
    n_real, n_generated = int((labels == 0).sum()), int((labels == 1).sum())
    refused = {name: reason for name in names if (reason := _refusal(name, n_real, n_generated, scores))}
    stated = [name for name in names if name not in refused]
    result: dict[str, Any] = {"n_real": n_real, "n_generated": n_generated, **dict.fromkeys(names)}
    if stated:
        counts = count(labels, scores)
        result |= {name: float(FIGURES[name](counts)[0]) for name in stated}
        if resamples:
            result |= _intervals(labels, scores, stated, resamples, level, seed)
    return {**result, "refused": refused}


def _refusal(name: str, n_real: int, n_generated: int, scores: np.ndarray) -> str:
    if not n_real and not n_generated:
        return "there are no pictures"
    if not n_real or not n_generated:
        return f"it takes pictures of both labels, and all are {'real' if n_real else 'generated'}"
    if name in OF_PROBABILITIES and not (scores.min() >= 0 and scores.max() <= 1):
        return "scores outside 0 to 1 are not probabilities"
    return too_few_real(n_real, RATES[name]) if name in RATES else ""


def _intervals(
    labels: np.ndarray, scores: np.ndarray, stated: Sequence[str], resamples: int, level: float, seed: int
) -> dict[str, tuple[float, float]]:
    """Intervals of figures, by name: percentile bootstrap (Efron and Tibshirani, 1993) where that is right."""
    rng = np.random.default_rng(seed)
    draws = {name: tpr_draws(labels, scores, RATES[name], resamples, rng) for name in stated if name in RATES}
    if names := [name for name in stated if name not in RATES and name != "ece"]:
        parts = [[FIGURES[name](counts) for name in names] for counts in resampled(labels, scores, resamples, rng)]
        draws |= {name: np.concatenate(drawn) for name, drawn in zip(names, zip(*parts, strict=True), strict=True)}
    found = {}
    for name, drawn in draws.items():
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        found[f"{name}_interval"] = (float(low), float(high))
    if "ece" in stated:
        found["ece_interval"] = ece_interval(count(labels, scores), level, resamples, rng)
    return found


def rank_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """ROC AUC alone, without an interval; both labels must be there."""
    return float(FIGURES["auc"](count(labels, scores))[0])


def bootstrap_interval(
    labels: np.ndarray, scores: np.ndarray, name: str, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> tuple[float, float]:
    """The interval of one figure; arguments as for `detection_metrics`. Raises MetricError where it is refused."""
    found = detection_metrics(labels, scores, [name], resamples=resamples, level=level, seed=seed)
    if name in found["refused"]:
        raise MetricError(f"{name}: {found['refused'][name]}")
    return found[f"{name}_interval"]


def looks_swapped(figures: dict[str, Any]) -> bool:
    """Whether an AUC, with its interval, lies so far under one half that labels or scores must be swapped."""
    return figures.get("auc") is not None and figures["auc"] < SWAPPED and figures["auc_interval"][1] < 0.5


class DetectionMetric(evaluate.Metric):
    """How well scores tell generated pictures from real ones: all figures, each with n and a bootstrap interval.

    Predictions are scores, references labels (0 real, 1 generated). A figure that the pictures cannot give is `None`,
    and `refused` says why. `compute` also takes `resamples`, `level` and `seed`.

    On several ranks, pass what `accelerator.gather_for_metrics` gives to every rank, and an `experiment_id` of the
    rank's own: the figures then are those of one rank.
    """

    names: ClassVar[tuple[str, ...]] = tuple(FIGURES)

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": datasets.Value("float64"), "references": datasets.Value("int32")})
        words = str(self.__doc__)
        return evaluate.MetricInfo(description=words, citation="", inputs_description=words, features=features)

    def _compute(self, predictions: Any = None, references: Any = None, **kwargs: Any) -> dict[str, Any]:
        return detection_metrics(np.asarray(references), np.asarray(predictions), self.names, **kwargs)


class RocAuc(DetectionMetric):
    """ROC AUC. Arguments and results as of `DetectionMetric`."""

    names = ("auc",)


class AveragePrecision(DetectionMetric):
    """Average precision. Arguments and results as of `DetectionMetric`."""

    names = ("average_precision",)


class TprAtFpr(DetectionMetric):
    """Share of generated pictures found at 1 %, 0.5 % and 0.1 % false positives, where enough reals resolve that."""

    names = tuple(RATES)


def wilson_interval(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share (Wilson, 1927); unlike the bootstrap it is right at 0 of n. `z` is the normal quantile."""
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
