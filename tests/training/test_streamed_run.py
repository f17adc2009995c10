"""Runs of train.py whose training pictures come as a stream."""

import json
import shutil
from pathlib import Path

import pytest
from datasets import Dataset, disable_progress_bars
from train_run import TINY, make_pictures, run_train, weights_sha256


@pytest.fixture(scope="module")
def streamed(tmp_path_factory) -> Path:
    """A dataset with 120 pictures for training in two shards, one of them broken, and 40 for validation."""
    disable_progress_bars()
    pictures, folder = make_pictures(tmp_path_factory.mktemp("pictures")), tmp_path_factory.mktemp("set")
    files = sorted(pictures.rglob("*.png"), key=lambda file: int(file.stem))
    rows = [
        {"image": {"bytes": file.read_bytes(), "path": None}, "label": file.parent.parent.name, "source": "a"}
        for file in files
    ]
    rows[60]["image"]["bytes"] = b"no picture"
    for name, part in (("train-0", rows[:60]), ("train-1", rows[60:120]), ("validation", rows[120:])):
        Dataset.from_list(part).to_parquet(str(folder / "data" / f"{name}.parquet"))
    return folder


def test_two_ranks_train_on_a_stream_and_go_on_where_they_stopped(repo, streamed, tmp_path):
    options = [*TINY, "--streaming", "--data", streamed, "--epochs", 3, "--samples-per-epoch", 64]
    options += ["--checkpoint-steps", 2, "--keep-checkpoints", 99, "--measure", "false"]
    whole = tmp_path / "whole"
    done = run_train(repo, *options, "--output", whole, ranks=2)
    assert done.returncode == 0, done.stderr
    assert "train stream of 2 shards, validation 40, refused 0" in done.stdout
    assert "= 16 pictures a step, 4 steps an epoch" in done.stdout
    record = json.loads((whole / "run.json").read_text())["data"]
    assert record["train"].keys() == {"stream", "shards"}
    assert record["validation"]["pictures"] == 40
    # As if it had been killed after step 6 of 12, which is within the second epoch
    left = tmp_path / "left"
    shutil.copytree(whole, left)
    for folder in (left / "checkpoints").iterdir():
        if int(folder.name.removeprefix("step-")) > 6:
            shutil.rmtree(folder)
    shutil.rmtree(left / "model")
    done = run_train(repo, *options, "--output", left, "--resume", ranks=2)
    assert done.returncode == 0, done.stderr
    assert f"going on from {left / 'checkpoints' / 'step-6'}: epoch 1, step 6" in done.stdout
    last = Path("checkpoints", "step-12")
    assert weights_sha256(left / last) == weights_sha256(whole / last)
    assert weights_sha256(left / "model") == weights_sha256(whole / "model")
    assert (left / "curves.csv").read_text() == (whole / "curves.csv").read_text()


def test_a_stream_needs_to_know_how_long_an_epoch_is(repo, streamed, tmp_path):
    done = run_train(repo, *TINY, "--streaming", "--data", streamed, "--output", tmp_path / "run")
    assert done.returncode != 0
    assert "the stream does not say how many pictures it has: set samples_per_epoch" in done.stderr
