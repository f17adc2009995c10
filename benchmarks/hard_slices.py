"""Error rates on hard pictures, from a report of `fakeface evaluate --sweep`: small, badly saved, grey, retouched.

    fakeface evaluate runs/resnet50-cnn-taught/model --data "../shared/faces/pool-*.parquet" --sweep --dtype auto \\
        --limit 600 --out runs/sweep
    python benchmarks/hard_slices.py runs/sweep/evaluation.json [--page docs/results.md]

Writes benchmarks/hard_slices.csv: for every step of the sweep and split its figures with 95 % intervals; and with
--page the table there, of the test pictures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from figures_file import as_columns, keep, read_figures, with_ends

from fakeface.evaluation.text import cell
from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

FIGURES = ("auc", "auc_real_changed", "auc_generated_changed", "fpr", "miss_rate")
# What stands for the hard pictures of each kind; the CSV has all steps.
SHOWN = {
    "thumbnail 112": "small: 112 px and JPEG 75",
    "thumbnail 80": "80 px",
    "thumbnail 48": "48 px",
    "JPEG 30": "JPEG 30",
    "WebP 30": "WebP 30",
    "messenger, then social feed": "sent by a messenger, then posted",
    "screenshot": "screenshot",
    "blur 2": "blurred, sigma 2 at 280 px",
    "noise 10": "noise, 10 grey levels",
    "grey": "grey",
    "smooth skin": "skin smoothed",
    "beautify": "beautified",
    "tone mapping": "tone-mapped as HDR is",
    "denoise": "denoised",
    "upscale": "enlarged",
    "moved 10 %": "moved by up to a tenth",
    "turned 12°": "turned by up to 12°",
}
COLUMNS = ("split", "view", "n_real", "n_generated", "weights_sha256", *with_ends(*FIGURES))


def rows_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for the clean pictures of each split, and one for each step."""
    splits = list(dict.fromkeys(row["split"] for row in report["sweep"]))
    clean = [row for row in report["overall"] if row["view"] == "clean" and row["split"] in splits]
    rows = []
    for found in [*clean, *report["sweep"]]:
        row = {key: found[key] for key in ("split", "view", "n_real", "n_generated")}
        rows.append({**row, "weights_sha256": report["weights_sha256"], **as_columns(found, FIGURES)})
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of docs/results.md, from rows as they stand in the CSV or as `rows_of` gives them."""
    found = {row["view"]: read_figures(row, FIGURES) for row in rows if row["split"] == "test"}
    clean = found["clean"]
    head = [
        f"{clean['n_real']} + {clean['n_generated']} test pictures",
        "AUC",
        "photographs called generated",
        "missed",
    ]
    cells = []
    for view, name in {"clean": "as they are", **SHOWN}.items():
        cells.append([name, *(cell(found[view], key) for key in ("auc", "fpr", "miss_rate"))])
    return table(head, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    rows = rows_of(json.loads(options.report.read_text(encoding="utf-8")))
    keep(options.out, rows, COLUMNS)
    if options.page:
        fill_block(options.page, "hard slices", as_markdown(rows))


if __name__ == "__main__":
    main()
