"""Runs of train.py in processes of their own, as its users start it, and pictures for them."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

LAUNCH = ["-m", "accelerate.commands.launch", "--config_file"]
TINY = ["--architecture", "cnn", "--image-size", "16", "--crop-fraction", "1", "--batch-size", "8", "--workers", "1"]
TINY += ["--learning-rate", "0.01", "--threads", "1"]


def make_pictures(folder: Path) -> Path:
    """A folder of 80 photographs (smooth) and 80 generated pictures (smooth with a grid), two sources each."""
    rng = np.random.default_rng(0)
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


def command(
    repo: Path, *arguments: object, ranks: int = 1, config: Path | None = None, script: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """Words and environment of a run; `config` is a file for accelerate, `script` stands in for train.py."""
    # `--cpu --num_processes 2` silently runs one process; this file starts two gloo ranks.
    config = config or repo / "configs" / "accelerate" / "cpu-two-ranks.yaml"
    launcher = [] if ranks == 1 else [*LAUNCH, str(config), "--main_process_port", "0"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    return [sys.executable, *launcher, str(script or repo / "train.py"), *map(str, arguments)], environment


def run_train(
    repo: Path, *arguments: object, ranks: int = 1, largest: int | None = None, **how: Path
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `largest` is the size in bytes at which a file meets its full disk, `how` as for `command`."""
    words, environment = command(repo, *arguments, ranks=ranks, **how)
    if largest is not None:
        words = ["prlimit", f"--fsize={largest}", *words]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


def weights_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def start_train(repo: Path, *arguments: object, ranks: int = 1) -> subprocess.Popen[str]:
    """Start it as the leader of a process group of its own."""
    words, environment = command(repo, *arguments, ranks=ranks)
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
