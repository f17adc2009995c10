"""What the benchmarks of training share: pictures made here, and the command that starts a run."""

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def make_labelled(folder: Path, count: int, side: int) -> None:
    """A folder of `real/…` and `generated/…` JPEG pictures, half of each: coarse noise, and the same with a grid."""
    for seed in range(count):
        noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
        pixels = np.asarray(Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)).copy()
        if seed % 2:
            pixels[::4] = pixels[::4] // 2 + 127
        file = folder / ("generated" if seed % 2 else "real") / f"source-{seed % 4}" / f"{seed:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=88)


def train_command(*arguments: object, ranks: int = 1) -> tuple[list[str], dict[str, str]]:
    """The words and the environment of a run on so many CPU ranks."""
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(ranks), "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    words = [sys.executable, *(launch if ranks > 1 else []), str(ROOT / "train.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1"}
    return words, environment
