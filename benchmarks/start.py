"""Time to the first result of `fakeface predict one.jpg` over that of a bare forward pass, both from a cold process.

    python benchmarks/start.py [--rounds 7]

Writes benchmarks/start.csv. The bare process imports torch, transformers and timm, and sends one 160-pixel tensor
through a ResNet-50 whose weights it neither makes nor reads. `fakeface predict` does what users get: it checks and
reads the shipped model, decodes a JPEG file of 1024 pixels, judges it and prints the verdict, with and without
a look for the face. The processes take turns, and the median counts. `cpu_s` is user and system time together.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures_file import keep
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
BARE = """
import torch, transformers, timm
with torch.device("meta"):
    model = timm.create_model("resnet50", num_classes=2)
model = model.to_empty(device="cpu").eval()
with torch.inference_mode():
    model(torch.zeros(1, 3, 160, 160))
"""

COLUMNS = ("process", "rounds", "seconds", "cpu_s", "ratio")


def measured(words: list[str], environment: dict[str, str], codes: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Seconds on the clock and of processor time that a process takes, its children included.

    Raises:
        ValueError: it ends with another exit code than these.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in codes:
        raise ValueError(f"{words} ended with {done.returncode}: {done.stderr}")
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch, "one.jpg")
        tones = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(tones).resize((1024, 1024), Image.Resampling.BICUBIC).save(picture, quality=90)
        predict = ["-m", "fakeface", "predict", str(picture)]
        ways = {
            "bare forward": (["-c", BARE], environment),
            "predict": ([*predict, "--no-faces"], environment),
            "--help": (["-m", "fakeface", "--help"], environment),
            "predict with faces": (predict, environment),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in range(options.rounds + 1):
            for name, way in ways.items():
                taken = measured(*way)
                if turn:  # the first turn fills the disk's cache
                    times[name].append(taken)
    medians = {
        name: [statistics.median(column) for column in zip(*taken, strict=True)] for name, taken in times.items()
    }
    bare = medians["bare forward"][0]
    rows = []
    for name, (clock, processor) in medians.items():
        seconds = (f"{number:.3f}" for number in (clock, processor, clock / bare))
        rows.append(dict(zip(COLUMNS, (name, options.rounds, *seconds), strict=True)))
    keep(Path(__file__).with_suffix(".csv"), rows, COLUMNS)


if __name__ == "__main__":
    main()
