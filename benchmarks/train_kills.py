"""Kill a training on two ranks at random steps, resume it, and compare its weights with an undisturbed run's.

    python benchmarks/train_kills.py [--kills 20] [--seed 0]

Writes benchmarks/train_kills.csv: a line for each run that was killed with `kill -9`, launcher, ranks and data workers
at once: the step that its progress bar had shown, the checkpoint it went on from (0 for none), and whether the final
weights and the curves are equal byte for byte. Exit code 1 if one is not. Each run is of 2 epochs of 40 steps with a
checkpoint every 5, on a small model with dropout and a moving average of its weights.
"""

import argparse
import hashlib
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from figures_file import keep
from train_runs import make_labelled, train_command

EPOCHS, STEPS = 2, 40
OPTIONS = ["--architecture", "cnn", "--image-size", 16, "--crop-fraction", 1, "--batch-size", 4, "--workers", 1]
OPTIONS += ["--threads", 1, "--learning-rate", 0.01, "--ema", 0.9, "--checkpoint-steps", 5, "--measure", "false"]
OPTIONS += ["--epochs", EPOCHS, "--samples-per-epoch", 8 * STEPS]
COLUMNS = ("kill", "step", "resumed_from", "equal", "weights_sha256")


def finish(data: Path, run: Path) -> str:
    """Let a run end, from wherever it stands; returns its standard output."""
    words, environment = train_command(*OPTIONS, "--data", data, "--output", run, "--resume", ranks=2)
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"a run failed with exit code {done.returncode}:\n{done.stderr}")
    return done.stdout


def kill_at(data: Path, run: Path, step: int, log: Path) -> int:
    """Start a run and kill all its processes once its bar shows a step; returns the step it had come to."""
    words, environment = train_command(*OPTIONS, "--data", data, "--output", run, ranks=2)
    with log.open("w") as stderr:
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
        while (seen := shown(log)) < step:
            if process.poll() is not None:
                raise SystemExit(f"a run ended with exit code {process.returncode} before step {step}")
            time.sleep(0.002)
        for victim in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            victim.kill()
        process.wait()
    return seen


def shown(log: Path) -> int:
    """The newest step on the progress bar."""
    steps = re.findall(rf"(\d+)/{EPOCHS * STEPS} ", log.read_text(errors="replace"))
    return int(steps[-1]) if steps else 0


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def results(run: Path) -> list[str]:
    weights = [run / "model", run / "checkpoints" / f"step-{EPOCHS * STEPS}"]
    return [sha256(folder / "model.safetensors") for folder in weights] + [sha256(run / "curves.csv")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    steps = random.Random(options.seed)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        data, whole = Path(scratch, "data"), Path(scratch, "whole")
        make_labelled(data, 160, 32)
        finish(data, whole)
        for kill in range(1, options.kills + 1):
            run = Path(scratch, f"killed-{kill}")
            seen = kill_at(data, run, steps.randrange(1, EPOCHS * STEPS), Path(scratch, "log"))
            found = re.search(r"going on from \S+/step-(\d+)", finish(data, run))
            same = results(run) == results(whole)
            row = {"kill": kill, "step": seen, "resumed_from": int(found[1]) if found else 0, "equal": same}
            rows.append({**row, "weights_sha256": results(run)[0][:16]})
            print(*rows[-1].values(), flush=True)
    keep(options.out, rows, COLUMNS)
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
