"""What the cascade costs and gains: the fast model, the thorough one and both in turn, on the same held-out pictures.

    fakeface calibrate runs/vit-b16-cnn/model --data "../shared/faces/pool-*.parquet" \\
        --data "../shared/faces/modern-*.parquet" --cascade runs/resnet50-cnn-taught/model
    python benchmarks/cascade.py [--limit 300] [--data "../shared/faces/modern-*.parquet"] [--bounds 0.05 0.99]

Writes benchmarks/cascade.csv, a row for each, in one run on one machine: pictures a second of `fakeface score`
(listing, decoding, finding faces and writing included), over those of the thorough model; which share the fast model
decides; on how many verdicts the row agrees with the thorough model; AUC, TPR at 1 % false positives, and the shares
of photographs and generated pictures that are called generated. The pictures are those of unseen sources, split as
the thorough model's training did.

Nothing heavy is imported at the top: the workers of a run import this file.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures_file import as_columns, keep, with_ends

FIGURES = ("auc", "tpr_at_fpr_0.01")
WAYS = ("fast", "thorough", "cascade")
COLUMNS = ("way", "n_real", "n_generated", "decided_by_fast", "agrees", *with_ends(*FIGURES), "fpr", "found")
COLUMNS += ("per_second", "ratio", "real_up_to", "generated_from")


def write_files(part: Any, folder: Path) -> dict[str, int]:
    """The pictures of a split as files, as they stand in its rows; returns the label of each path."""
    labels: dict[str, int] = {}
    for number, row in enumerate(part.select_columns(["image", "label"])):
        file = folder / f"{number:05d}.jpg"
        file.write_bytes(row["image"]["bytes"])
        labels[str(file)] = row["label"]
    return labels


def timed_score(detector: Any, folder: Path, workers: int) -> tuple[float, dict[str, dict[str, Any]]]:
    """Seconds of a whole run of `score`, and its rows by path."""
    import pyarrow.parquet as pq

    from fakeface.score.run import score

    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        score([str(folder)], Path(scratch) / "out.parquet", detector, workers=workers)
        seconds = time.perf_counter() - start
        rows = pq.read_table(Path(scratch) / "out.parquet").to_pylist()
    return seconds, {row["picture"]: row for row in rows}


def row_of(
    way: str,
    found: Mapping[str, Mapping[str, Any]],
    thorough: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, int],
) -> dict[str, Any]:
    """Figures of one way, but for its time.

    Args:
        way: its name.
        found: its rows of `score` by picture.
        thorough: those of the thorough model.
        labels: 0 real, 1 generated, by picture.
    """
    import numpy as np

    from fakeface.detector.cascade import FAST_WAS_SURE
    from fakeface.metrics.detection import detection_metrics

    judged = [name for name in labels if found[name]["score"] is not None]
    of = np.array([labels[name] for name in judged])
    figures = detection_metrics(of, np.array([found[name]["score"] for name in judged]), FIGURES)
    called = np.array([found[name]["verdict"] == "generated" for name in judged])
    agreeing = [found[name]["verdict"] == thorough[name]["verdict"] for name in labels]
    sure = [FAST_WAS_SURE in found[name]["reasons"] for name in judged]
    return {
        "way": way,
        "n_real": figures["n_real"],
        "n_generated": figures["n_generated"],
        "decided_by_fast": round(float(np.mean(sure)), 4) if way == "cascade" else float(way == "fast"),
        "agrees": round(float(np.mean(agreeing)), 4),
        **as_columns(figures, FIGURES),
        "fpr": round(float(called[of == 0].mean()), 4),
        "found": round(float(called[of == 1].mean()), 4),
    }


def rated(rows: Sequence[dict[str, Any]], seconds: Mapping[str, float], n: int) -> list[dict[str, Any]]:
    """The rows with their pictures a second, and how often as many as the thorough model's these are."""
    slow = seconds["thorough"]
    return [
        row | {"per_second": round(n / seconds[row["way"]], 2), "ratio": round(slow / seconds[row["way"]], 2)}
        for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["../shared/faces/modern-*.parquet"])
    parser.add_argument("--fast", default="runs/resnet50-cnn-taught/model")
    parser.add_argument("--thorough", default="runs/vit-b16-cnn/model")
    parser.add_argument("--bounds", type=float, nargs=2, help="by default those stored with the thorough model")
    parser.add_argument("--recipe", type=Path, help="to split the data by; by default the thorough model's own")
    parser.add_argument("--limit", type=int, default=300, help="pictures of unseen sources; 0 for all")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()

    from fakeface import Detector
    from fakeface.evaluation.inputs import held_out, recipe_for

    splits, _ = held_out(
        recipe_for(Path(options.thorough), options.recipe, options.data), Path(options.thorough), limit=options.limit
    )
    bounds = (options.bounds[0], options.bounds[1]) if options.bounds else None
    both = Detector.from_pretrained(
        options.thorough, cascade=options.fast, bounds=bounds, device=options.device, dtype="auto"
    )
    detectors = dict(
        zip(
            WAYS,
            (
                Detector.from_pretrained(options.fast, device=options.device, dtype="auto"),
                Detector.from_pretrained(options.thorough, device=options.device, dtype="auto"),
                both,
            ),
            strict=True,
        )
    )
    seconds, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        labels = write_files(splits["unseen"], Path(folder))
        for way, detector in detectors.items():
            detector([next(iter(labels))])  # the first pass takes longer
            seconds[way], found[way] = timed_score(detector, Path(folder), options.workers)
    rows = [row_of(way, found[way], found["thorough"], labels) for way in WAYS]
    told = {"real_up_to": both.bounds.real_up_to, "generated_from": both.bounds.generated_from}
    keep(options.out, [row | told for row in rated(rows, seconds, len(labels))], COLUMNS)


if __name__ == "__main__":
    main()
