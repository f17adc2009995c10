"""benchmarks/ladder.py: rungs build on those that are kept, and their figures come from trainings that were run."""

import csv
import subprocess
import sys
from pathlib import Path

import yaml
from train_run import make_pictures

from benchmarks.ladder import as_markdown

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
    (tmp_path / "page.md").write_text("<!-- ladder: by hand -->\n<!-- end of ladder -->\n")
    words += [
        "--page",
        tmp_path / "page.md",
        "--trunk-weights",
        "none",
        "--runs",
        tmp_path / "runs",
        "--out",
        tmp_path / "quality.csv",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["rung"], row["kept"]) for row in rows} == {("plain", "yes"), ("averaged", "no"), ("slower", "yes")}
    assert {(row["split"], row["view"]) for row in rows} >= {
        ("validation", "clean"), ("validation", "moved 10 %"), ("test", "delivered")
    }  # fmt: skip
    assert all(0 <= float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) <= 1 for row in rows)
    page = (tmp_path / "page.md").read_text().splitlines()
    auc = next(row["auc"] for row in rows if (row["rung"], row["split"], row["view"]) == ("slower", "test", "clean"))
    assert [line.split(" | ")[0] for line in page[4:7]] == ["| plain", "| averaged", "| slower"]
    assert page[6].split(" | ")[5] == f"{float(auc):.3f}"
    recipes = [yaml.safe_load((tmp_path / "runs" / f"seed-0-rung-{i}.yaml").read_text()) for i in range(3)]
    assert [recipe.get("pooling") for recipe in recipes] == [None, "average", None]
    # Asked again, it trains nothing: with no data there is nothing it could train on
    words[words.index(pictures)] = tmp_path / "none"
    again = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert (again.returncode, again.stdout) == (0, done.stdout)


def test_the_page_shows_the_committed_figures(repo: Path):
    block = (repo / "docs" / "checkpoint.md").read_text(encoding="utf-8").partition("<!-- ladder: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of ladder -->")[0].strip()
    kept = list(csv.DictReader((repo / "benchmarks" / "quality.csv").read_text(encoding="utf-8").splitlines()))
    assert shown == as_markdown(kept)
