"""Pictures per second of train.py over those of a bare loop, and of two ranks over one.

    python benchmarks/train_rate.py [--recipe configs/resnet50-cnn.yaml] [--steps 20] [--rounds 3]

Writes benchmarks/train_rate.csv. The bare loop is forward, loss, backward and optimiser step on one batch of random
tensors of the shape, layout and precision of the recipe's; train.py reads JPEG pictures of 280 px, which are made here,
augments them in data workers, averages weights and writes curves. Both use all cores: the bare loop and one rank with
as many threads, two ranks with half of the batch and of the threads each. Each figure is the median of the rounds, in
which the three take turns. Run it on an idle machine: on two cores it takes about ten minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures_file import keep
from train_runs import ROOT, make_labelled, train_command

from fakeface.recipe import Recipe, build_recipe, read_recipe
from fakeface.training.profile import PROFILE, WARM_UP

COLUMNS = ("what", "pictures_per_second", "over_bare_loop", "over_one_rank")


def bare_rate(recipe: Recipe, steps: int, threads: int) -> float:
    """Pictures per second of the loop that nobody can do without."""
    import torch
    from accelerate import Accelerator

    from fakeface.training.setup import build_model, build_optimizer

    torch.set_num_threads(threads)
    model = build_model(recipe, Accelerator(cpu=True)).train()
    optimizer, _ = build_optimizer(recipe, model, steps)
    pixels = torch.randn(recipe.batch_size, 3, recipe.image_size, recipe.image_size)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(recipe.batch_size) % 2
    start = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.mixed_precision == "bf16"):
            logits = model(pixel_values=pixels).logits
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return steps * recipe.batch_size / (time.perf_counter() - start)


def run_rate(recipe: Recipe, options: argparse.Namespace, data: Path, run: Path, ranks: int, cores: int) -> float:
    """Pictures per second of a run of train.py."""
    draws = (WARM_UP + options.steps) * recipe.batch_size
    words, environment = train_command(
        options.recipe, "--data", data, "--output", run, "--trunk-weights", "none", "--matched", "false", "--profile",
        "--epochs", 1, "--samples-per-epoch", draws, "--batch-size", recipe.batch_size // ranks, "--threads",
        cores // ranks, "--workers", max(1, cores // ranks), "--split-fractions", 0.05, 0, "--measure", "false",
        ranks=ranks,
    )  # fmt: skip
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"a run failed with exit code {done.returncode}:\n{done.stderr}")
    print("\n".join(line for line in done.stdout.splitlines() if " ms" in line), flush=True)
    return json.loads((run / PROFILE).read_text())["pictures_per_second"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=ROOT / "configs" / "resnet50-cnn.yaml")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help="only the bare loop, once")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    recipe = build_recipe({**read_recipe(options.recipe), "trunk_weights": "none"})
    cores = len(os.sched_getaffinity(0))
    if options.bare:
        print(bare_rate(recipe, options.steps, cores))
        return 0
    rates: dict[str, list[float]] = {"bare loop": [], "train.py, one rank": [], "train.py, two ranks": []}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "data")
        make_labelled(data, 400, 280)
        for turn in range(options.rounds):
            words = [sys.executable, __file__, "--bare", "--recipe", options.recipe, "--steps", str(options.steps)]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            bare = subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout
            rates["bare loop"].append(float(bare))
            for name, ranks in (("train.py, one rank", 1), ("train.py, two ranks", 2)):
                rates[name].append(run_rate(recipe, options, data, Path(scratch, f"{turn}-{ranks}"), ranks, cores))
    rows = []
    for name, found in rates.items():
        over_bare = statistics.median(rate / bare for rate, bare in zip(found, rates["bare loop"], strict=True))
        one = rates["train.py, one rank"]
        over_one = statistics.median(rate / alone for rate, alone in zip(found, one, strict=True))
        rate = statistics.median(found)
        rows.append({"what": name, "pictures_per_second": f"{rate:.2f}", "over_bare_loop": f"{over_bare:.3f}"})
        rows[-1]["over_one_rank"] = f"{over_one:.3f}"
    keep(options.out, rows, COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
