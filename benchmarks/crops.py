"""What `--crops N` brings: the mean over several crops of a face, on validation pictures.

    python benchmarks/crops.py --data "../shared/faces/pool-*.parquet" [--page docs/checkpoint.md]

On validation pictures, since what it shows decides how the model is used. Writes benchmarks/crops.csv: AUC clean and
delivered, with 95 % intervals.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from figures_file import as_columns, keep, read_figures, with_ends

from fakeface import Detector
from fakeface.data.augment import AugmentRows
from fakeface.data.views import DELIVERED_EPOCH
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.evaluation.subjects import weights_sha256
from fakeface.metrics.detection import detection_metrics
from fakeface.release.card import fill_block
from fakeface.reports.markdown import figure, table

CROPS = {1: "the face, as shipped", 2: "the face and its mirror image", 10: "these, four corners and theirs"}
VIEWS = ("clean", "delivered")
COLUMNS = ("crops", "split", "view", "n_real", "n_generated", *with_ends("auc"), "weights_sha256")


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """A line for each number of crops, from rows as they stand in the CSV."""
    cells: dict[str, list[str]] = {}
    for row in rows:
        line = cells.setdefault(str(row["crops"]), [f"{row['crops']}: {CROPS[int(row['crops'])]}"])
        line.append(figure(read_figures(row, ("auc",)), "auc"))
    return table(["`--crops`", *(f"validation, {view}" for view in VIEWS)], list(cells.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--model", type=Path, default=Path("runs/resnet50-cnn-taught/model"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    recipe = recipe_for(options.model, None, options.data)
    splits, _ = held_out(recipe, options.model)
    part = splits["validation"]
    deliver = AugmentRows(recipe.augmentation_settings(), recipe.seed, DELIVERED_EPOCH)  # as `fakeface evaluate` does
    rows = []
    for crops in CROPS:
        detector = Detector.from_pretrained(str(options.model), faces=False, dtype="auto", crops=crops)
        for view in VIEWS:
            pictures = part["image"]
            if view == "delivered":
                pictures = (deliver({"image": image}, i)["image"] for i, image in enumerate(part["image"]))
            scores = [result.score for result in detector.stream(pictures)]
            found = detection_metrics(np.array(part["label"]), np.array(scores, float), ("auc",))
            row = {"crops": crops, "split": "validation", "view": view}
            row |= {key: found[key] for key in ("n_real", "n_generated")} | as_columns(found, ("auc",))
            rows.append({**row, "weights_sha256": weights_sha256(options.model)})
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "crops", as_markdown(rows))


if __name__ == "__main__":
    main()
