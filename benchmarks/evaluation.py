"""How long a report takes from scores that are there already: all tables, intervals, and the page.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/evaluation.py [--pictures 10000]

Writes benchmarks/evaluation.csv. The scores are made here: eight generators and eight sources of photographs, the views
clean and delivered sharing the number; `with the sweep` has that many once more in the 30 steps of the sweep.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from figures_file import keep

from fakeface.delivery.sweep import SWEEP
from fakeface.evaluation.page import write_page
from fakeface.evaluation.report import write_report
from fakeface.evaluation.subjects import OperatingPoint
from fakeface.evaluation.tables import tabulate

COLUMNS = ("what", "scores", "rows", "tables_seconds", "files_seconds", "page_seconds", "seconds")


def made(n: int, views: list[str]) -> pd.DataFrame:
    """`n` scores spread over views, labels, sources and generators."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, n)
    place = rng.integers(0, 8, n)
    return pd.DataFrame(
        {
            "split": "all",
            "view": [views[i % len(views)] for i in range(n)],
            "sha256": [f"{i:064x}" for i in range(n)],
            "label": label,
            "source": [f"source-{i}-{k}" for i, k in zip(place, label, strict=True)],
            "generator": [f"generator-{i}" if k else "none" for i, k in zip(place, label, strict=True)],
            "sex": rng.choice(["f", "m"], n),
            "score": 1 / (1 + np.exp(-rng.normal(3 * label - 1.5, 1.5))),
        }
    )


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def measure(what: str, scores: pd.DataFrame) -> dict[str, object]:
    tables, found = timed(lambda: tabulate(scores, OperatingPoint(0.9, 0.2), slices=["sex"], seen={"generator-0"}))
    facts = {"command": "", "model": "made", "architecture": "made", "weights_sha256": "0" * 64, "data": {}}
    with tempfile.TemporaryDirectory() as folder:
        files, _ = timed(lambda: write_report(folder, scores, {**facts, **found}))
        page, _ = timed(lambda: write_page(Path(folder, "page.html"), scores, {**facts, **found}))
    rows = sum(len(found[name]) for name in ("overall", "generators", "novelty", "sweep"))
    times = {"tables_seconds": tables, "files_seconds": files, "page_seconds": page, "seconds": tables + files + page}
    return {"what": what, "scores": len(scores), "rows": rows, **{k: round(v, 2) for k, v in times.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    plain = made(options.pictures, ["clean", "delivered"])
    swept = pd.concat([plain, made(options.pictures, list(SWEEP))], ignore_index=True)
    rows = [measure("clean and delivered", plain), measure("with the sweep", swept)]
    keep(options.out, rows, COLUMNS)


if __name__ == "__main__":
    main()
