"""Figures of a model on what it was trained without, and the report of all such models."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from datasets import DatasetDict

from .evaluation_tables import summarise, tabulate
from .measured_data import spread
from .recipe import Recipe
from .score_cache import ScoreCache
from .score_views import COLUMNS, score_splits
from .subjects import open_subject

EVERYTHING = "everything"  # the entry that leaves nothing out
HELD_OUT = "held out"
SEEN = "seen"
KEYS = {"generator": "generators", "source": "real_sources"}  # tables by the kind of what is left out


@dataclass(frozen=True)
class Entry:
    """One model to train, and what it is trained without.

    Attributes:
        kind: `generator` or `source`; empty for the one that leaves nothing out.
        name: of the generator or source.
        splits: of the data, what is left out among `unseen`.
        folder: where its run and figures go.
    """

    kind: str
    name: str
    splits: DatasetDict
    folder: Path

    @property
    def title(self) -> str:
        return f"without {self.kind} {self.name}" if self.kind else EVERYTHING


def measure(
    recipe: Recipe, entry: Entry, *, limit: int, device: str | None, batch_size: int, workers: int
) -> dict[str, Any]:
    """Figures of an entry's model on what it was trained without, and on test pictures where it saw everything.

    Every generator is set against the test photographs, which no training saw; a source's false-positive rate is that
    at the operating point chosen on validation pictures.
    """
    subject = open_subject(str(entry.folder / "run" / "model"), device=device)
    scores = score_splits(
        subject,
        _to_measure(entry, limit),
        how=recipe.augmentation_settings(),
        seed=recipe.seed,
        batch_size=batch_size,
        workers=workers,
        cache=ScoreCache(entry.folder / "scored", subject.digest),
    )
    run = json.loads((entry.folder / "run" / "run.json").read_text(encoding="utf-8"))
    dropped = entry.splits.get("dropped")
    return {
        "weights_sha256": subject.weights_sha256,
        "operating_point": {name: getattr(subject.point, name) for name in ("threshold_generated", "target_fpr")},
        "near_duplicates_dropped": len(dropped) if dropped else 0,
        **_rows(entry, scores, subject.point),
        **{key: run[key] for key in ("versions", "python", "device", "mixed_precision", "processes")},
    }


def _to_measure(entry: Entry, limit: int) -> DatasetDict:
    """Of a generator its pictures and the test photographs, of a source its pictures, of everything test and unseen."""
    masks = {}
    for name in ("test", "unseen"):
        if part := entry.splits.get(name):
            masks[name] = np.ones(len(part), bool)
            if entry.kind and name == "test":
                masks[name] = np.asarray(part["label"]) == (0 if entry.kind == "generator" else -1)
            elif entry.kind:
                masks[name] = np.asarray(part[entry.kind]) == entry.name
    parts = {name: entry.splits[name].select(np.flatnonzero(mask)) for name, mask in masks.items() if mask.any()}
    return DatasetDict({k: spread(part.select_columns(["image", *COLUMNS]), limit) for k, part in parts.items()})


def _rows(entry: Entry, scores: pd.DataFrame, point: Any) -> dict[str, list[dict[str, Any]]]:
    """The tables of an entry; each row says whether training saw its generator or source."""
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in KEYS.values()}
    for kind, table in KEYS.items():
        if entry.kind in ("", kind):
            # As one split, so that generators that are in no test split meet the test photographs, and those alone.
            kept = scores
            if kind == "generator":
                kept = cast(pd.DataFrame, scores[(scores["split"] == "test") | (scores["label"] == 1)])
            seen = set(entry.splits["train"][kind])
            rows[table] = [
                {**row, "split": SEEN if row[kind] in seen else HELD_OUT}
                for row in tabulate(kept.assign(split=HELD_OUT), point)[table]
                if not entry.kind or row[kind] == entry.name
            ]
    return rows


def assemble(records: Sequence[dict[str, Any]], recipe: Recipe, command: str) -> dict[str, Any]:
    """The report of the entries measured so far: a row for each held-out generator and source, the seen one beside it.

    Args:
        records: of entries, the one that leaves nothing out first.
        recipe, command: for the report.

    Returns:
        `generators` and `real_sources`: figures when held out, and under `seen` those of the model of everything on
        test pictures (`None` for what the data themselves keep out of training); `summary`: the mean and the worst.
    """
    whole, *others = records
    report: dict[str, Any] = {"command": command, "recipe": dataclasses.asdict(recipe)}
    for kind, table in KEYS.items():
        seen = {(row[kind], row["view"]): row for row in whole[table] if row["split"] == SEEN}
        # What the data or the recipe keep out of training needs no training of its own.
        free = [row for row in whole[table] if row["split"] == HELD_OUT]
        own = [row for record in others if record["kind"] == kind for row in record[table]]
        report[table] = [{**row, "seen": seen.get((row[kind], row["view"]))} for row in [*own, *free]]
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
