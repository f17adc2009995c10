"""Trainings set side by side, also without the pictures whose label is in doubt.

    fakeface evaluate runs/third/model --data "../shared/faces/pool-*.parquet" --dtype auto --out runs/third/measured
    python benchmarks/trainings.py shipped=runs/full third=runs/third/measured fourth=runs/fourth/measured \\
        --without configs/doubtful-labels.txt [--page docs/checkpoint.md]

Each NAME=FOLDER is what `fakeface evaluate --out` wrote of a model. Writes benchmarks/trainings.csv: for every split,
clean and delivered, AUC and share found at 1 % false positives, of all pictures and of all but those that the file
names, with 95 % intervals.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
from figures_file import as_columns, keep, read_figures, with_ends

from fakeface.evaluation.text import cell
from fakeface.metrics.detection import detection_metrics
from fakeface.recipe import named_pictures
from fakeface.release.card import fill_block
from fakeface.reports.markdown import figure, table

FOUND = "tpr_at_fpr_0.01"
FIGURES = ("auc", FOUND)
SPLITS = ("validation", "test", "unseen")
VIEWS = ("clean", "delivered")
KINDS = {"all": "all pictures", "undoubted": "all but those in doubt"}
COLUMNS = ("training", "split", "view", "pictures", "n_real", "n_generated", *with_ends(*FIGURES), "weights_sha256")


def rows_of(name: str, folder: Path, doubtful: set[str]) -> list[dict[str, Any]]:
    """The figures of one training."""
    report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    scores, rows = pd.read_csv(folder / "scores.csv"), []
    for split in SPLITS:
        for view in VIEWS:
            for kind in KINDS:
                own = scores.loc[(scores["split"] == split) & (scores["view"] == view)]
                if kind == "undoubted":
                    own = own.loc[~own["sha256"].isin(list(doubtful))]
                found = detection_metrics(own["label"].to_numpy(), own["score"].to_numpy(), FIGURES)
                row: dict[str, Any] = {"training": name, "split": split, "view": view, "pictures": kind}
                row |= {key: found[key] for key in ("n_real", "n_generated")} | as_columns(found, FIGURES)
                rows.append({**row, "weights_sha256": report["weights_sha256"]})
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Clean pictures of the validation, test and unseen splits, from rows as they stand in the CSV."""
    lines: dict[str, list[str]] = {}
    for row in (read_figures(kept, FIGURES) for kept in rows):
        line = lines.setdefault(row["training"], [row["training"]])
        if row["view"] != "clean" or (row["split"], row["pictures"]) == ("unseen", "undoubted"):
            continue
        line.append(figure(row, "auc"))
        if (row["split"], row["pictures"]) == ("test", "all"):
            line.append(cell(row, FOUND))
    head = ["", "validation", "… without those in doubt", "test", "test, found at 1 % false positives"]
    return table([*head, "test without those in doubt", "unseen sources"], list(lines.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--without", type=Path, required=True, help="text file with the sha256 of pictures")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    doubtful = named_pictures(options.without)
    rows: list[dict[str, Any]] = []
    for given in options.runs:
        name, _, folder = given.partition("=")
        rows += rows_of(name, Path(folder), doubtful)
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "trainings", as_markdown(rows))


if __name__ == "__main__":
    main()
