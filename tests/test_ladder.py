"""benchmarks/ladder.py: rungs build on those that are kept, and their figures come from trainings that were run."""

import csv
import subprocess
import sys
from pathlib import Path

import yaml
from train_run import make_pictures

LADDER = {
    "schedule": {
        "architecture": "cnn", "image_size": 16, "epochs": 1, "samples_per_epoch": 32, "batch_size": 8, "workers": 1,
    },
    "rungs": [
        {"name": "plain", "changes": {}},
        {"name": "averaged", "changes": {"pooling": "average"}, "kept": False},
        {"name": "slower", "changes": {"learning_rate": 1e-4}},
    ],
}  # fmt: skip


def test_rungs_are_trained_once_and_build_on_what_is_kept(repo: Path, tmp_path: Path):
    pictures = make_pictures(tmp_path / "pictures")
    (tmp_path / "ladder.yaml").write_text(yaml.safe_dump(LADDER))
    words = [
        sys.executable,
        repo / "benchmarks" / "ladder.py",
        "--ladder",
        tmp_path / "ladder.yaml",
        "--data",
        pictures,
    ]
    words += ["--trunk-weights", "none", "--runs", tmp_path / "runs", "--out", tmp_path / "quality.csv"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["rung"], row["kept"]) for row in rows} == {("plain", "yes"), ("averaged", "no"), ("slower", "yes")}
    assert {(row["split"], row["view"]) for row in rows} >= {
        ("validation", "clean"), ("validation", "moved 10 %"), ("test", "delivered")
    }  # fmt: skip
    assert all(0 <= float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) <= 1 for row in rows)
    recipes = [yaml.safe_load((tmp_path / "runs" / f"seed-0-rung-{i}.yaml").read_text()) for i in range(3)]
    assert [recipe.get("pooling") for recipe in recipes] == [None, "average", None]
    # Asked again, it trains nothing: with no data there is nothing it could train on
    words[words.index(pictures)] = tmp_path / "none"
    again = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert (again.returncode, again.stdout) == (0, done.stdout)
