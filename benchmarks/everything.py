"""A model before and after it went on to all pictures, on those that neither saw: the validation pictures.

    python benchmarks/everything.py BEFORE AFTER [--page docs/checkpoint.md]
        [--data "../shared/faces/pool-*.parquet" "../shared/faces/modern-*.parquet"]

Model folders, such as runs/resnet50-cnn-taught/model and runs/resnet50-cnn-taught/everything/model. Writes
benchmarks/everything.csv: validation pictures of known sources, and the share of the unseen sources that stayed out.
Of those sources other pictures were seen after, and not before, so that these rows do not say how the model fares with
sources that it has not seen. Faces are found and cut as in use.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from figures_file import as_columns, keep, read_figures, with_ends

from fakeface import Detector, Result, load_picture
from fakeface.data.loading import open_dataset, prepare_splits
from fakeface.evaluation.inputs import recipe_for
from fakeface.evaluation.subjects import weights_sha256
from fakeface.metrics.detection import detection_metrics
from fakeface.release.card import fill_block
from fakeface.reports.markdown import figure, table

FIGURES = ("auc",)
COUNTS = ("real_called_generated", "generated_called_generated")
COLUMNS = ("pictures", "weights", "n_real", "n_generated", *with_ends(*FIGURES), *COUNTS)
DATA = ["../shared/faces/pool-*.parquet", "../shared/faces/modern-*.parquet"]
PARTS = ("known sources", "unseen sources")


def rows_of(weights: str, labels: np.ndarray, unseen: np.ndarray, results: list[Result]) -> list[dict[str, Any]]:
    """A row for either part; pictures without a face stand in none.

    Args:
        weights: name of the model.
        labels: 0 real, 1 generated, (n,).
        unseen: whether the picture's source was unseen at first, (n,).
        results: of the pictures.
    """
    scores = np.array([np.nan if result.score is None else result.score for result in results])
    called = np.array([result.verdict == "generated" for result in results])
    rows = []
    for part, name in enumerate(PARTS):
        inside = (unseen == bool(part)) & ~np.isnan(scores)
        found = detection_metrics(labels[inside], scores[inside], list(FIGURES))
        counts = [int((called & inside & (labels == label)).sum()) for label in (0, 1)]
        n = {f"n_{label}": int((labels[inside] == value).sum()) for value, label in enumerate(("real", "generated"))}
        rows.append(
            {
                "pictures": name,
                "weights": weights,
                **n,
                **as_columns(found, FIGURES),
                **dict(zip(COUNTS, counts, strict=True)),
            }
        )
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    head = ["validation pictures of", "weights", "photographs + generated", "AUC", "photographs called generated"]
    cells = []
    for row in rows:
        told, name = read_figures(row, FIGURES), f"`{str(row['weights'])[:8]}`"
        counts = (str(row[count]) for count in COUNTS)
        auc = figure(told, "auc")
        cells.append([row["pictures"], name, f"{row['n_real']} + {row['n_generated']}", auc, *counts])
    return table([*head, "generated called generated"], cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs=2, type=Path, metavar="MODEL", help="before and after")
    parser.add_argument("--data", nargs="+", default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    recipe = recipe_for(options.models[0], None, options.data)
    dataset = open_dataset(recipe.data)
    known = prepare_splits(dataset, **recipe.split_options())[0]["validation"]
    part = prepare_splits(dataset, **{**recipe.split_options(), "learn_all": True})[0]["validation"]
    unseen = ~np.isin(part["sha256"][:], known["sha256"][:])
    pictures = [load_picture(image) for image in part["image"]]
    rows = []
    for model in options.models:
        results = list(Detector.from_pretrained(model, dtype="auto").stream(iter(pictures)))
        rows += rows_of(weights_sha256(model)[:16], np.array(part["label"][:]), unseen, results)
    rows.sort(key=lambda row: PARTS.index(row["pictures"]))
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "everything", as_markdown(rows))


if __name__ == "__main__":
    main()
