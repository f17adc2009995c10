"""benchmarks/hard_slices.py: rows of a report, and the table in docs/results.md of the committed ones."""

import csv
from pathlib import Path

import pytest
from former_weights import FORMER_FAST

from benchmarks.hard_slices import SHOWN, as_markdown, rows_of
from fakeface.delivery.sweep import SWEEP


@pytest.fixture
def report():
    counts = {"split": "test", "n_real": 100, "n_generated": 50}
    figures = {"auc": 0.9, "auc_interval": (0.85, 0.95), "fpr": 0.02, "fpr_interval": (0.01, 0.03)}
    missed = {"miss_rate": 0.1, "miss_rate_interval": (0.05, 0.15)}
    swept = [{**counts, "view": view, **figures, **missed, "auc_real_changed": 0.8} for view in SWEEP]
    swept += [{**counts, "view": "JPEG 30", "split": "unseen", "auc": None, "fpr": None, "miss_rate": None}]
    clean = {**counts, "view": "clean", **figures, **missed}
    delivered = {**clean, "view": "delivered"}
    return {"weights_sha256": "ab" * 32, "overall": [clean, delivered], "sweep": swept}


def test_rows_are_of_the_clean_pictures_and_of_every_step(report):
    rows = rows_of(report)
    assert [(row["split"], row["view"]) for row in rows[:2]] == [("test", "clean"), ("test", "JPEG 95")]
    assert len(rows) == 1 + len(SWEEP) + 1
    assert (rows[1]["auc"], rows[1]["auc_low"], rows[1]["auc_real_changed"]) == (0.9, 0.85, 0.8)
    assert rows[-1]["fpr"] is None


def test_the_table_shows_rates_with_their_intervals(report):
    lines = as_markdown(rows_of(report)).splitlines()
    assert lines[0].startswith("| 100 + 50 test pictures | AUC |")
    assert lines[2] == "| as they are | 0.900 (0.850–0.950) | 2.0 % (1.0–3.0) | 10.0 % (5.0–15.0) |"
    assert len(lines) == 3 + len(SHOWN)


def test_the_page_shows_the_committed_figures_of_the_former_weights(repo: Path):
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- hard slices: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of hard slices -->")[0].strip()
    kept = list(csv.DictReader((repo / "benchmarks" / "hard_slices.csv").read_text(encoding="utf-8").splitlines()))
    assert shown == as_markdown(kept)
    assert {row["weights_sha256"] for row in kept} == {FORMER_FAST}
