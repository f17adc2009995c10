"""The two shipped models on the same held-out pictures, as users meet them: the found face of each picture.

    fakeface evaluate runs/vit-b16-cnn/model --data "../shared/faces/pool-*.parquet" \\
        --data "../shared/faces/modern-*.parquet" --dtype auto
    fakeface evaluate runs/resnet50-cnn-taught/model --data "../shared/faces/pool-*.parquet" \\
        --data "../shared/faces/modern-*.parquet" --dtype auto --out runs/fast
    python benchmarks/shipped_models.py vit-b16-cnn=runs/vit-b16-cnn/model resnet50-cnn=runs/fast

Writes benchmarks/shipped_models.csv, and shipped_families.csv beside it with the same of each family of generators;
readme_tables.py makes tables of them. Rows of models that are not named stay. The thorough model is measured by its
twin that saw none of these pictures, from the run that made both. Sources that neither saw are apart: those of the
older pool, whose generators are of 2018 to 2022, and those of the modern set.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from figures_file import as_columns, beside, keep, with_ends

from fakeface.evaluation.subjects import OperatingPoint
from fakeface.evaluation.tables import tabulate

OLDER = ("faceshape", "stylegan2-nvlabs", "sfhq-e4e")  # sources of the pool that are kept out of training
PARTS = ("test", "unseen, 2018 to 2022", "unseen, 2022 to 2026", "unseen, all")
FIGURES = ("auc", "tpr_at_fpr_0.01", "fpr", "miss_rate")
OF_FAMILIES = ("auc", "tpr_at_fpr_0.01", "miss_rate")
COLUMNS = ("model", "pictures", "view", "n_real", "n_generated", *with_ends(*FIGURES), "weights", "uncertain")
FAMILY_COLUMNS = ("model", "pictures", "view", "family", "n_generators", "n_real", "n_generated")
FAMILY_COLUMNS += (*with_ends(*OF_FAMILIES), "weights")


def parts_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of `scores.csv` with the parts they belong to as split; those of unseen sources belong to two."""
    unseen = scores.query("split == 'unseen'")
    apart = unseen.assign(split=[PARTS[1 if source in OLDER else 2] for source in unseen["source"]])
    return pd.concat([scores.query("split == 'test'"), apart, unseen.assign(split=PARTS[3])])


def measured(model: str, run: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Of a run of `fakeface evaluate`: a row for each part and view, and one for each family there."""
    report = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    found = tabulate(parts_of(pd.read_csv(run / "scores.csv")), OperatingPoint(**report["operating_point"]))
    weights = {"weights": report["weights_sha256"][:16]}

    def listed(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for row in sorted(found[name], key=lambda row: PARTS.index(row["split"])):
            yield row, {"model": model, "pictures": row["split"], "view": row["view"]}

    overall = [
        {**place, "n_real": row["fpr_n"], "n_generated": row["miss_rate_n"], **as_columns(row, FIGURES), **weights}
        | {"uncertain": round(row["uncertain"], 4)}
        for row, place in listed("overall")
    ]
    names = ("family", "n_generators", "n_real", "n_generated")
    families = [
        {**place, **{name: row[name] for name in names}, **as_columns(row, OF_FAMILIES), **weights}
        for row, place in listed("families")
    ]
    return overall, families


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="folders that `fakeface evaluate --out` wrote")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    pairs = [run.partition("=") for run in options.runs]
    overall, families = zip(*(measured(name, Path(run)) for name, _, run in pairs), strict=True)
    tables = (
        (options.out, overall, COLUMNS),
        (options.out.with_name("shipped_families.csv"), families, FAMILY_COLUMNS),
    )
    for file, rows, columns in tables:
        keep(file, beside(file, list(chain(*rows)), "model"), columns)


if __name__ == "__main__":
    main()
