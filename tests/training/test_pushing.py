"""`--push-to-hub`: a training's model arrives on the Hub, or the run says how to send it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub.server import READING, TOKEN, Hub, serve
from PIL import Image

from fakeface import Detector

TINY = ["--architecture", "logistic", "--image-size", "16", "--batch-size", "8", "--workers", "0", "--epochs", "1"]
TINY += ["--threads", "1"]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 dark photographs and 80 light generated pictures of two sources each; more than 100 stand in neither set."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(160):
        label = "generated" if i % 2 else "real"
        file = folder / label / f"source-{i % 4}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 160, (24, 24, 3), dtype=np.uint8) + np.uint8(80 * (i % 2))).save(file)
    return folder


def train(hub: Hub, repo: Path, out: Path, pictures: Path, *more: str, token: str = TOKEN):
    environment = {**hub.environment(out.parent / "home", token), "PYTHONPATH": os.environ.get("PYTHONPATH", str(repo))}
    command = [sys.executable, str(repo / "train.py"), *TINY, "--data", str(pictures), "--output", str(out), *more]
    return subprocess.run(
        command, env={**environment, "ACCELERATE_USE_CPU": "true"}, capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip


def test_the_model_and_its_report_arrive(hub: Hub, repo: Path, pictures: Path, tmp_path: Path):
    options = ("--push-to-hub", "nobody/trained", "--push-private", "--push-checkpoints")
    done = train(hub, repo, tmp_path / "run", pictures, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"pushed to {hub.endpoint}/nobody/trained/tree/main" in done.stdout
    pushed = hub.repositories["models/nobody/trained"]
    assert pushed.private
    assert len(pushed.history) == 2  # the Hub's own commit, and one with all of the model
    model = tmp_path / "run" / "model"
    for name in ("model.safetensors", "config.json", "training.json", "evaluation.json"):
        assert pushed.files[name].data == (model / name).read_bytes(), name
    assert "| test, clean |" in pushed.files["README.md"].data.decode()
    assert json.loads(pushed.files["training.json"].data)["recipe"]["push_to_hub"] == "nobody/trained"
    branch = pushed.commits[pushed.refs["checkpoints"]]
    assert branch["model.safetensors"].data == (tmp_path / "run" / "best" / "model.safetensors").read_bytes()
    assert "Nobody has measured" in branch["README.md"].data.decode()
    assert not [
        path for path in (tmp_path / "run").rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert TOKEN not in done.stdout + done.stderr


def test_what_was_trained_on_everything_is_what_arrives(hub: Hub, repo: Path, pictures: Path, tmp_path: Path):
    options = ("--push-to-hub", "nobody/everything", "--then-everything", "true", "--everything-epochs", "1")
    done = train(hub, repo, tmp_path / "run", pictures, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    pushed = hub.repositories["models/nobody/everything"]
    assert len(pushed.history) == 2  # the Hub's own commit, and one of the last model
    last = tmp_path / "run" / "everything" / "model"
    assert pushed.files["model.safetensors"].data == (last / "model.safetensors").read_bytes()
    assert "**The figures are of the weights that training went on from**" in pushed.files["README.md"].data.decode()


def test_who_cannot_push_hears_of_it_before_the_training(hub: Hub, repo: Path, pictures: Path, tmp_path: Path):
    done = train(hub, repo, tmp_path / "run", pictures, "--push-to-hub", "nobody/other", token="")
    assert done.returncode == 1
    assert "cannot push to nobody/other (nobody/other: needs a token: run `hf auth login` first)" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_push_that_fails_leaves_the_model_and_says_how_to_send_it(
    hub: Hub, repo: Path, pictures: Path, tmp_path: Path
):
    out = tmp_path / "run"
    done = train(hub, repo, out, pictures, "--push-to-hub", "nobody/other", token=READING)
    assert done.returncode == 1
    assert f"the model is in {out}/model: fakeface push {out}/model nobody/other" in done.stderr
    assert "models/nobody/other" not in hub.repositories
    assert Detector.from_pretrained(out / "model", faces=False)(next(pictures.rglob("*.png"))).verdict
