"""What the training loop does, in runs of train.py."""

import csv
import json
import re
from pathlib import Path

import pytest
from safetensors.torch import load_file
from train_run import TINY, make_pictures, run_train


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def test_a_gradient_that_is_no_number_stops_before_anything_is_saved(repo, pictures, tmp_path):
    run = tmp_path / "run"
    options = [*TINY, "--data", pictures, "--output", run, "--epochs", 3, "--checkpoint-steps", 1]
    done = run_train(repo, *options, "--learning-rate", 100, "--weight-decay", 100, "--warmup", 0)
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith(
        "train.py: the gradient is infinite or no number in step 2, epoch 0; nothing of this step "
    )
    assert len(re.findall(r"source-\d/\d+\.png", message)) == 8
    (saved,) = (run / "checkpoints").iterdir()
    assert saved.name == "step-1"
    assert all(tensor.isfinite().all() for tensor in load_file(saved / "model.safetensors").values())


def test_two_ranks_take_the_steps_of_one_process_with_accumulation(repo, pictures, tmp_path):
    options = ["--data", pictures, "--architecture", "resnet50-cnn", "--trunk-weights", "none", "--trunk-stages", 1]
    options += ["--image-size", 32, "--batch-size", 4, "--workers", 1, "--threads", 1, "--epochs", 1, "--dropout", 0]
    options += ["--samples-per-epoch", 100, "--batch-norm", "frozen", "--measure", "false", "--profile"]
    curves = []
    for ranks in (1, 2):
        run = tmp_path / f"on-{ranks}"
        done = run_train(repo, *options, "--gradient-accumulation", 3 - ranks, "--output", run, ranks=ranks)
        assert done.returncode == 0, done.stderr
        with (run / "curves.csv").open() as file:
            curves.append([float(row["loss"]) for row in csv.DictReader(file) if row["loss"]])
        # 100 draws are 12 steps of 8, and the first 5 are not timed
        profile = json.loads((run / "profile.json").read_text())
        assert profile["steps"] == 7
        assert profile["seconds_per_step"].keys() == {"data", "device", "forward", "backward", "optimiser", "rest"}
        assert profile["pictures_per_second"] == pytest.approx(8 / sum(profile["seconds_per_step"].values()))
        assert f"{profile['pictures_per_second']:.1f} pictures/s over 7 steps" in done.stdout
    assert len(curves[0]) == 12
    assert curves[1] == pytest.approx(curves[0], rel=0, abs=1e-5)
    # Statistics stay as they started, and scale and shift learn
    state = load_file(tmp_path / "on-2" / "best" / "model.safetensors")
    assert state["fakeface.trunk.bn1.running_mean"].abs().max() == 0
    assert state["fakeface.trunk.bn1.bias"].abs().max() > 0
