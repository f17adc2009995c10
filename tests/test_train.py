"""train.py, run as its users run it: in processes of its own, on pictures made here."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from tiny import SIZE, tiny_model
from train_run import TINY, make_pictures, run_train, weights_sha256

from fakeface.data.loading import open_dataset, prepare_splits
from fakeface.recipe import Recipe
from fakeface.training.data import matched_pictures
from fakeface.training.setup import parameter_groups, unwrap

# Several mistakes to a process: importing torch takes longer than refusing them.
TRY_ALL = """
import sys, train
for words in {!r}:
    sys.argv[1:] = words
    try:
        train.main()
    except SystemExit as end:
        print(end)
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def test_a_run_learns_and_leaves_everything_behind(repo, pictures, tmp_path):
    run = tmp_path / "run"
    done = run_train(repo, *TINY, "--data", pictures, "--output", run, "--epochs", 6, "--samples-per-epoch", 320)
    assert done.returncode == 0, done.stderr
    facts = json.loads((run / "run.json").read_text())
    assert facts["processes"] == 1
    assert facts["recipe"]["architecture"] == "cnn"
    assert facts["data"]["train"]["pictures"] == 112
    assert len(facts["refused"]) == 1
    assert "broken.jpg" in facts["refused"][0]
    assert {"torch", "transformers", "fakeface"} <= facts["versions"].keys()
    with (run / "curves.csv").open() as file:
        steps = [row for row in csv.DictReader(file) if row["loss"]]
    assert [int(row["step"]) for row in steps] == list(range(1, 241))
    assert list((run / "tensorboard").iterdir())
    report = json.loads((run / "evaluation.json").read_text())
    assert report["weights_sha256"] == weights_sha256(run / "model")
    clean = next(row for row in report["overall"] if (row["split"], row["view"]) == ("test", "clean"))
    assert clean["auc"] > 0.9


def test_named_pictures_are_left_out_of_training_alone(repo, pictures, tmp_path):
    splits, _ = prepare_splits(open_dataset([str(pictures)]), **Recipe().split_options())
    named = [*splits["train"]["sha256"][:5], *splits["test"]["sha256"][:3]]
    (tmp_path / "names.txt").write_text("".join(f"{sha256}\n" for sha256 in named))
    options = ["--data", pictures, "--epochs", 1, "--measure", "false", "--leave-out", tmp_path / "names.txt"]
    done = run_train(repo, *TINY, *options, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert f"left out of training: 5 of the 8 pictures in {tmp_path / 'names.txt'}" in done.stdout
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    sizes = {name: part["pictures"] for name, part in facts["data"].items()}
    assert sizes == {name: len(part) - 5 * (name == "train") for name, part in splits.items()}
    assert "CPU core" in facts["hardware"]


def test_saving_leaves_mixed_precision_on():
    """Unwrapping for a save once took accelerate's autocast off the model: all epochs but the first ran in 32 bits."""
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    model = tiny_model()
    dtypes = []
    model.fakeface.blocks[0].register_forward_hook(lambda module, args, output: dtypes.append(output.dtype))
    prepared = accelerator.prepare_model(model, evaluation_mode=True)
    unwrap(accelerator, prepared).state_dict()
    prepared(pixel_values=torch.zeros(1, 3, SIZE, SIZE))
    assert dtypes == [torch.bfloat16]


def test_ranks_wait_for_one_another_for_hours(repo, tmp_path):
    """Rank 0 checks and matches the pictures alone; the others gave up on it after half an hour."""
    code = """
import torch, train
from fakeface.data.loading import DataError
from fakeface.recipe import Recipe
try:
    train.train(Recipe(data=["./nowhere"], output="run"))
except DataError:
    group = torch.distributed.distributed_c10d._get_default_group()
    print(torch.distributed.get_world_size(), group._get_backend(torch.device("cpu")).options._timeout)
"""
    ranks = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ranks, "PYTHONPATH": str(repo), "ACCELERATE_USE_CPU": "true"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "1 1 day, 0:00:00\n", done.stderr


def test_trunk_stages_learn_at_decaying_rates():
    model = tiny_model("resnet50-cnn")
    recipe = Recipe(trunk_stages=1, learning_rate=0.1, trunk_learning_rate=0.08, trunk_decay=0.5)
    rates = {id(p): group["lr"] for group in parameter_groups(model, recipe) for p in group["params"]}
    named = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert named["fakeface.trunk.conv1.weight"] == 0.04
    assert named["fakeface.trunk.bn1.weight"] == 0.04
    assert named["fakeface.trunk.layer1.0.conv1.weight"] == 0.08
    assert named["fakeface.blocks.0.conv1.0.weight"] == 0.1


def test_matched_copies_of_another_split_are_made_anew(pictures, tmp_path):
    """Copies left by a run that failed early once were taken as they were: held-out pictures came into training."""
    whole = prepare_splits(open_dataset(str(pictures)))[0]["train"]
    parts = [whole.shard(2, i, contiguous=False) for i in (0, 1)]
    for part in parts:
        copies = matched_pictures(tmp_path, Recipe(crop_fraction=1.0, workers=1), part)
        assert sorted(copies["sha256"]) == sorted(part["sha256"])
    assert sorted(parts[0]["sha256"]) != sorted(parts[1]["sha256"])


def test_mistakes_get_one_line_and_leave_runs_alone(repo, pictures, tmp_path):
    one_label = tmp_path / "one-label"
    shutil.copytree(pictures / "real", one_label / "real")
    (one_label / "generated").mkdir()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "run.json").write_text("{}")
    cases = {
        ("--data", "no/such/folder/here"): "no/such/folder/here: no such file or folder",
        ("--data", one_label): "pictures of one label only",
        ("--data", pictures, "--output", taken): "already holds a run",
        ("--data", pictures, "--epochs", "many"): "epochs is 'many'",
        ("--data", pictures, "--architecture", "vit"): "unknown architecture 'vit'",
        ("--data", pictures, "--architecture", "vit-b16-cnn", "--frozen-views", 1): "vit-b16-cnn takes average",
        ("--data", pictures, "--hold-out", "midjourney"): "hold_out names ['midjourney']",
        ("--data", pictures, "--trunk-weights", "weights.pth", "--architecture", "resnet50-cnn"): ".safetensors",
    }
    words = [[*TINY, "--output", str(tmp_path / "never"), *map(str, case)] for case in cases]
    words[-1] += ["--image-size", "32"]
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL.format(words)],
        env={**os.environ, "PYTHONPATH": str(repo), "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    messages = [line for line in done.stdout.splitlines() if line.startswith("train.py: ")]
    assert len(messages) == len(cases), done.stdout + done.stderr
    for message, expected in zip(messages, cases.values(), strict=True):
        assert expected in message
    assert "Traceback" not in done.stderr
    assert (taken / "run.json").read_text() == "{}"
