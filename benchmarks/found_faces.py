"""What finding faces changes: the same held-out pictures judged as they are, and by the faces found in them.

    python benchmarks/found_faces.py [--page docs/results.md]
        [--data "../shared/faces/pool-*.parquet"] [--model runs/resnet50-cnn-taught/model]

Writes benchmarks/found_faces.csv, and with --page the table there; readme_tables.py writes the README's from the CSV.
AUC is over the pictures in which a face was found, for both; the verdicts are over all pictures of a label, so that a
face that is not found shows.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from figures_file import keep, with_ends
from tqdm import tqdm

from fakeface import Detector, Result
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.faces import FaceFinder
from fakeface.metrics.detection import detection_metrics
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

ROOT = Path(__file__).resolve().parents[1]
SPLITS = {"test": "test", "unseen": "unseen sources"}
VERDICTS = ("real", "uncertain", "generated", "no face")
WAYS = ("as it is", "found faces")
LABELS = ("real", "generated")
COLUMNS = ("split", "way", "n_with_face", *with_ends("auc"))
COLUMNS += tuple(name for label in LABELS for name in (f"n_{label}", *(f"{label}: {verdict}" for verdict in VERDICTS)))


def rows_of(split: str, labels: np.ndarray, judged: dict[str, list[Result]]) -> list[dict[str, Any]]:
    """A row for each way, its AUC with interval and the verdicts on either label.

    Args:
        split: name of the rows.
        labels: 0 real, 1 generated, (n,).
        judged: each way's n results, none of a refused picture; `found faces` may be without a score.
    """
    scored = np.array([result.score is not None for result in judged["found faces"]])
    rows = []
    for way, results in judged.items():
        scores = np.array([np.nan if result.score is None else result.score for result in results])
        figures = detection_metrics(labels[scored], scores[scored], names=("auc",))
        row = {"split": split, "way": way, "n_with_face": int(scored.sum()), "auc": round(figures["auc"], 4)}
        row |= dict(zip(("auc_low", "auc_high"), np.round(figures["auc_interval"], 4).tolist(), strict=True))
        for label, name in enumerate(LABELS):
            of = [result.verdict for result, its in zip(results, labels, strict=True) if its == label]
            counts = Counter(of)
            row |= {f"n_{name}": len(of), **{f"{name}: {verdict}": counts[verdict] for verdict in VERDICTS}}
        rows.append(row)
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of docs/results.md."""
    head = ["pictures, judged", "AUC", *(f"{label} called {verdict}" for label in LABELS for verdict in VERDICTS)]
    cells = []
    for row in rows:
        shares = [row[f"{label}: {verdict}"] / row[f"n_{label}"] for label in LABELS for verdict in VERDICTS]
        name = f"{row['split']} ({row['n_real']} + {row['n_generated']}), {row['way']}"
        auc = f"{row['auc']:.3f} ({row['auc_low']:.3f}–{row['auc_high']:.3f})"
        cells.append([name, auc, *(f"{100 * share:.1f} %" for share in shares)])
    return table(head, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["../shared/faces/pool-*.parquet"])
    parser.add_argument("--model", default="runs/resnet50-cnn-taught/model")
    parser.add_argument("--face-model", help="YuNet's ONNX file; by default the package's own")
    parser.add_argument("--limit", type=int, default=0, help="pictures of each split; 0 for all")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    splits, _ = held_out(recipe_for(Path(options.model), None, options.data), Path(options.model), limit=options.limit)
    finder = FaceFinder.from_pretrained(options.face_model)
    detectors = {
        "as it is": Detector.from_pretrained(options.model, faces=False),
        "found faces": Detector.from_pretrained(options.model, faces=finder),
    }
    rows = []
    for split, name in SPLITS.items():
        part = splits[split]
        judged = {
            way: list(tqdm(detector.stream(iter(part["image"])), total=len(part), desc=f"{name}, {way}"))
            for way, detector in detectors.items()
        }
        rows += rows_of(name, np.array(part["label"]), judged)
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "found faces", as_markdown(rows))


if __name__ == "__main__":
    main()
