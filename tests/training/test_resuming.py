"""Runs that are stopped in every way, and go on."""

import csv
import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from train_run import TINY, contents, make_pictures, run_train, start_train, wait_for, weights_sha256


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


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
