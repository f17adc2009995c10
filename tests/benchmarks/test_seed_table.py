"""benchmarks/seed_table.py: what goes into its rows, the two files and docs/results.md. Training has its own tests."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from former_weights import FORMER_FAST

from benchmarks.seed_table import Judged, as_csv, as_markdown, ours, rows_of


def judged(name: str, scores: list[float], taken: slice = slice(None), refused: int = 0) -> Judged:
    """Eight pictures, four of each label in each split, the same scores in both."""
    rows = pd.DataFrame(
        {
            "split": np.repeat(["test", "unseen"], 8),
            "sha256": [f"{i:064x}" for i in range(16)],
            "label": [0, 1] * 8,
            "score": scores * 2,
        }
    )
    parts = [rows.loc[rows["split"] == split].iloc[taken] for split in ("test", "unseen")]
    counts = {"test": refused, "unseen": 0} if refused else {}
    return Judged(name, f"{name} px", name * 8, pd.concat(parts), counts)


PERFECT = [0.1, 0.9] * 4
HALF_WRONG = [0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9, 0.1]


@pytest.fixture
def rows():
    return rows_of([judged("a", HALF_WRONG), judged("b", [-3.0, 40.0] * 4, slice(4), refused=4)])


def test_rows_hold_all_that_is_taken_and_what_is_common(rows):
    found = {(row["architecture"], row["split"], row["pictures"]): row for row in rows}
    assert len(found) == len(rows) == 8
    whole, common = found["a", "test", "accepted"], found["a", "test", "common"]
    assert (whole["n_real"], whole["n_generated"], whole["auc"]) == (4, 4, 0.5)
    assert (common["n_real"], common["n_generated"], common["auc"]) == (2, 2, 1.0)  # the first four are right
    assert found["b", "unseen", "accepted"]["auc"] == 1.0
    assert found["b", "test", "common"]["refused"] == 4
    low, high = whole["auc_interval"]
    assert low < 0.5 < high


def test_labels_that_differ_are_refused():
    other = judged("b", PERFECT)
    other.scores["label"] = 1 - other.scores["label"]
    with pytest.raises(ValueError, match="test: the scores do not agree on the labels"):
        rows_of([judged("a", PERFECT), other])


def test_csv_has_a_line_for_each_row(rows):
    lines = list(csv.DictReader(as_csv(rows).splitlines()))
    assert len(lines) == 8
    assert lines[0]["architecture"] == "a"
    assert lines[0]["auc"] == "0.5000"
    assert lines[0]["fed"] == "a px"
    assert float(lines[0]["low"]) < 0.5 < float(lines[0]["high"])
    assert lines[0]["weights_sha256"] == "a" * 8


def test_markdown_says_how_each_was_fed_and_on_how_many(rows):
    head, _, first, second = as_markdown(rows).splitlines()
    assert "test, the same 2 + 2" in head
    assert "unseen sources, the same 2 + 2" in head
    assert first.startswith("| `a` | a px | 0.500 (")
    assert "; 4 + 4 |" in first
    assert "1.000 (1.000–1.000); 2 + 2, refused 4" in second


def test_what_is_trained_and_scored_is_taken_as_it_is(tmp_path):
    """Had it not been, train.py would be run, and there is no data."""
    model = tmp_path / "cnn" / "model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"")
    (model / "preprocessor_config.json").write_text(json.dumps({"size": 64, "crop_fraction": 0.875}))
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of no bytes
    (tmp_path / "cnn" / "evaluation.json").write_text(json.dumps({"weights_sha256": nothing}))
    lines = [
        "split,view,sha256,label,score",
        "test,clean,aa,0,0.25",
        "test,delivered,aa,0,0.5",
        "validation,clean,bb,1,1",
    ]
    (tmp_path / "cnn" / "scores.csv").write_text("\n".join(lines))
    found = ours("cnn", ["no-such-data.parquet"], tmp_path)
    assert found.fed == "64 px, resized from the centre 0.875"
    assert found.weights_sha256 == nothing
    assert found.scores["score"].tolist() == [0.25]


def test_the_page_shows_the_table_of_the_shipped_checkpoint(repo):
    """Both are empty until the command has been run; after that neither may be older than the checkpoint."""
    _, _, rest = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- seed table: ")
    shown = rest.partition(" -->\n")[2].partition("<!-- end of seed table -->")[0].strip()
    file = repo / "benchmarks" / "seed_table.md"
    assert shown == (file.read_text(encoding="utf-8").strip() if file.exists() else "")
    if shown:
        lines = csv.DictReader((repo / "benchmarks" / "seed_table.csv").read_text(encoding="utf-8").splitlines())
        told = {line["weights_sha256"] for line in lines if line["architecture"] == "resnet50-cnn"}
        assert told == {FORMER_FAST}
