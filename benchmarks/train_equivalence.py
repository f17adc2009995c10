"""One process with two steps of accumulation against two ranks without: the same pictures in each step.

    python benchmarks/train_equivalence.py [--steps 40]

Writes benchmarks/train_equivalence.csv: for BatchNorm with frozen statistics and with learnt ones, the largest
difference of the loss in any step, of a weight, of a BatchNorm statistic (as a share of the largest one of its layer),
and of the validation AUC at the end. In 32 bits, without dropout, whose random numbers differ, and on a small ResNet
from a random start.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from figures_file import keep
from safetensors.torch import load_file
from train_runs import make_labelled, train_command

OPTIONS = ["--architecture", "resnet50-cnn", "--trunk-weights", "none", "--trunk-stages", 1, "--image-size", 32]
OPTIONS += ["--crop-fraction", 1, "--batch-size", 8, "--workers", 1, "--threads", 1, "--epochs", 1, "--dropout", 0]
OPTIONS += ["--measure", "false", "--mixed-precision", "no"]
COLUMNS = ("batch_norm", "steps", "loss", "weights", "statistics", "auc")


def train(run: Path, *arguments: object, ranks: int) -> None:
    words, environment = train_command(*OPTIONS, *arguments, "--output", run, ranks=ranks)
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"a run failed with exit code {done.returncode}:\n{done.stderr}")


def largest(one: Path, two: Path, column: str) -> tuple[int, float]:
    """How many values a column of the curves has, and the largest difference between two runs."""
    values = []
    for run in (one, two):
        with (run / "curves.csv").open() as file:
            values.append([float(row[column]) for row in csv.DictReader(file) if row[column]])
    return len(values[0]), max(abs(a - b) for a, b in zip(*values, strict=True))


def compare(folder: Path, data: Path, batch_norm: str, steps: int) -> dict[str, object]:
    one, two = folder / f"{batch_norm}-1", folder / f"{batch_norm}-2"
    common = ("--data", data, "--batch-norm", batch_norm, "--samples-per-epoch", 16 * steps)
    train(one, *common, "--gradient-accumulation", 2, ranks=1)
    train(two, *common, ranks=2)
    states = [load_file(run / "best" / "model.safetensors") for run in (one, two)]
    apart: dict[str, float] = {"weights": 0.0, "statistics": 0.0}
    for name, value in states[0].items():
        difference = float((value - states[1][name]).abs().max())
        if "running" in name and difference:  # frozen means are 0, and 0 in both
            apart["statistics"] = max(apart["statistics"], difference / float(value.abs().max()))
        elif "running" not in name and "num_batches" not in name:
            apart["weights"] = max(apart["weights"], difference)
    count, loss = largest(one, two, "loss")
    return {
        "batch_norm": batch_norm,
        "steps": count,
        "loss": loss,
        **apart,
        "auc": largest(one, two, "auc")[1],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        make_labelled(Path(scratch, "data"), 400, 40)
        rows = [compare(Path(scratch), Path(scratch, "data"), kind, options.steps) for kind in ("frozen", "learn")]
    keep(options.out, rows, COLUMNS)
    return 0 if float(str(rows[0]["loss"])) <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
