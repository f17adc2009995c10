"""Figures of a detector, computed on counts: of a sample, and of a thousand resamples of it at once.

A bootstrap resample only changes how often each score occurs. So the scores are sorted once, a resample is a row of
counts, and every figure is a few sums along the rows; a thousand resamples of 100,000 scores take seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

BINS = 15  # of the calibration error
CELLS = 2**18  # counts in memory at once: what the caches of a processor hold


@dataclass(frozen=True)
class Counts:
    """How often each score occurs, for each label, in `r` samples at once.

    Attributes:
        values: the distinct scores, ascending, (k,).
        real, generated: how many pictures of the label have that score, (r, k). All rows have the same sum.
    """

    values: np.ndarray
    real: np.ndarray
    generated: np.ndarray

    @cached_property
    def n_real(self) -> float:
        return float(self.real[0].sum())

    @cached_property
    def n_generated(self) -> float:
        return float(self.generated[0].sum())

    @cached_property
    def real_from(self) -> np.ndarray:
        """Real pictures that score at least each value, (r, k): the false positives of that threshold."""
        return self.n_real - np.cumsum(self.real, axis=1) + self.real

    @cached_property
    def generated_from(self) -> np.ndarray:
        """Generated pictures that score at least each value, (r, k): the true positives of that threshold."""
        return self.n_generated - np.cumsum(self.generated, axis=1) + self.generated

    def mean_of(self, of_real: np.ndarray, of_generated: np.ndarray) -> np.ndarray:
        """Mean of something that scores give, (k,) for each label, over pictures; each label weighs one half."""
        return (self.real @ of_real / self.n_real + self.generated @ of_generated / self.n_generated) / 2


Figure = Callable[[Counts], np.ndarray]  # gives one number for each row, (r,)


def count(labels: np.ndarray, scores: np.ndarray) -> Counts:
    """Counts of one sample, from labels (n,), 0 real and 1 generated, and scores (n,)."""
    values, place = np.unique(scores, return_inverse=True)
    rows = [np.bincount(place[labels == label], minlength=len(values))[None].astype(float) for label in (0, 1)]
    return Counts(values, *rows)


def resampled(labels: np.ndarray, scores: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Counts of bootstrap resamples, some at a time; each label is drawn apart, as often as it is there."""
    values, place = np.unique(scores, return_inverse=True)
    places = [place[labels == label] for label in (0, 1)]
    at_once = max(1, CELLS // max(len(values), 1))
    for start in range(0, resamples, at_once):
        r = min(at_once, resamples - start)
        yield Counts(values, *(_drawn(own, r, len(values), rng) for own in places))


def _drawn(places: np.ndarray, r: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Counts (r, k) of `r` draws, with replacement, of as many places as there are."""
    drawn = places[rng.integers(len(places), size=(r, len(places)))]
    cells = drawn + k * np.arange(r)[:, None]
    return np.bincount(cells.ravel(), minlength=r * k).reshape(r, k).astype(float)


def auc(counts: Counts) -> np.ndarray:
    """ROC AUC: share of (real, generated) pairs in the right order, ties half (Mann and Whitney, 1947)."""
    below = counts.n_real - counts.real_from
    ordered = np.einsum("rk,rk->r", counts.generated, below + counts.real / 2)
    return ordered / (counts.n_real * counts.n_generated)


def average_precision(counts: Counts) -> np.ndarray:
    """Precision at each threshold, weighted by the recall it adds; depends on the share of generated pictures."""
    called = np.maximum(counts.generated_from + counts.real_from, 1)  # 0 only where nothing is added
    return np.einsum("rk,rk->r", counts.generated, counts.generated_from / called) / counts.n_generated


def tpr_at_fpr(counts: Counts, fpr: float) -> np.ndarray:
    """Share of generated pictures found at the lowest threshold that at most a share `fpr` of real ones reach."""
    allowed = np.floor(counts.n_real * fpr + 1e-9)
    first = (counts.real_from > allowed).sum(axis=1)  # real_from falls along the row
    padded = np.pad(counts.generated_from, ((0, 0), (0, 1)))  # no score reaches a threshold above all
    return padded[np.arange(len(first)), first] / counts.n_generated


def tpr_draws(
    labels: np.ndarray, scores: np.ndarray, fpr: float, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws (resamples,) of `tpr_at_fpr` for its interval.

    The threshold is an extreme quantile of the real scores, for which resampling fails: at one false positive in 1,000
    pictures its 95 % intervals hold the truth 7 times in 10. But how many real pictures lie above the true threshold
    is binomial (Thompson, 1936), so that number is drawn. Where between its two neighbours the threshold lies, follows
    from the false-positive rates there, whose gaps to `fpr` are those of uniform order statistics; the ROC is taken as
    linear between them. Beyond the highest real score it lies somewhere between its chord and a flat line, the bounds
    of a concave ROC. How many generated pictures lie above is uncertain by Jeffreys' posterior, which widens 0 of n.
    """
    real = np.concatenate([[np.inf], np.sort(scores[labels == 0])[::-1], [-np.inf]])
    generated = np.sort(scores[labels == 1])
    n, m = len(real) - 2, len(generated)
    above = rng.binomial(n, fpr, resamples)
    up, down, beyond = rng.random((3, resamples))
    to_upper = np.where(above > 0, fpr * (1 - up ** (1 / np.maximum(above, 1))), fpr)
    to_lower = (1 - fpr) * (1 - down ** (1 / np.maximum(n - above, 1)))
    way = to_upper / (to_upper + to_lower)
    way = np.where(above > 0, way, way + beyond * (1 - way))
    upper, lower = 1 - np.searchsorted(generated, [real[above], real[above + 1]], side="right") / m
    found = m * (upper + way * (lower - upper))
    return rng.beta(found + 0.5, m - found + 0.5)


def balanced_accuracy(counts: Counts, threshold: float = 0.5) -> np.ndarray:
    """Mean of the shares of real pictures below the threshold and of generated ones at or above it."""
    called = (counts.values >= threshold).astype(float)
    return counts.mean_of(1 - called, called)


def eer(counts: Counts) -> np.ndarray:
    """Equal error rate: where false positives and misses are the same share; the ROC is linear between thresholds."""
    fpr = np.pad(counts.real_from / counts.n_real, ((0, 0), (0, 1)))
    gap = fpr - 1 + np.pad(counts.generated_from / counts.n_generated, ((0, 0), (0, 1)))  # from 1 down to -1
    rows = np.arange(len(gap))
    after = (gap >= 0).sum(axis=1)
    before = after - 1
    way = gap[rows, before] / (gap[rows, before] - gap[rows, after])
    return fpr[rows, before] + way * (fpr[rows, after] - fpr[rows, before])


def ece(counts: Counts, bins: int = BINS) -> np.ndarray:
    """Expected calibration error: mean gap between score and share of generated pictures over equal-width bins.

    Each label weighs one half, as in the calibration: the share of generated pictures in a test set is the
    collector's choice, and a score that is right at one share is wrong at another (Naeini et al., 2015, for the bins).
    """
    return np.abs(_gaps(counts, bins)[0]).sum(axis=1)


def ece_interval(counts: Counts, level: float, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Interval of one sample's `ece`: the sizes of its gaps that noise does not make unlikely to show as they do.

    Noise in a bin never cancels another's, so a sample's error lies above the truth, a resample's above that, and
    bootstrap intervals next to it. So a test is inverted (Neyman, 1937): the gaps are taken to be the sample's, times a
    factor; for each factor the noise of the bins, which is near normal, says how often so large an
    error comes out.

    Args:
        counts: of one sample.
        level: share of samples whose interval holds the truth.
        draws: of the noise.
        rng: of the draws.
    """
    (gaps,), (deviation,) = _gaps(counts, BINS)
    noise = rng.normal(size=(draws, len(gaps))) * deviation
    size = float(np.abs(gaps).sum())

    def factor(share: float) -> float:
        """At which a share of the draws is at least as large as the sample's error; 0 where noise alone is."""
        low, high = 0.0, 3.0  # beyond, every draw is larger
        for _ in range(16):
            middle = (low + high) / 2
            enough = np.mean(np.abs(middle * gaps + noise).sum(axis=1) >= size) >= share
            low, high = (low, middle) if enough else (middle, high)
        return low

    return size * factor((1 - level) / 2), size * factor((1 + level) / 2)


def _gaps(counts: Counts, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each bin that is not empty its gap, signed and times its share of pictures, and how that varies, (r, b)."""
    bin_of = np.minimum((counts.values * bins).astype(int), bins - 1)
    starts = np.flatnonzero(np.diff(bin_of, prepend=-1))
    gaps = np.zeros((len(counts.real), len(starts)))
    variance = np.zeros_like(gaps)
    for pictures, n, gap in (
        (counts.real, counts.n_real, counts.values),
        (counts.generated, counts.n_generated, counts.values - 1),
    ):
        first, second = (np.add.reduceat(pictures * gap**power / n, starts, axis=1) for power in (1, 2))
        gaps += first / 2
        variance += (second - first**2) / (4 * n)
    return gaps, np.sqrt(np.maximum(variance, 0))


def brier(counts: Counts) -> np.ndarray:
    """Mean squared distance of the score from the label (Brier, 1950), each label weighing one half."""
    return counts.mean_of(counts.values**2, (1 - counts.values) ** 2)


def nll(counts: Counts) -> np.ndarray:
    """Mean negative log likelihood of the label in nats, each label weighing one half; scores kept off 0 and 1."""
    smallest = np.finfo(float).eps  # scikit-learn's choice
    scores = np.clip(counts.values, smallest, 1 - smallest)
    return counts.mean_of(-np.log1p(-scores), -np.log(scores))


RATES = {f"tpr_at_fpr_{fpr:g}": fpr for fpr in (0.01, 0.005, 0.001)}
FIGURES: dict[str, Figure] = {
    "auc": auc,
    "average_precision": average_precision,
    **{name: partial(tpr_at_fpr, fpr=fpr) for name, fpr in RATES.items()},
    "balanced_accuracy": balanced_accuracy,
    "eer": eer,
    "ece": ece,
    "brier": brier,
    "nll": nll,
}
# What takes a score for a probability, and says nothing of scores on another scale.
OF_PROBABILITIES = ("balanced_accuracy", "ece", "brier", "nll")
