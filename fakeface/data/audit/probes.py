"""Small classifiers that see what must not tell the label apart, and how well they tell it.

A probe is a random forest on a few numbers of each picture, cross-validated with near duplicates in one fold. An AUC of
one half is what a clean dataset gives; the interval comes from a bootstrap at a level that holds for all probes of an
audit together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold

from ...metrics.detection import bootstrap_interval, rank_auc

FOLDS = 5
TREES = 100
SMALLEST_LEAF = 5  # pictures: forests of pure leaves chase single pictures, which costs them AUC on numbers this few
SMALLEST_CLASS = 20  # pictures of a label, below which a probe says nothing
CLEAN_BELOW = 0.6  # AUC: a probe whose whole interval lies below it shows no leak worth a cure
FAMILY_LEVEL = 0.95  # probability that, on a clean dataset, no probe at all raises a false alarm


@dataclass(frozen=True)
class Probe:
    """What a probe sees: the columns that begin with one of `prefixes`. The other words are for the report."""

    name: str
    title: str
    prefixes: tuple[str, ...]
    meaning: str
    cure: str


_ONE_HISTORY = "give both labels one history (`fakeface data equalise`)"
_MATCH = "match the labels (`fakeface data equalise`), and change it at random in training"

PROBES = (
    Probe("format", "File format", ("file.format.",), "JPEG, PNG, WebP and others", _ONE_HISTORY),
    Probe("size", "Size", ("stored.size.",), "width and height in pixels", _ONE_HISTORY),
    Probe("jpeg", "JPEG quality", ("file.jpeg.",), "quantisation tables, subsampling, progressive scans", _ONE_HISTORY),
    Probe("metadata", "Metadata", ("file.metadata.",), "bytes of EXIF, XMP, profile and comments", _ONE_HISTORY),
    Probe("bytes", "Bytes per pixel", ("stored.bytes.",), "length of the file for its size in pixels", _MATCH),
    Probe(
        "native",
        "As found",
        ("native.",),
        "size, format and quality that the dataset recorded at collection",
        "these are not part of the pictures, but what left traces in them still tells: see the other probes",
    ),
    Probe(
        "position",
        "Face position",
        ("face.",),
        "where eyes, nose and mouth stand, and how large the face is",
        "cut all faces by the same code, and turn, zoom and shift them in training",
    ),
    Probe("sharpness", "Sharpness", ("fed.sharpness.",), "edges and fine detail at 128 pixels", _MATCH),
    Probe("greyness", "Greyness", ("fed.grey.",), "whether there is colour at all", _MATCH),
    Probe("light", "Light", ("fed.light.",), "brightness and contrast", _MATCH),
    Probe("colour", "Colour", ("fed.colour.",), "tint and saturation", _MATCH),
    Probe(
        "background",
        "Background spectrum",
        ("background.",),
        "spatial frequencies outside the face",
        "rescale and re-encode at random in training; a generator's own traces are in it too, and may stay",
    ),
    Probe(
        "surface-stored",
        "Surface, as stored",
        ("stored.",),
        "size, bytes per pixel, light, colour and sharpness of the whole picture together",
        _MATCH,
    ),
    Probe(
        "surface-fed",
        "Surface, as fed",
        ("fed.",),
        "bytes per pixel, light, colour and sharpness of the square that a classifier is fed, together",
        _MATCH,
    ),
)
# Not in the pictures themselves, so no part of the verdict on them.
RECORDED = "native"


@dataclass(frozen=True)
class Finding:
    """What one probe found.

    Attributes:
        probe: which.
        auc: of telling generated from real, 0 to 1; `None` where it could not be measured.
        interval: of `auc`, at `level`.
        level: of the interval.
        skipped: why it could not be measured, or empty.
        importances: share of the forest's decisions by column, largest first.
        scores: (n,), out of fold, 0 to 1, higher for `generated`; NaN where the probe was skipped.
    """

    probe: Probe
    auc: float | None
    interval: tuple[float, float] | None
    level: float
    skipped: str
    importances: dict[str, float]
    scores: np.ndarray

    @property
    def leaks(self) -> bool:
        """Whether the whole interval lies above one half."""
        return self.interval is not None and self.interval[0] > 0.5

    @property
    def n(self) -> int:
        """How many pictures the probe saw."""
        return len(self.scores)

    @property
    def needed(self) -> int | None:
        """About how many such pictures would tell, where these leave both open: a leak, and none. `None` elsewhere.

        Intervals shrink with the root of the number of pictures. It is enough if this one, around the same AUC, then
        lies above one half or below `CLEAN_BELOW`. Rounded up to two digits.
        """
        if self.auc is None or self.interval is None or self.leaks or self.interval[1] < CLEAN_BELOW:
            return None
        low, high = self.interval
        ways = [(self.auc - low, self.auc - 0.5), (high - self.auc, CLEAN_BELOW - self.auc)]
        times = min((reach / room) ** 2 for reach, room in ways if room > 0)
        least = max(self.n * times, self.n + 1)  # rounding of a bound that lies on the edge
        digits = 10 ** max(0, math.floor(math.log10(least)) - 1)
        return math.ceil(least / digits) * digits


def run_probes(
    features: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, seed: int = 0, probes: Sequence[Probe] = PROBES
) -> list[Finding]:
    """Run every probe.

    Args:
        features: a row for each picture, columns as `fakeface.data.audit.features` names them; NaN where unknown.
        labels: (n,), 0 or 1.
        groups: (n,) numbers; pictures of one group are never on both sides of a fold.
        seed: of folds, forests and bootstrap.
        probes: which to run. A probe whose columns are missing or never vary is skipped or gives one half.
    """
    present = [probe for probe in probes if _columns(features, probe)]
    level = family_level(len(present))
    return [_run(features, labels, groups, probe, seed, level) for probe in probes]


def family_level(n: int) -> float:
    """Level of each of `n` intervals so that all hold together with probability `FAMILY_LEVEL` (Bonferroni)."""
    return 1 - (1 - FAMILY_LEVEL) / max(1, n)


def _columns(features: pd.DataFrame, probe: Probe) -> list[str]:
    return [str(column) for column in features.columns if str(column).startswith(probe.prefixes)]


def _run(
    features: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, probe: Probe, seed: int, level: float
) -> Finding:
    columns = _columns(features, probe)
    nothing = np.full(len(labels), np.nan)
    if not columns:
        return Finding(probe, None, None, level, "the dataset has nothing to measure it by", {}, nothing)
    if reason := too_few(labels, groups):
        return Finding(probe, None, None, level, reason, {}, nothing)
    values = features[columns].to_numpy(np.float64)
    scores, importances = out_of_fold(values, labels, groups, seed)
    interval = bootstrap_interval(labels, scores, "auc", level=level, seed=seed)
    order = np.argsort(-importances, kind="stable")
    shares = {columns[i]: float(importances[i]) for i in order if importances[i] > 0}
    return Finding(probe, rank_auc(labels, scores), interval, level, "", shares, scores)


def too_few(labels: np.ndarray, groups: np.ndarray) -> str:
    """Why these pictures are too few to probe, or empty."""
    for label, name in enumerate(("real", "generated")):
        n, kinds = int((labels == label).sum()), len(np.unique(groups[labels == label]))
        if n < SMALLEST_CLASS:
            return f"only {n} {name} pictures: at least {SMALLEST_CLASS} are needed"
        if kinds < FOLDS:
            return f"the {name} pictures are near duplicates of {kinds} only: {FOLDS} are needed"
    return ""


def out_of_fold(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int, trees: int = TREES
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of pictures by forests that saw none of their group, and the columns' mean importances.

    Scores are ranks within their fold, from 0 to 1. The raw probabilities of the folds are not comparable: a fold with
    more real pictures leaves fewer to learn from, whose forest then says `generated` more often, so that probes that
    know nothing would come out below one half.

    Args:
        values: (n, k), NaN where unknown.
        labels: (n,), 0 or 1.
        groups: (n,).
        seed: of folds and forests.
        trees: of each forest.
    """
    scores = np.zeros(len(labels))
    importances = np.zeros(values.shape[1])
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(values, labels, groups):
        forest = RandomForestClassifier(
            trees, min_samples_leaf=SMALLEST_LEAF, class_weight="balanced", random_state=seed, n_jobs=1
        )
        forest.fit(values[train], labels[train])
        told = np.asarray(forest.predict_proba(values[test]))[:, 1].round(9)  # sums of trees differ in the last digit
        scores[test] = (rankdata(told) - 0.5) / len(test)
        importances += forest.feature_importances_ / FOLDS
    return scores, importances


def per_source(finding: Finding, labels: np.ndarray, sources: Sequence[str]) -> list[dict[str, Any]]:
    """How well a probe tells each source from all pictures of the other label, best told first.

    Returns:
        Rows of `source`, `label`, `n` and `auc`; sources of fewer than `SMALLEST_CLASS` pictures are left out.
    """
    if finding.auc is None:
        return []
    rows = []
    names = np.asarray(sources)
    for label in (0, 1):
        there, counts = np.unique(names[labels == label], return_counts=True)
        for source in there[counts >= SMALLEST_CLASS].tolist():  # some datasets name one for every picture
            own = (names == source) & (labels == label)
            shown = own | (labels != label)
            auc = rank_auc(labels[shown], finding.scores[shown])
            rows.append({"source": source, "label": label, "n": int(own.sum()), "auc": auc})
    return sorted(rows, key=lambda row: -row["auc"])


def most_telling(finding: Finding, labels: np.ndarray, n: int = 4) -> list[int]:
    """Rows whose label the probe told with most confidence and rightly: `n` of each label, the surest first."""
    if finding.auc is None:
        return []
    order = np.argsort(finding.scores, kind="stable")
    real = [int(i) for i in order if labels[i] == 0][:n]
    return real + [int(i) for i in order[::-1] if labels[i] == 1][:n]
