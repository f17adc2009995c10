"""benchmarks/trainings.py: figures with and without the pictures in doubt, and the table in docs/checkpoint.md."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from former_weights import FORMER_FAST

from benchmarks.trainings import FOUND, as_markdown, rows_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = []
    for split in ("validation", "test", "unseen"):
        for view in ("clean", "delivered"):
            for i, label in enumerate([0] * 110 + [1] * 50):
                score = 0.99 if label == 0 and i < 3 and view == "clean" else 0.1 + 0.6 * label + i / 1000
                rows.append({"sha256": f"{split}-{i}", "split": split, "view": view, "label": label, "score": score})
    pd.DataFrame(rows).to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "evaluation.json").write_text(json.dumps({"weights_sha256": "ab" * 32}))
    return tmp_path


def test_pictures_in_doubt_count_in_one_row_and_not_in_the_other(folder: Path):
    rows = {
        (row["split"], row["view"], row["pictures"]): row
        for row in rows_of("x", folder, {"test-0", "test-1", "test-2"})
    }
    assert len(rows) == 12
    every, rest = (rows["test", "clean", kind] for kind in ("all", "undoubted"))
    assert (every["n_real"], rest["n_real"], every["n_generated"]) == (110, 107, 50)
    assert every["auc"] == pytest.approx(107 / 110, abs=1e-4)
    assert (every[FOUND], rest["auc"], rest[FOUND]) == (0, 1, 1)
    assert rows["validation", "clean", "undoubted"]["auc"] == every["auc"]
    assert rows["test", "delivered", "all"]["auc"] == 1


def test_a_line_for_each_training(folder: Path):
    lines = as_markdown([*rows_of("x", folder, set()), *rows_of("y", folder, set())]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| x", "| y"]
    assert len({line.count(" | ") for line in lines if "---" not in line}) == 1


def test_the_page_shows_the_committed_figures_of_the_former_weights(repo: Path):
    block = (repo / "docs" / "checkpoint.md").read_text(encoding="utf-8").partition("<!-- trainings: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of trainings -->")[0].strip()
    kept = list(csv.DictReader((repo / "benchmarks" / "trainings.csv").read_text(encoding="utf-8").splitlines()))
    assert shown == as_markdown(kept)
    own = {row["weights_sha256"] for row in kept if row["training"] == "shipped"}
    assert own == {FORMER_FAST}
    assert np.all([float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) for row in kept])
