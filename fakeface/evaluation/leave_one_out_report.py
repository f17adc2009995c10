"""The report of leaving one out: figures of each model on what it was trained without, as Markdown and as CSV."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict

from ..data.columns import FAMILY
from ..data.families import families_of
from ..data.loading import take_evenly
from ..recipe import Recipe
from ..reports.markdown import figure, percent, table
from ..utils.text import inert
from .cache import ScoreCache
from .scores import COLUMNS, score_splits
from .subjects import open_subject
from .tables import summarise, tabulate
from .text import FIGURE_NAMES, remarks, summary_table

EVERYTHING = "everything"  # the fold that leaves nothing out
HELD_OUT = "held out"
SEEN = "seen"
# Tables by the kind of what is left out.
KEYS = {"generator": "generators", "family": "families", "source": "real_sources"}
CSV_COLUMNS = ("kind", "name", "training", "view", "figure", "value", "low", "high", "n_real", "n_generated")


@dataclass(frozen=True)
class Fold:
    """One model to train, and what it is trained without.

    Attributes:
        kind: `generator`, `family` or `source`; empty for the one that leaves nothing out.
        name: of the generator, family or source.
        splits: of the data, what is left out among `unseen`.
        folder: where its run and figures go.
        left_out: the generators, or the source, that it is trained without.
    """

    kind: str
    name: str
    splits: DatasetDict
    folder: Path
    left_out: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"without {self.kind} {self.name}" if self.kind else EVERYTHING


def measure(
    recipe: Recipe, fold: Fold, *, limit: int, device: str | None, batch_size: int, workers: int
) -> dict[str, Any]:
    """Figures of a fold's model on what it was trained without, and on test pictures where it saw everything.

    Every generator is set against the test photographs, which no training saw; a source's false-positive rate is that
    at the operating point chosen on validation pictures.
    """
    subject = open_subject(str(fold.folder / "run" / "model"), device=device)
    scores = score_splits(
        subject,
        _to_measure(fold, limit),
        how=recipe.augmentation_settings(),
        seed=recipe.seed,
        batch_size=batch_size,
        workers=workers,
        cache=ScoreCache(fold.folder / "scored", subject.digest),
    )
    run = json.loads((fold.folder / "run" / "run.json").read_text(encoding="utf-8"))
    dropped = fold.splits.get("dropped")
    return {
        "weights_sha256": subject.weights_sha256,
        "operating_point": {name: getattr(subject.point, name) for name in ("threshold_generated", "target_fpr")},
        "near_duplicates_dropped": len(dropped) if dropped else 0,
        **_rows(fold, scores, subject.point),
        **{key: run[key] for key in ("versions", "python", "device", "mixed_precision", "processes")},
    }


def _to_measure(fold: Fold, limit: int) -> DatasetDict:
    """Of a generator its pictures and the test photographs, of a source its pictures, of everything test and unseen."""
    masks, column = {}, "source" if fold.kind == "source" else "generator"
    for name in ("test", "unseen"):
        if part := fold.splits.get(name):
            masks[name] = np.ones(len(part), bool)
            if fold.kind and name == "test":
                masks[name] = np.asarray(part["label"]) == (-1 if fold.kind == "source" else 0)
            elif fold.kind:
                masks[name] = np.isin(np.asarray(part[column]), fold.left_out)
    parts = {name: fold.splits[name].select(np.flatnonzero(mask)) for name, mask in masks.items() if mask.any()}
    kept = {k: [name for name in ("image", *COLUMNS, FAMILY) if name in part.column_names] for k, part in parts.items()}
    return DatasetDict({k: take_evenly(part.select_columns(kept[k]), limit) for k, part in parts.items()})


def _rows(fold: Fold, scores: pd.DataFrame, point: Any) -> dict[str, list[dict[str, Any]]]:
    """The tables of a fold; each row says whether training saw its generator or source."""
    rows: dict[str, list[dict[str, Any]]] = {part: [] for part in KEYS.values()}
    for kind, part in KEYS.items():
        if fold.kind in ("", kind):
            # As one split, so that generators that are in no test split meet the test photographs, and those alone.
            kept = scores
            if kind != "source":
                kept = cast(pd.DataFrame, scores[(scores["split"] == "test") | (scores["label"] == 1)])
            seen = _seen(kind, fold.splits["train"])
            rows[part] = [
                {**row, "split": SEEN if row[kind] in seen else HELD_OUT}
                for row in tabulate(kept.assign(split=HELD_OUT), point)[part]
                if not fold.kind or row[kind] == fold.name
            ]
    return rows


def _seen(kind: str, training: Dataset) -> set[str]:
    """The generators, families or sources of training pictures."""
    if kind != "family":
        return set(training[kind])
    told = training[FAMILY][:] if FAMILY in training.column_names else None
    return set(families_of(training["generator"][:], told))


def assemble(records: Sequence[dict[str, Any]], recipe: Recipe, command: str) -> dict[str, Any]:
    """The report of the folds measured so far: a row for each held-out generator and source, the seen one beside it.

    Args:
        records: of folds, the one that leaves nothing out first.
        recipe, command: for the report.

    Returns:
        `generators`, `families` and `real_sources`: figures when held out, and under `seen` those of the model of
        everything on test pictures (`None` for what the data themselves keep out of training); `summary`: the mean and
        the worst.
    """
    whole, *others = records
    report: dict[str, Any] = {"command": command, "recipe": dataclasses.asdict(recipe)}
    for kind, part in KEYS.items():
        everything = whole.get(part, [])  # one of before there were families has none
        seen = {(row[kind], row["view"]): row for row in everything if row["split"] == SEEN}
        # What the data or the recipe keep out of training needs no training of its own.
        free = [row for row in everything if row["split"] == HELD_OUT]
        own = [row for record in others if record["kind"] == kind for row in record[part]]
        report[part] = [{**row, "seen": seen.get((row[kind], row["view"]))} for row in [*own, *free]]
    shown = ("kind", "name", "data", "limit", "weights_sha256", "operating_point", "near_duplicates_dropped", "seconds")
    shown += ("versions", "python", "device", "mixed_precision", "processes")
    return {
        **report,
        "summary": summarise(report),
        "remarks": _remarks(records),
        "entries": [{key: record[key] for key in shown} for record in records],
    }


def _remarks(records: Sequence[dict[str, Any]]) -> list[str]:
    if not (names := [record["name"] for record in records if record["operating_point"]["target_fpr"] is None]):
        return []
    return [f"too few validation pictures to choose an operating point without {', '.join(names)}: verdicts are at 0.5"]


FIGURES = {
    "generators": ("auc", "tpr_at_fpr_0.01", "miss_rate"),
    "families": ("auc", "tpr_at_fpr_0.01", "miss_rate"),
    "real_sources": ("fpr",),
}
RATES = ("fpr", "miss_rate")
UNTRAINED = "kept out of all"  # what no training saw, so there is no figure to set beside


def markdown(report: dict[str, Any]) -> str:
    """The tables: generators and real sources, held out and seen, and the worst row beside the mean."""
    parts = remarks(report)
    for name, kind, title, n in (
        ("generators", "generator", "Generators left out of training", "n_generated"),
        ("families", "family", "Families of generators left out of training", "n_generated"),
        ("real_sources", "source", "Real sources left out of training", "fpr_n"),
    ):
        if name == "families" and not report.get(name):
            continue
        head = [kind, "view", *(["n real"] if kind != "source" else []), "n"]
        for key in FIGURES[name]:
            head += [f"{FIGURE_NAMES[key]}, held out", f"{FIGURE_NAMES[key]}, seen"]
        rows = []
        for row in report[name]:
            cells = [row[kind], row["view"], *([str(row["n_real"])] if kind != "source" else []), str(row[n])]
            for key in FIGURES[name]:
                cells += [_cell(row, key), _cell(row["seen"], key) if row["seen"] else UNTRAINED]
            rows.append(cells)
        parts.append(f"### {title}\n\n{table(head, rows)}")
    title, head, rows = summary_table(report)
    parts.append(f"### {title}\n\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def _cell(row: dict[str, Any], key: str) -> str:
    return percent(row, key) if key in RATES else figure(row, key)


def as_csv(report: dict[str, Any]) -> str:
    """Every figure on a line of its own: of what, held out or seen, value, interval and n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for kind, name in KEYS.items():
        for row in report.get(name, []):
            for training, found in (("held out", row), ("seen", row["seen"])):
                for key in FIGURES[name] if found else ():
                    low_high = found.get(f"{key}_interval") or ("", "")
                    n_real = found["fpr_n"] if key == "fpr" else 0 if key == "miss_rate" else found["n_real"]
                    n_made = found["miss_rate_n"] if key == "miss_rate" else 0 if key == "fpr" else found["n_generated"]
                    writer.writerow(
                        [kind, inert(row[kind]), training, row["view"], key, found[key], *low_high, n_real, n_made]
                    )
    return text.getvalue()
