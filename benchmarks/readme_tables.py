"""The README's two tables, how good the shipped models are and how others compare, read off the CSV files here.

    python benchmarks/readme_tables.py [--readme README.md] [--page docs/results.md]

The page gets all rows of the first, and the families of generators in a block of its own, `families`, where
shipped_families.csv is there.

shipped_models.py and peers.py write those files.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from fakeface.release.card import fill_block
from fakeface.reports.markdown import table

HERE = Path(__file__).parent
PARTS = {
    "unseen, 2022 to 2026": "unseen sources, 2022 to 2026",
    "unseen, 2018 to 2022": "unseen sources, 2018 to 2022",
    "test": "test, known sources",
}


def auc(row: Any) -> str:
    return f"{row['auc']:.3f} ({row['auc_low']:.3f}–{row['auc_high']:.3f})"


def how_good(folder: Path = HERE, views: tuple[str, ...] = ("clean",)) -> str:
    """Rows of shipped_models.csv of those views, the hardest pictures first."""
    rows = pd.read_csv(folder / "shipped_models.csv")
    cells = []
    for pictures, name in PARTS.items():
        for view in views:
            for _, row in rows[(rows["pictures"] == pictures) & (rows["view"] == view)].iterrows():
                shares = (f"{100 * row[share]:.1f} %" for share in ("tpr_at_fpr_0.01", "fpr", "miss_rate"))
                title = f"{name}, {view}" if len(views) > 1 else name
                cells.append([title, f"`{row['model']}`", f"{row['n_real']} + {row['n_generated']}", auc(row), *shares])
    head = ["pictures", "model", "photographs + generated", "AUC", "found at 1 % false positives"]
    return table([*head, "photographs called generated", "generated called real"], cells)


def by_family(folder: Path = HERE) -> str:
    """Rows of shipped_families.csv, the hardest pictures first, a family's models together."""
    rows = pd.read_csv(folder / "shipped_families.csv")
    cells = []
    for pictures, name in PARTS.items():
        part = rows[rows["pictures"] == pictures].sort_values(["family", "view"], kind="stable")  # pyright: ignore
        for _, row in part.iterrows():
            shares = (
                "–" if pd.isna(row[share]) else f"{100 * row[share]:.1f} %"
                for share in ("tpr_at_fpr_0.01", "miss_rate")
            )
            counts = (str(row["n_generators"]), str(row["n_generated"]))
            cells.append([f"{name}, {row['view']}", row["family"], f"`{row['model']}`", *counts, auc(row), *shares])
    head = ["pictures", "family", "model", "generators", "n", "AUC", "found at 1 % false positives"]
    return table([*head, "generated called real"], cells)


def compared(folder: Path = HERE) -> str:
    """AUC of each detector of peers.csv on unseen sources, on what suits it better; the best on today's on top."""
    rows = pd.read_csv(folder / "peers.csv").sort_values("auc", ascending=False)
    best = rows.drop_duplicates(["model", "pictures"])
    head, columns = ["AUC"], []
    for pictures in ("unseen, 2022 to 2026", "unseen, 2018 to 2022"):
        part = best[best["pictures"] == pictures].set_index("model")
        head.append(f"{PARTS[pictures]}, {part['n_real'].iloc[0]} + {part['n_generated'].iloc[0]}")
        columns.append(part)
    return table(head, [[f"`{name}`", *(auc(part.loc[name]) for part in columns)] for name in columns[0].index])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", type=Path, help="also write the tables in there")
    parser.add_argument("--page", type=Path, help="also write all of the first in there")
    options = parser.parse_args()
    if options.page:
        fill_block(options.page, "how good", how_good(views=("clean", "delivered")))
        if (HERE / "shipped_families.csv").exists():
            fill_block(options.page, "families", by_family())
    for name, text in (("how good", how_good()), ("comparison", compared())):
        if options.readme:
            fill_block(options.readme, name, text)
        print(text, end="\n\n")


if __name__ == "__main__":
    main()
