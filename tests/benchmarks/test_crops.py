"""benchmarks/crops.py: a run of it, and the table in docs/checkpoint.md."""

import csv
import subprocess
import sys
from pathlib import Path

from former_weights import FORMER_FAST
from tiny import tiny_model
from train_run import make_pictures

from benchmarks.crops import CROPS, as_markdown
from fakeface.image_processing_fakeface import FakeFaceImageProcessor


def test_each_number_of_crops_is_measured_on_validation_pictures(repo: Path, tmp_path: Path):
    pictures, model = make_pictures(tmp_path / "pictures"), tmp_path / "model"
    tiny_model().save_pretrained(model)
    FakeFaceImageProcessor(size=tiny_model().config.image_size).save_pretrained(model)
    (tmp_path / "page.md").write_text("<!-- crops: by hand -->\n<!-- end of crops -->\n")
    words = [sys.executable, repo / "benchmarks" / "crops.py", "--data", pictures, "--model", model]
    words += ["--out", tmp_path / "crops.csv", "--page", tmp_path / "page.md"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "crops.csv").read_text().splitlines()))
    assert [(int(row["crops"]), row["view"]) for row in rows] == [(n, v) for n in CROPS for v in ("clean", "delivered")]
    assert {(row["split"], row["n_real"], row["n_generated"]) for row in rows} == {("validation", "8", "8")}
    assert all(0 <= float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) <= 1 for row in rows)
    assert as_markdown(rows) in (tmp_path / "page.md").read_text()


def test_the_page_shows_the_committed_figures_of_the_former_weights(repo: Path):
    block = (repo / "docs" / "checkpoint.md").read_text(encoding="utf-8").partition("<!-- crops: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of crops -->")[0].strip()
    kept = list(csv.DictReader((repo / "benchmarks" / "crops.csv").read_text(encoding="utf-8").splitlines()))
    assert shown == as_markdown(kept)
    assert {row["weights_sha256"] for row in kept} == {FORMER_FAST}
