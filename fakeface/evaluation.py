"""Measure a model folder on held-out pictures, clean and delivered: overall, per generator, per real source."""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from datasets import DatasetDict
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .configuration_fakeface import FakeFaceConfig
from .data.augment import Augmentation
from .data.loading import fingerprint
from .data.pictures import Pictures
from .detector import Detector, verdict
from .metrics import (
    bootstrap_interval,
    detection_metrics,
    expected_calibration_error,
    rank_auc,
    tpr_at_fpr,
    wilson_interval,
)

HELD_OUT = ("validation", "test", "unseen")
VIEWS = ("clean", "delivered")
STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": rank_auc,
    "tpr_at_fpr_0.01": partial(tpr_at_fpr, fpr=0.01),
}
# Below this many pictures a rate says nothing: one error is five per cent.
SMALLEST_ROW = 20


@torch.inference_mode()
def score_splits(
    detector: Detector,
    splits: DatasetDict,
    *,
    how: Augmentation | None = None,
    seed: int = 0,
    batch_size: int = 32,
    workers: int = 0,
) -> pd.DataFrame:
    """Score every held-out picture in every view.

    Args:
        detector: the model under test, at the precision its users get.
        splits: from `prepare_splits`.
        how, seed: of the delivered view.
        batch_size: pictures to a forward pass.
        workers: processes that decode.

    Returns:
        A row for each picture and view: `split, view, sha256, label, source, generator, score`.
    """
    device = detector.model.device
    tables = []
    for split in [name for name in HELD_OUT if name in splits]:
        part = splits[split]
        columns = {name: part[name] for name in ("sha256", "label", "source", "generator")}
        for view in VIEWS:
            pictures = Pictures(part, detector.processor, view, how, seed)
            scores = []
            for batch in tqdm(DataLoader(pictures, batch_size, num_workers=workers), desc=f"{split}, {view}"):
                logits = detector.model(pixel_values=batch["pixel_values"].to(device)).logits
                scores.append(logits.softmax(-1)[:, 1].cpu().numpy())
            tables.append(pd.DataFrame({"split": split, "view": view, **columns, "score": np.concatenate(scores)}))
    return pd.concat(tables, ignore_index=True)


def evaluate_folder(
    folder: str | Path, splits: DatasetDict, command: str, **options: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Scores and report of a model folder; `options` as for `score_splits`.

    The report names the command, the weights by their sha256 and each split by its fingerprint, so that a figure can
    be traced.

    Raises:
        ModelFolderError: the model cannot be loaded.
    """
    detector = Detector.from_pretrained(str(folder), faces=False)
    scores = score_splits(detector, splits, **options)
    report = {
        "command": command,
        "weights_sha256": weights_sha256(folder),
        "architecture": detector.config.architecture,
        "data": {
            name: {"pictures": len(part), "fingerprint": fingerprint(part)} for name, part in sorted(splits.items())
        },
        **tabulate(scores, detector.config),
    }
    return scores, report


def weights_sha256(folder: str | Path) -> str:
    """sha256 of a model folder's weights, as 64 hex digits."""
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


def tabulate(scores: pd.DataFrame, config: FakeFaceConfig) -> dict[str, Any]:
    """All tables of a report from the rows of `score_splits`.

    Returns:
        `operating_point` and lists of rows: `overall` (per split and view), `generators` (each against all real
        pictures of its split and view) and `real_sources` (false-positive rate). `kept_out` is the false-positive
        rate of seen sources over validation and test together, all of which training never saw.
    """
    scores = scores.assign(verdict=[verdict(score, config) for score in scores["score"]])
    overall, generators, real_sources = [], [], []
    for (split, view), rows in _groups(scores, "split", "view", sort=False):
        place = {"split": split, "view": view}
        real, generated = _of_label(rows, 0), _of_label(rows, 1)
        overall.append({**place, **_overall(rows)})
        for (generator,), made in _groups(generated, "generator"):
            versus = pd.concat([real, made])
            generators.append({**place, "generator": generator, **_ranking(versus), **_rate(made, "miss_rate")})
        for (source,), photographs in _groups(real, "source"):
            real_sources.append({**place, "source": source, **_rate(photographs, "fpr")})
    held_out = cast(pd.DataFrame, scores[scores["split"].isin(["validation", "test"])])
    kept_out = [
        {"source": source, "view": view, **_rate(rows, "fpr")}
        for (source, view), rows in _groups(_of_label(held_out, 0), "source", "view")
    ]
    return {
        "operating_point": {
            name: getattr(config, name) for name in ("threshold_generated", "threshold_real", "target_fpr")
        },
        "overall": overall,
        "generators": generators,
        "real_sources": real_sources,
        "kept_out": kept_out,
    }


def _groups(rows: pd.DataFrame, *columns: str, sort: bool = True) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    for key, group in rows.groupby(list(columns), sort=sort):
        yield cast(tuple[str, ...], key), group


def _of_label(rows: pd.DataFrame, label: int) -> pd.DataFrame:
    return cast(pd.DataFrame, rows[rows["label"] == label])


def _overall(rows: pd.DataFrame) -> dict[str, Any]:
    ece = expected_calibration_error(rows.label.to_numpy(), rows.score.to_numpy())
    return {
        **_ranking(rows),
        **_rate(_of_label(rows, 0), "fpr"),
        **_rate(_of_label(rows, 1), "miss_rate"),
        "uncertain": float((rows.verdict == "uncertain").mean()),
        "ece": None if np.isnan(ece) else ece,
    }


def _ranking(rows: pd.DataFrame) -> dict[str, Any]:
    """AUC and TPR at 1 % FPR with their intervals; `None` where a label is missing or reals are too few."""
    labels, scores = rows.label.to_numpy(), rows.score.to_numpy()
    figures = detection_metrics(labels, scores)
    result: dict[str, Any] = {"n_real": figures["n_real"], "n_generated": figures["n_generated"]}
    for name, statistic in STATISTICS.items():
        result[name] = figures[name]
        if figures[name] is not None:
            result[f"{name}_interval"] = bootstrap_interval(labels, scores, statistic)
    return result


def _rate(rows: pd.DataFrame, name: str) -> dict[str, Any]:
    """Share of one label's pictures with the opposite verdict: real called generated, or generated called real."""
    if len(rows) < SMALLEST_ROW:
        return {f"{name}_n": len(rows), name: None}
    wrong = rows.verdict == ("generated" if name == "fpr" else "real")
    return {
        f"{name}_n": len(rows),
        name: float(wrong.mean()),
        f"{name}_interval": wilson_interval(int(wrong.sum()), len(rows)),
    }


def write_report(folder: str | Path, scores: pd.DataFrame, report: dict[str, Any]) -> None:
    """Write `scores.csv`, `evaluation.json` and `evaluation.md` into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scores.to_csv(folder / "scores.csv", index=False, float_format="%.6f")
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "evaluation.md").write_text(markdown(report))


def markdown(report: dict[str, Any]) -> str:
    """The tables of a report as Markdown."""
    overall = table(
        ["split", "view", "real + generated", "AUC", "TPR at 1 % FPR", "false positives", "missed", "uncertain", "ECE"],
        [
            [
                row["split"],
                row["view"],
                *overall_cells(row),
            ]
            for row in report["overall"]
        ],
    )
    generators = table(
        ["generator", "split", "view", "n", "AUC", "missed"],
        [
            [r["generator"], r["split"], r["view"], str(r["n_generated"]), figure(r, "auc"), percent(r, "miss_rate")]
            for r in report["generators"]
        ],
    )
    sources = table(
        ["real source", "split", "view", "n", "false positives"],
        [[r["source"], r["split"], r["view"], str(r["fpr_n"]), percent(r, "fpr")] for r in report["real_sources"]],
    )
    return f"{overall}\n\n{generators}\n\n{sources}\n"


def overall_cells(row: dict[str, Any]) -> list[str]:
    """The figures of an `overall` row: n, AUC, TPR at 1 % FPR, false positives, missed, uncertain, ECE."""
    return [
        f"{row['n_real']} + {row['n_generated']}",
        figure(row, "auc"),
        figure(row, "tpr_at_fpr_0.01"),
        percent(row, "fpr"),
        percent(row, "miss_rate"),
        f"{100 * row['uncertain']:.1f} %",
        "–" if row["ece"] is None else f"{row['ece']:.3f}",
    ]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(row: dict[str, Any], name: str) -> str:
    """`0.987 (0.981–0.992)`, or a dash where it could not be measured."""
    if row.get(name) is None:
        return "–"
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} ({low:.3f}–{high:.3f})"


def percent(row: dict[str, Any], name: str) -> str:
    """`1.2 % (0.6–2.3)`, or a dash where there are too few pictures."""
    if row.get(name) is None:
        return "–"
    low, high = row[f"{name}_interval"]
    return f"{100 * row[name]:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
