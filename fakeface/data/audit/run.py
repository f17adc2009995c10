"""Audit a dataset: can the label be told from what has nothing to do with faces?

    >>> from fakeface.data.audit import audit
    >>> from fakeface.data.loading import open_dataset
    >>> result = audit(open_dataset("my/pictures", records=True))          # doctest: +SKIP
    >>> result.report["verdict"]                                           # doctest: +SKIP
    'The label can be told by 2 of 12 probes; JPEG quality gives it away (AUC 0.99). ...'

Features are kept, not pictures: about 100 numbers for each.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ...utils.spread import spread_evenly
from ..columns import TOGETHER
from ..loading import DataError, take_evenly
from ..splits import near_duplicate_groups
from .features import Features
from .probes import CLEAN_BELOW, FAMILY_LEVEL, RECORDED, Finding, most_telling, per_source, run_probes, too_few

if TYPE_CHECKING:
    from ...detector.detector import Detector

MOST_REFUSED = 50  # messages that the report repeats
MOST_SCORED = 200  # pictures of a label that the transform test shows to a model: each is scored ten times

# AUCs from which a leak is called so. 0.65 is the most that this project lets its own data have.
GRADES = ((0.95, "gives the label away"), (0.8, "a strong leak"), (0.65, "a clear leak"), (0.0, "a weak leak"))


@dataclass(frozen=True)
class Audit:
    """An audit's outcome.

    Attributes:
        report: JSON types only; see `audit`.
        dataset: the pictures that were audited, refused ones left out.
        features: a row of numbers for each of them, columns as in `fakeface.data.audit.features`.
        findings: one for each probe.
    """

    report: dict[str, Any]
    dataset: Dataset
    features: pd.DataFrame
    findings: list[Finding]


def audit(
    dataset: Dataset,
    *,
    name: str = "dataset",
    measure: Features | None = None,
    no_faces: str = "no face finder was given",
    detector: "Detector | None" = None,
    limit: int = 0,
    seed: int = 0,
    workers: int = 1,
) -> Audit:
    """Run all probes, and the one-sided transforms if there is a model.

    Args:
        dataset: from `open_dataset`, best with `records=True`.
        name: for the report.
        measure: what is measured; by default as the shipped model feeds pictures, without faces.
        no_faces: why face positions are not measured, if they are not.
        detector: a trained model to test.
        limit: use this many pictures, spread over the data; 0 for all.
        seed: of folds, forests and intervals.
        workers: processes that measure; their number changes nothing.

    Returns:
        The report has `dataset`, `pictures` (by label), `sources`, `refused`, `level` (of each interval), `probes`
        (`auc`, `interval`, `n`, `needed`, `verdict`, `importances`, `sources`, `examples`), `transforms` and `verdict`.

    Raises:
        DataError: too few pictures of a label can be read.
    """
    measure = measure or Features()
    dataset, features, phashes, refused = measured(take_evenly(dataset, limit), measure, workers)
    labels = np.asarray(dataset["label"])
    groups = together(dataset, phashes)
    if reason := too_few(labels, groups):
        raise DataError(f"{name}: {reason}")
    findings = run_probes(features, labels, groups, seed=seed)
    sources = list(dataset["source"])
    probes = [_probe_report(finding, labels, sources, measure.find_faces is None, no_faces) for finding in findings]
    report = {
        "dataset": name,
        "pictures": {"real": int((labels == 0).sum()), "generated": int((labels == 1).sum())},
        "sources": _sources(dataset),
        "refused": {"n": len(refused), "messages": refused[:MOST_REFUSED]},
        "seed": seed,
        "fed": fed_as(measure),
        "family_level": FAMILY_LEVEL,
        "level": findings[0].level,
        "probes": probes,
        "transforms": _transforms(detector, dataset, labels) if detector else [],
        "verdict": conclusion(findings),
    }
    return Audit(report, dataset, features, findings)


def fed_as(measure: Features) -> dict[str, Any]:
    """What a classifier is fed of a picture: the centre, or with `cut` its face, levelled or not; and how large."""
    if measure.cut is None:
        return {"cut": "centre", "side": measure.side, "crop_fraction": measure.crop_fraction}
    cut = measure.cut
    return {"cut": cut.face_cut, "margin": cut.face_margin, "side": cut.size, "crop_fraction": cut.crop_fraction}


def measured(
    dataset: Dataset, measure: Features, workers: int = 1
) -> tuple[Dataset, pd.DataFrame, list[str], list[str]]:
    """The readable rows, their features and perceptual hashes, and the messages of the refused ones."""

    def as_json(row: dict[str, Any], index: int) -> dict[str, str]:
        found = measure(row, index)
        # As text: the numbers of a refused row are missing, which Arrow would fill in.
        return {"refused": found["refused"], "phash": found["phash"], "features": json.dumps(found["values"])}

    looks = dataset.map(
        as_json,
        with_indices=True,
        remove_columns=dataset.column_names,
        num_proc=workers if workers > 1 else None,
        load_from_cache_file=False,
        desc="Measuring pictures",
    )
    good = [i for i, message in enumerate(looks["refused"]) if not message]
    rows = [json.loads(text) for text in looks.select(good)["features"]]
    refused = [message for message in looks["refused"] if message]
    return dataset.select(good), pd.DataFrame(rows, dtype=np.float64), looks.select(good)["phash"][:], refused


def together(dataset: Dataset, phashes: list[str]) -> np.ndarray:
    """Numbers of the groups that belong on one side of a fold: near duplicates, and what `group` and `pair` link."""
    links = [np.asarray(near_duplicate_groups(phashes))]
    links += [
        np.unique(
            np.asarray([-1 - i if value is None else value for i, value in enumerate(dataset[column])]),
            return_inverse=True,
        )[1]
        for column in TOGETHER
        if column in dataset.column_names
    ]
    # A graph of pictures and of the groups of each kind; its connected parts are what must stay together.
    n = len(phashes)
    if not n:
        return np.empty(0, int)
    starts = np.cumsum([n, *(link.max() + 1 for link in links)])
    rows = np.tile(np.arange(n), len(links))
    columns = np.concatenate([link + start for link, start in zip(links, starts[:-1], strict=True)])
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(starts[-1], starts[-1]))
    return connected_components(graph, directed=False)[1][:n]


def grade(finding: Finding) -> str:
    """The verdict on one probe in words."""
    if finding.auc is None:
        return f"not measured: {finding.skipped}"
    if finding.needed:
        return f"too few pictures to tell; about {finding.needed:,} are needed"
    if not finding.leaks:
        return "no sign of a leak"
    return next(words for least, words in GRADES if finding.auc >= least)


def conclusion(findings: list[Finding]) -> str:
    """The verdict on the dataset in words: what tells the label, worst first, and what to do about it."""
    seen = [finding for finding in findings if finding.auc is not None and finding.probe.name != RECORDED]
    leaks = sorted((finding for finding in seen if finding.leaks), key=lambda finding: -(finding.auc or 0))
    doubt = ""
    if unsure := [finding for finding in seen if finding.needed]:
        most = max(finding.needed or 0 for finding in unsure)
        doubt = (
            f"Too few pictures to tell: on {unsure[0].n:,}, {len(unsure)} of {len(seen)} probes exclude neither chance "
            f"nor an AUC of {CLEAN_BELOW}; about {most:,} are needed."
        )
    if not leaks:
        return doubt or (
            f"None of {len(seen)} probes tells the label apart. That excludes the shortcuts they look for, no others."
        )
    worst = leaks[0]
    words = f"The label can be told by {len(leaks)} of {len(seen)} probes. {worst.probe.title} is the worst: "
    words += f"{grade(worst)} (AUC {worst.auc:.2f})."
    if (worst.auc or 0) >= GRADES[2][0]:
        words += " A classifier trained on this dataset can score well without looking at faces."
    return " ".join([f"{words} What helps: {worst.probe.cure}.", *([doubt] if doubt else [])])


def _probe_report(
    finding: Finding, labels: np.ndarray, sources: list[str], without_faces: bool, no_faces: str
) -> dict[str, Any]:
    words = grade(finding)
    if finding.probe.name == "position" and without_faces:
        words = f"not measured: {no_faces}"
    examples = most_telling(finding, labels) if finding.leaks else []
    return {
        "name": finding.probe.name,
        "title": finding.probe.title,
        "meaning": finding.probe.meaning,
        "auc": finding.auc,
        "interval": finding.interval and list(finding.interval),
        "n": finding.n,
        "needed": finding.needed,
        "leaks": finding.leaks,
        "verdict": words,
        "cure": finding.probe.cure if finding.leaks else "",
        "importances": dict(list(finding.importances.items())[:5]),
        "sources": per_source(finding, labels, sources),
        "examples": [{"row": i, "label": int(labels[i]), "source": sources[i]} for i in examples],
    }


def _sources(dataset: Dataset) -> list[dict[str, Any]]:
    counts = Counter(zip(dataset["source"], dataset["label"], dataset["generator"], strict=True))
    return [{"source": s, "label": k, "generator": g, "n": n} for (s, k, g), n in sorted(counts.items(), key=str)]


def _transforms(detector: "Detector", dataset: Dataset, labels: np.ndarray) -> list[dict[str, Any]]:
    from .one_sided import one_sided

    rows = [np.flatnonzero(labels == label) for label in (0, 1)]
    rows = [own[spread_evenly(len(own), MOST_SCORED)] for own in rows]
    chosen = np.sort(np.concatenate(rows))
    return one_sided(detector, dataset.select(chosen), labels[chosen])
