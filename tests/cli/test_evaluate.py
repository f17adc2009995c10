"""`fakeface evaluate` and `fakeface calibrate`, as they are called."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import Value
from planted import planted
from scored import TWO_RANKS
from tiny import tiny_folder
from typer.testing import CliRunner, Result

from fakeface.cli import commands as cli
from fakeface.configuration_fakeface import FakeFaceConfig


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a model and 240 pictures, of which 120 photographs."""
    folder = tmp_path_factory.mktemp("place")
    tiny_folder(folder / "model", threshold_generated=0.6, threshold_real=0.2, target_fpr=0.01)
    dataset = planted(240)
    dataset.add_column("sex", ["f", "m", "m"] * 80).to_parquet(folder / "data.parquet")
    return folder


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.app, [*arguments, "--workers", "0"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refusal(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 2
    # Beside bars of progress, whose lines end in a rate: batch/s or, on a slow machine, s/batch.
    (line,) = [line for line in result.stderr.splitlines() if line.strip() and not re.search(r"/\w+\]\s*$", line)]
    return line


def test_a_whole_dataset_gets_a_report_and_a_page(place):
    result = invoke("evaluate", "model", "data.parquet", "--out", "whole", "--slice", "sex", "--seen", "stylegan2")
    assert result.exit_code == 0, result.stderr
    report = json.loads((place / "whole" / "evaluation.json").read_text())
    assert [(row["split"], row["view"], row["n_real"]) for row in report["overall"]] == [
        ("all", "clean", 120), ("all", "delivered", 120)
    ]  # fmt: skip
    assert report["operating_point"] == {"threshold_generated": 0.6, "threshold_real": 0.2, "target_fpr": 0.01}
    assert {row["value"] for row in report["slices"]} == {"f", "m"}
    assert {row["generators"] for row in report["novelty"]} == {"seen"}
    assert report["data"]["all"]["pictures"] == 240
    assert len(pd.read_csv(place / "whole" / "scores.csv")) == 480
    page = (place / "whole" / "evaluation.html").read_text()
    assert page.count("<svg") == 4  # no sweep was asked for
    assert "Delivery sweep" not in page
    assert "| all | clean | 120 + 120 |" in result.stdout


def test_a_step_of_the_sweep_at_the_quickest_type(place):
    result = invoke("evaluate", "model", "data.parquet", "--out", "step", "--step", "moved 5 %", "--dtype", "auto")
    assert result.exit_code == 0, result.stderr
    report = json.loads((place / "step" / "evaluation.json").read_text())
    assert report["dtype"].startswith("auto (")
    assert [(row["view"], row["n_real"]) for row in report["sweep"]] == [("moved 5 %", 120)]
    assert 0 <= report["sweep"][0]["auc_generated_changed"] <= 1


def test_a_step_that_is_not_there_is_refused():
    assert "no step 'JPEG 31' in the sweep: choose of JPEG 95" in refusal(
        "evaluate", "model", "data.parquet", "--step", "JPEG 31"
    )


def test_a_step_named_twice_counts_once(place):
    arguments = ("model", "data.parquet", "--out", "twice", "--step", "JPEG 30", "--step", "JPEG 30")
    assert invoke("evaluate", *arguments).exit_code == 0
    report = json.loads((place / "twice" / "evaluation.json").read_text())
    assert [row["n_real"] for row in report["sweep"]] == [120]


@pytest.mark.parametrize("unused", [("--dtype", "auto"), ("--step", "JPEG 30"), ("--sweep",)])
def test_options_that_would_do_nothing_are_refused(place, unused):
    (place / "some.csv").write_text("label,score\n0,0.1\n1,0.9\n")
    assert f"a file of scores takes no {unused[0]}" in refusal("evaluate", "some.csv", *unused)
    left_out = ("evaluate", "--leave-one-generator-out", "recipe.yaml", "--data", "data.parquet", *unused)
    assert f"leaving one out takes no {unused[0]}" in refusal(*left_out)


def test_held_out_figures_go_into_the_model_folder_and_pictures_do_not(place):
    before = {file.name for file in (place / "model").iterdir()}
    result = invoke("evaluate", "model", "--data", "data.parquet")
    assert result.exit_code == 0, result.stderr
    made = {file.name for file in (place / "model").iterdir()} - before
    assert made == {"evaluation.json", "evaluation.csv", "evaluation.md", "scores.csv"}
    report = json.loads((place / "model" / "evaluation.json").read_text())
    assert [(row["split"], row["n_real"]) for row in report["overall"][::2]] == [("validation", 12), ("test", 24)]
    assert {name: part["pictures"] for name, part in report["data"].items()} == {
        "train": 168, "validation": 24, "test": 48
    }  # fmt: skip


def test_scores_of_a_report_give_its_figures_again(place):
    invoke("evaluate", "model", "data.parquet", "--out", "first")
    assert invoke("evaluate", "first/scores.csv", "--out", "again").exit_code == 0
    first, again = (json.loads((place / name / "evaluation.json").read_text()) for name in ("first", "again"))
    for one, other in zip(first["overall"], again["overall"], strict=True):
        assert other["auc"] == pytest.approx(one["auc"], abs=1e-9)
        assert other["auc_interval"] == pytest.approx(one["auc_interval"], abs=1e-9)
    assert again["architecture"] == "scores"


def test_two_ranks_give_the_report_of_one(place, repo):
    """131 pictures in batches of 8: neither the ranks nor the last batch come out even."""
    arguments = ["evaluate", "model", "data.parquet", "--limit", "131", "--batch-size", "8", "--workers", "0", "--out"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repo)}
    words = [sys.executable, *TWO_RANKS, "-m", "fakeface", *arguments, "two"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    # Each rank kept scores of its own, and both did some of the work.
    assert sorted(file.name[-8:] for file in (place / "two" / "scored").iterdir()) == ["-0.jsonl", "-1.jsonl"]
    assert invoke(*arguments, "one").exit_code == 0
    one, two = (pd.read_csv(place / name / "scores.csv") for name in ("one", "two"))
    assert len(one) == 262
    pd.testing.assert_frame_equal(one, two, rtol=0, atol=1e-6)
    reports = [json.loads((place / name / "evaluation.json").read_text()) for name in ("one", "two")]
    for row, other in zip(*(report["overall"] for report in reports), strict=True):
        assert (row["n_real"], row["n_generated"], row["fpr"]) == (other["n_real"], other["n_generated"], other["fpr"])
        assert row["auc"] == pytest.approx(other["auc"], abs=1e-4)


def test_mistakes_get_one_line(place):
    (place / "nan.csv").write_text("label,score\nreal,nan\n")
    planted(1).cast_column("label", Value("int64")).to_parquet(place / "numbers.parquet")
    assert "name either a dataset" in refusal("evaluate", "model")
    assert "name either a dataset" in refusal("evaluate", "model", "data.parquet", "--data", "data.parquet")
    assert refusal("evaluate", "nowhere/model", "data.parquet").startswith("nowhere/model: no such folder")
    assert "no column 'age'; found image" in refusal("evaluate", "model", "data.parquet", "--slice", "age")
    assert "nan.csv: line 2: the score is not a finite number" in refusal("evaluate", "nan.csv")
    (place / "good.csv").write_text("label,score\nreal,0.5\n")
    assert "labels is 'fake', 'real': it takes" in refusal("evaluate", "good.csv", "--labels", "fake,real")
    numbers = ("numbers.parquet", "--labels", "generated,real")
    assert "nothing says which are real; name them" in refusal("calibrate", "model", "numbers.parquet")
    assert "nothing says which are real; name them" in refusal("evaluate", "model", "numbers.parquet")
    assert "calibration needs pictures of both labels" in refusal("calibrate", "model", *numbers)
    assert "a file of scores has its labels in it" in refusal("evaluate", "nan.csv", "data.parquet")
    assert "no device 'abacus' here" in refusal("evaluate", "model", "data.parquet", "--device", "abacus")
    assert "nowhere.parquet" in refusal("evaluate", "model", "./nowhere.parquet")
    assert "--target-fpr is 1.5" in refusal("calibrate", "model", "data.parquet", "--target-fpr", "1.5")
    assert refusal("calibrate", "someone/model", "data.parquet").startswith("someone/model: no such folder")
    for rate in ("0.001", "0.005"):  # of 120 photographs, which are 240 views
        told = refusal("calibrate", "model", "data.parquet", "--target-fpr", rate)
        assert f"120 photographs cannot resolve a false-positive rate of {rate}" in told


def test_calibration_is_stored_and_used(place, tmp_path):
    folder = tiny_folder(tmp_path / "model", temperature=3.0, bias=1.0)
    weights = (folder / "model.safetensors").read_bytes()
    before = json.loads((folder / "config.json").read_text())
    result = invoke("calibrate", str(folder), "data.parquet", "--target-fpr", "0.05", "--target-miss-rate", "0.1")
    assert result.exit_code == 0, result.stderr
    config = FakeFaceConfig.from_pretrained(folder)
    after = json.loads((folder / "config.json").read_text())
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    thresholds = {"threshold_generated", "threshold_real", "group_thresholds", "operating_points"}
    assert changed == {"temperature", "bias", "target_fpr", *thresholds}
    assert (folder / "model.safetensors").read_bytes() == weights
    assert sorted(file.name for file in folder.glob(".*")) == []
    assert (after["operating_points"] or {}).keys() == {"triage"}
    assert after["operating_points"]["triage"]["n_real"] == 120
    assert "strict: left out; it takes 1000 photographs or more" in result.stdout
    # The promise holds for the pictures it was made on: at most 5 % of them, clean and delivered, are called generated.
    invoke("evaluate", str(folder), "data.parquet", "--out", str(tmp_path / "out"))
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    real = scores[scores["label"] == 0]["score"]
    assert 0.03 < np.mean(real >= config.threshold_generated + 1e-6) <= 0.05
    # Fitted from another start, the same numbers come out: the old calibration is taken off first.
    other = tiny_folder(tmp_path / "other", temperature=0.5, bias=-2.0)
    invoke("calibrate", str(other), "data.parquet", "--target-fpr", "0.05", "--target-miss-rate", "0.1")
    again = FakeFaceConfig.from_pretrained(other)
    assert (again.temperature, again.bias) == pytest.approx((config.temperature, config.bias), rel=1e-3)


def test_leaving_one_out_takes_a_recipe_in_place_of_a_model(place):
    (place / "recipe.yaml").write_text("architecture: cnn\n")
    leave = ("evaluate", "--leave-one-generator-out", "recipe.yaml", "--out", "left-out")
    assert "takes no model or dataset, but --data" in refusal(*leave)
    assert refusal("evaluate", "--data", "data.parquet").startswith("name a model: a folder, a Hub id")
    missing = refusal(*leave, "--data", "data.parquet", "--train-script", "nowhere.py")
    assert missing == "nowhere.py: not found; name it with --train-script"
    data = (*leave, "--data", "data.parquet", "--train-script", "recipe.yaml")
    assert "weights.safetensors: cannot be read" in refusal(*data, "--trunk-weights", "weights.safetensors")
    assert not list((place / "left-out").glob("*/run"))
