"""Measure a detector: on its held-out pictures or any dataset, clean, delivered and swept; overall and in parts.

>>> from fakeface.evaluation import evaluate, markdown
>>> from fakeface.measured_data import whole
>>> from fakeface.subjects import open_subject
>>> splits, refused = whole(["my/pictures"])                                           # doctest: +SKIP
>>> scores, report = evaluate(open_subject("someone/detector"), splits, "my command")  # doctest: +SKIP
>>> print(markdown(report))                                                            # doctest: +SKIP
"""

import csv
import io
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import DatasetDict

from .checksums import renew_sums
from .data.loading import fingerprint
from .evaluation_tables import tabulate
from .evaluation_text import FIGURE_NAMES, SHARES, figure, markdown, overall_cells, percent, table
from .recipe import TRAINING_RECORD
from .score_views import COLUMNS, MEASURED, VIEWS, score_splits
from .subjects import OperatingPoint, Subject, open_subject, weights_sha256

REPORT = "evaluation.json"
CALIBRATION = ("temperature", "bias")  # of a model of ours; beside the operating point, what makes its scores
NAMES = ("generator", "generators", "source", "column", "value", "family", "strength")  # of a row, beside its place


def evaluate(
    subject: Subject,
    splits: DatasetDict,
    command: str,
    *,
    slices: Sequence[str] = (),
    seen: Collection[str] | None = None,
    **options: Any,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Scores and report of a detector.

    Args:
        subject: the detector under test.
        splits: from `fakeface.measured_data`; splits for training are not scored.
        command: for the report, so that a figure can be traced.
        slices, seen: as for `tabulate`.
        options: as for `score_splits`.

    Returns:
        The rows of `score_splits` and the report: the command, the weights by their sha256, the calibration, each
        split by its fingerprint, and the tables of `tabulate`.
    """
    keep = list(dict.fromkeys(("image", *COLUMNS, *slices)))
    measured = {name: part.select_columns(keep) for name, part in splits.items() if name in MEASURED}
    scores = score_splits(subject, DatasetDict(measured), **options)
    report = {
        "command": command,
        "model": subject.name,
        "weights_sha256": subject.weights_sha256,
        "architecture": subject.architecture,
        "dtype": subject.dtype,
        "calibration": {name: getattr(subject.point, name) for name in CALIBRATION if hasattr(subject.point, name)},
        "data": {
            name: {"pictures": len(part), "fingerprint": fingerprint(part)} for name, part in sorted(splits.items())
        },
        **tabulate(scores, subject.point, slices=slices, seen=seen),
    }
    return scores, report


def evaluate_folder(
    folder: str | Path, splits: DatasetDict, command: str, **options: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """`evaluate` of a model folder. Raises ModelFolderError where it cannot be loaded."""
    return evaluate(open_subject(str(folder)), splits, command, **options)


def evaluate_scores(
    scores: pd.DataFrame, name: str, sha256: str, command: str, *, slices: Sequence[str] = ()
) -> dict[str, Any]:
    """The report of scores that another tool computed.

    Args:
        scores: from `fakeface.score_table.read_scores`.
        name, sha256: of the file they came in.
        command, slices: as for `evaluate`.
    """
    clean = scores[scores["view"] == "clean"]
    data = {str(split): {"pictures": len(rows), "fingerprint": sha256} for split, rows in clean.groupby("split")}
    found = tabulate(scores, OperatingPoint(), slices=slices)
    return {
        "command": command,
        "model": name,
        "weights_sha256": sha256,
        "architecture": "scores",
        "data": data,
        **found,
    }


def seen_generators(folder: Path) -> set[str] | None:
    """Generators that training saw, `None` without a report of the model folder's own.

    They are those of the report's validation pictures, and those of the model that training started from.
    """
    try:
        rows = json.loads((folder / REPORT).read_text(encoding="utf-8"))["generators"]
        own = {str(row["generator"]) for row in rows if row["split"] == "validation"}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        earlier = json.loads((folder / TRAINING_RECORD).read_text(encoding="utf-8"))["start"]["generators"]
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    return {*own, *map(str, earlier)} or None


def write_report(folder: str | Path, scores: pd.DataFrame, report: dict[str, Any]) -> None:
    """Write `scores.csv`, `evaluation.json`, `evaluation.csv` and `evaluation.md` into a folder."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scores.to_csv(folder / "scores.csv", index=False, float_format="%.9g")
        (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        (folder / "evaluation.csv").write_text(as_csv(report), encoding="utf-8")
        (folder / "evaluation.md").write_text(markdown(report), encoding="utf-8")
        renew_sums(folder)
    except OSError as error:
        raise ValueError(f"{error.filename or folder}: cannot be written ({error.strerror})") from None


def as_csv(report: dict[str, Any]) -> str:
    """Every figure of a report on a line of its own: where it stands, value, interval and n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "split", "view", "row", "figure", "value", "low", "high", "n_real", "n_generated"])
    writer.writerows(_lines(report))
    return text.getvalue()


def _lines(report: dict[str, Any]) -> Iterator[list[Any]]:
    for name in ("overall", "uncertainty", "generators", "novelty", "real_sources", "kept_out", "slices", "sweep"):
        for row in report[name]:
            named = ", ".join(str(row[key]) for key in NAMES if key in row)
            for key in (key for key in row if key in FIGURE_NAMES or key in SHARES):
                n_real = row["fpr_n"] if key == "fpr" else 0 if key == "miss_rate" else row.get("n_real", "")
                n_generated = (
                    row["miss_rate_n"] if key == "miss_rate" else 0 if key == "fpr" else row.get("n_generated", "")
                )
                interval = row.get(f"{key}_interval") or ("", "")
                yield [name, row.get("split", ""), row["view"], named, key, row[key], *interval, n_real, n_generated]


__all__ = [
    "VIEWS",
    "as_csv",
    "evaluate",
    "evaluate_folder",
    "evaluate_scores",
    "figure",
    "markdown",
    "overall_cells",
    "percent",
    "score_splits",
    "seen_generators",
    "table",
    "tabulate",
    "weights_sha256",
    "write_report",
]
