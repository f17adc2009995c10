"""train.py, run as its users run it: in processes of its own, on pictures made here."""

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from accelerate import Accelerator
from PIL import Image, ImageFilter
from safetensors.torch import load_file
from tiny import SIZE, tiny_model

from fakeface.data.loading import open_dataset, prepare_splits
from fakeface.recipe import Recipe
from fakeface.training.building import parameter_groups
from fakeface.training.pictures import matched_pictures
from fakeface.training.validation import unwrap

# `--cpu --num_processes 2` silently runs one process; this starts two gloo ranks, and the test asserts that it did.
TWO_RANKS = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
TWO_RANKS += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
TINY = ["--architecture", "cnn", "--image-size", "16", "--crop-fraction", "1", "--batch-size", "8", "--workers", "1"]
TINY += ["--learning-rate", "0.01", "--threads", "1"]
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
    """A folder of 80 photographs (smooth) and 80 generated pictures (smooth with a grid), two sources each."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(160):
        noise = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        pixels = np.asarray(noise.filter(ImageFilter.GaussianBlur(3))).copy()
        label = "generated" if i % 2 else "real"
        if label == "generated":
            pixels[::4] = 255
        file = folder / label / f"source-{i % 4}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    (folder / "real" / "source-0" / "broken.jpg").write_text("not a picture")
    return folder


def command(repo: Path, *arguments: object, ranks: int = 1) -> tuple[list[str], dict[str, str]]:
    launcher = [] if ranks == 1 else TWO_RANKS
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    return [sys.executable, *launcher, str(repo / "train.py"), *map(str, arguments)], environment


def run_train(
    repo: Path, *arguments: object, ranks: int = 1, largest: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `largest` is the size in bytes at which a file meets its full disk."""
    words, environment = command(repo, *arguments, ranks=ranks)
    if largest is not None:
        words = ["prlimit", f"--fsize={largest}", *words]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


def weights_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


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
from fakeface.training.building import parameter_groups
from fakeface.training.pictures import matched_pictures
from fakeface.training.validation import unwrap
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


def test_two_ranks_survive_a_kill_a_full_disk_and_sigterm_to_the_same_weights(repo, pictures, tmp_path):
    options = [*TINY, "--data", pictures, "--epochs", 3, "--samples-per-epoch", 320, "--checkpoint-steps", 5]
    options += ["--ema", 0.9]
    # Given an undisturbed run on two ranks
    whole = tmp_path / "whole"
    done = run_train(repo, *options, "--output", whole, ranks=2)
    assert done.returncode == 0, done.stderr
    assert json.loads((whole / "run.json").read_text())["processes"] == 2
    # When the same run is killed after a checkpoint in the middle of an epoch
    broken = tmp_path / "broken"
    with start_train(repo, *options, "--output", broken, ranks=2) as process:
        wait_for((broken / "checkpoints" / "step-25").exists, process)
        for victim in [*psutil.Process(process.pid).children(recursive=True), process]:
            victim.kill()
    assert not (broken / "model").exists()
    # And finds the disk full when it goes on: weights still fit, the optimiser's state does not
    good = max((broken / "checkpoints").glob("step-*"), key=lambda path: int(path.name.split("-")[1]))
    before = contents(good)
    largest = (good / "model.safetensors").stat().st_size + 4096
    assert largest < (good / "optimizer.bin").stat().st_size
    done = run_train(repo, *options, "--output", broken, "--resume", ranks=2, largest=largest)
    assert done.returncode != 0
    assert done.stderr.count("train.py: cannot write") == 1, done.stderr
    assert f"{good} is whole" in done.stderr
    assert contents(good) == before
    assert not list((broken / "checkpoints").glob(".writing-*"))
    # And all its processes, data workers too, are asked to stop when it goes on once more
    with start_train(repo, *options, "--output", broken, "--resume", ranks=2) as process:
        wait_for((broken / "checkpoints" / "step-35").exists, process)
        os.killpg(process.pid, signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
    stopped = int(re.search(r"train.py: stopped after step (\d+)", told)[1])  # type: ignore[index]
    assert 35 <= stopped < 60
    assert (broken / "checkpoints" / f"step-{stopped}").exists()
    # Then it goes on from there and ends with the same weights
    done = run_train(repo, *options, "--output", broken, "--resume", ranks=2)
    assert done.returncode == 0, done.stderr
    assert f"going on from {broken / 'checkpoints' / f'step-{stopped}'}" in done.stdout
    assert weights_sha256(broken / "model") == weights_sha256(whole / "model")
    assert (broken / "curves.csv").read_text() == (whole / "curves.csv").read_text()
    last = Path("checkpoints", "step-60")  # the best epoch may have been over before the kill
    assert weights_sha256(broken / last) == weights_sha256(whole / last)


def test_sigterm_exits_as_shells_expect_and_two_ranks_go_on_for_one(repo, pictures, tmp_path):
    options = [*TINY, "--data", pictures, "--epochs", 1, "--samples-per-epoch", 3208, "--checkpoint-steps", 2]
    options += ["--output", tmp_path / "run"]
    with start_train(repo, *options) as process:
        wait_for((tmp_path / "run" / "checkpoints" / "step-2").exists, process)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    stopped = int(re.search(r"stopped after step (\d+); \S+ holds what is done; .* --resume", told)[1])  # type: ignore[index]
    assert stopped < 401
    done = run_train(repo, *options, "--checkpoint-steps", 1000, "--resume", ranks=2)
    assert done.returncode == 0, done.stderr
    assert "1 ranks x batch_size 8 x accumulation 1, 8 pictures a step, are now 2 x 8 x 1, 16 pictures." in done.stdout
    assert f"{8 * stopped % 16} draws of this epoch come again" in done.stdout
    # Of the 3208 draws the first 8 x `stopped` are done, and 200 steps of 16 see all but the last 8
    with (tmp_path / "run" / "curves.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["loss"]]
    assert steps == list(range(1, stopped + 200 - stopped // 2 + 1))


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


def start_train(repo: Path, *arguments: object, ranks: int = 1) -> subprocess.Popen[str]:
    """Start it as the leader of a process group of its own."""
    words, environment = command(repo, *arguments, ranks=ranks)
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
