"""Measure a detector: on its held-out pictures or any dataset, clean, delivered and swept; overall and in parts.

>>> from fakeface.evaluation import evaluate, markdown, open_subject, whole
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

from ..data.columns import FAMILY
from ..data.loading import fingerprint
from ..detector.preparation import Preparer
from ..model_folder.checksums import renew_sums
from ..recipe import TRAINING_RECORD
from ..reports.csv_files import write_csv
from ..reports.markdown import figure, percent, table
from ..utils.files import clear_write_errors
from ..utils.text import inert
from .found_faces import cut_of, find_in_splits, measurable, told_of_faces
from .scores import COLUMNS, MEASURED, VIEWS, score_splits
from .subjects import OperatingPoint, Subject, open_subject, weights_sha256
from .tables import tabulate
from .text import FIGURE_NAMES, SHARES, markdown, overall_cells

REPORT = "evaluation.json"
CALIBRATION = ("temperature", "bias")  # of a model of ours; beside the operating point, what makes its scores
TABLES = (
    *("overall", "points", "uncertainty", "generators", "families", "novelty"),
    *("real_sources", "kept_out", "slices", "sweep"),
)
OF_GENERATED = ("miss_rate", "found")  # shares of generated pictures alone
# Of a row, beside its place.
NAMES = ("point", "generator", "generators", "source", "column", "value", "family", "strength")


def evaluate(
    subject: Subject,
    splits: DatasetDict,
    command: str,
    *,
    slices: Sequence[str] = (),
    seen: Collection[str] | None = None,
    cut: Preparer | None = None,
    **options: Any,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Scores and report of a detector.

    Args:
        subject: the detector under test.
        splits: from `fakeface.evaluation.inputs`; splits for training are not scored.
        command: for the report, so that a figure can be traced.
        slices, seen: as for `tabulate`.
        cut: of `cut_of`, to measure on faces that are found, with splits of `find_in_splits`; by default pictures are
            judged as they are.
        options: as for `score_splits`.

    Returns:
        The rows of `score_splits` and the report: the command, the weights by their sha256, the calibration, each
        split by its fingerprint, and the tables of `tabulate`.
    """
    measured = {}
    for name in (name for name in splits if name in MEASURED):
        told = [FAMILY] if FAMILY in splits[name].column_names else []
        measured[name] = measurable(splits[name], cut, list(dict.fromkeys(("image", *COLUMNS, *told, *slices))))
    scores = score_splits(subject, DatasetDict(measured), cut=cut, **options)
    faces, remarks = told_of_faces(splits, cut, subject)
    found = tabulate(scores, subject.point, slices=slices, seen=seen)
    return scores, {
        "command": command,
        "model": subject.name,
        "weights_sha256": subject.weights_sha256,
        "architecture": subject.architecture,
        "dtype": subject.dtype,
        "calibration": {name: getattr(subject.point, name) for name in CALIBRATION if hasattr(subject.point, name)},
        "data": {
            name: {"pictures": len(part), "fingerprint": fingerprint(part)} for name, part in sorted(splits.items())
        },
        "faces": faces,
        **found,
        "remarks": [*remarks, *found["remarks"]],
    }


def evaluate_folder(
    folder: str | Path, splits: DatasetDict, command: str, *, kept: Path | None = None, **options: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """`evaluate` of a model folder, on found faces where it cuts them by their landmarks.

    Args:
        folder, splits, command, options: as there.
        kept: as of `with_faces`.

    Raises:
        ModelFolderError: it cannot be loaded.
    """
    subject = open_subject(str(folder))
    cut = cut_of(subject)
    if cut:
        splits = find_in_splits(splits, cut, options.get("workers", 1), kept)
    return evaluate(subject, splits, command, cut=cut, **options)


def evaluate_scores(
    scores: pd.DataFrame, name: str, sha256: str, command: str, *, slices: Sequence[str] = ()
) -> dict[str, Any]:
    """The report of scores that another tool computed.

    Args:
        scores: from `fakeface.evaluation.inputs.read_scores`.
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
    with clear_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(scores, folder / "scores.csv")
        (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        (folder / "evaluation.csv").write_text(as_csv(report), encoding="utf-8")
        (folder / "evaluation.md").write_text(markdown(report), encoding="utf-8")
        renew_sums(folder)


def as_csv(report: dict[str, Any]) -> str:
    """Every figure of a report on a line of its own: where it stands, value, interval and n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "split", "view", "row", "figure", "value", "low", "high", "n_real", "n_generated"])
    writer.writerows([inert(cell) for cell in line] for line in _lines(report))
    return text.getvalue()


def _lines(report: dict[str, Any]) -> Iterator[list[Any]]:
    for name in TABLES:
        for row in report[name]:
            # A generator is named without its family.
            named = ", ".join(str(row[key]) for key in NAMES if key in row and (key, name) != ("family", "generators"))
            for key in (key for key in row if key in FIGURE_NAMES or key in SHARES):
                n_real = row["fpr_n"] if key == "fpr" else 0 if key in OF_GENERATED else row.get("n_real", "")
                n_generated = (
                    row[f"{key}_n"] if key in OF_GENERATED else 0 if key == "fpr" else row.get("n_generated", "")
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
