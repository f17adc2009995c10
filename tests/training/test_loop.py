"""The loop of train.py: its loss, its steps and what stops it."""

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from scipy.stats import entropy
from train_run import TINY, make_pictures, run_train

from fakeface.recipe import Recipe
from train import batch_loss, disagreement


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


# accelerate passes over FSDP on CPUs. Told that the ranks are on GPUs, it shards the weights, here over gloo.
FSDP_ON_CPUS = """
import sys
sys.path.insert(0, {!r})
from accelerate import PartialState
from accelerate.utils import DistributedType
PartialState(cpu=True)
PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
import train
train.main()
"""


def test_two_ranks_and_fsdp_take_the_steps_of_one_process_with_accumulation(repo, pictures, tmp_path):
    options = ["--data", pictures, "--architecture", "resnet50-cnn", "--trunk-weights", "none", "--trunk-stages", 1]
    options += ["--image-size", 32, "--batch-size", 4, "--workers", 1, "--threads", 1, "--epochs", 1, "--dropout", 0]
    options += ["--samples-per-epoch", 100, "--batch-norm", "frozen", "--measure", "false", "--profile"]
    options += ["--checkpoint-steps", 5, "--learning-rate", 1e-4, "--trunk-learning-rate", 1e-4]
    script = tmp_path / "fsdp.py"
    script.write_text(FSDP_ON_CPUS.format(str(repo)))
    fsdp = {"config": repo / "configs" / "accelerate" / "fsdp.yaml", "script": script}
    curves = []
    for name, ranks, how in (("one", 1, {}), ("two", 2, {}), ("fsdp", 2, fsdp)):
        run = tmp_path / name
        accumulation = ("--gradient-accumulation", 3 - ranks)
        done = run_train(repo, *options, *accumulation, "--output", run, ranks=ranks, **how)
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
    assert curves[2] == pytest.approx(curves[0], rel=0, abs=1e-5)
    assert (tmp_path / "fsdp" / "checkpoints" / "step-12" / "pytorch_model_fsdp_0" / "__1_0.distcp").exists()
    # Statistics stay as they started, and scale and shift learn
    for name in ("two", "fsdp"):
        state = load_file(tmp_path / name / "best" / "model.safetensors")
        assert state["fakeface.trunk.bn1.running_mean"].abs().max() == 0
        assert state["fakeface.trunk.bn1.bias"].abs().max() > 0


def test_fsdp_that_accelerate_would_pass_over_is_refused(repo, pictures, tmp_path):
    config = repo / "configs" / "accelerate" / "fsdp.yaml"
    done = run_train(repo, *TINY, "--data", pictures, "--output", tmp_path / "run", ranks=2, config=config)
    assert done.returncode != 0
    assert "train.py: FSDP was asked for, but accelerate has it on GPUs only" in done.stderr


def test_disagreement_is_the_divergence_of_both_showings_either_way():
    logits = torch.tensor([[0.3, -1.2], [2.0, 0.5], [0.1, 0.1], [-0.7, 1.9]])  # two pictures, shown twice
    shown = softmax(logits.numpy(), axis=1).reshape(2, 2, 2)
    expected = np.mean([(entropy(p, q) + entropy(q, p)) / 2 for p, q in shown])
    assert float(disagreement(logits)) == pytest.approx(expected, rel=1e-5)
    assert float(disagreement(logits[[0, 0, 2, 2]])) == 0
    assert float(disagreement(logits[[1, 0, 3, 2]])) == pytest.approx(expected, rel=1e-5)


class Planes(torch.nn.Module):
    """Answers with the means of a picture's first two planes as its logits."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixel_values):
        return SimpleNamespace(logits=self.scale * pixel_values.mean((2, 3))[:, :2])


def test_both_showings_count_with_their_own_label_and_so_does_their_disagreement():
    logits = torch.tensor([[[0.3, -1.2], [2.0, 0.5]], [[0.1, 0.4], [-0.7, 1.9]], [[1.0, 1.0], [0.0, -0.2]]])
    pixels = torch.cat([logits, torch.zeros(3, 2, 1)], 2)[..., None, None].expand(3, 2, 3, 4, 4)
    labels = torch.tensor([0, 1, 1])
    model, recipe = Planes(), Recipe(consistency_weight=0.7, label_smoothing=0.0)
    loss = batch_loss(model, {"pixel_values": pixels, "labels": labels}, recipe)
    loss.backward()
    chances = softmax(logits.numpy(), axis=2)
    entropies = [-np.log(chances[i, shown, labels[i]]) for i in range(3) for shown in range(2)]
    apart = [(entropy(p, q) + entropy(q, p)) / 2 for p, q in chances]
    assert loss.item() == pytest.approx(np.mean(entropies) + 0.7 * np.mean(apart), rel=1e-5)
    assert model.scale.grad is not None


@pytest.mark.parametrize("how", [[], ["--pooling", "average", "--small-epochs", 1, "--small-size", 8]])
def test_a_model_learns_from_pairs(how, repo, pictures, tmp_path):
    options = [*TINY, "--data", pictures, "--output", tmp_path / "run", "--epochs", 4, "--samples-per-epoch", 320]
    done = run_train(repo, *options, "--consistency-weight", 0.5, "--measure", "false", *how)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run" / "curves.csv").open() as file:
        aucs = [float(row["auc"]) for row in csv.DictReader(file) if row["auc"]]
    assert max(aucs) > 0.9
