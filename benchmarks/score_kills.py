"""Kill `fakeface score` at random moments, again and again, and compare with an undisturbed run.

    python benchmarks/score_kills.py [--kills 50] [--pictures 4000] [--seed 0]

Writes benchmarks/score_kills.csv: a line for each kill, with its moment and the units that were done, and a last line
with the comparison. Exit code 1 if a byte differs. A small model with random weights judges pictures of noise, so that
most of the time goes into what is tested: lists, units, merging and publishing. Kills that come after the end do not
count, and neither do those before the first file is there, while Python still imports.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build import make_pictures
from figures_file import keep

PACKAGE = Path(__file__).resolve().parents[1]
COLUMNS = ("kill", "seconds", "units")


def make_model(folder: Path) -> None:
    import torch

    from fakeface import FakeFaceConfig, FakeFaceForImageClassification, FakeFaceImageProcessor

    torch.manual_seed(0)
    config = FakeFaceConfig(architecture="cnn", image_size=32, conv_widths=[4, 4], fc_widths=[8])
    FakeFaceForImageClassification(config).save_pretrained(folder)
    FakeFaceImageProcessor(size=32).save_pretrained(folder)


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    words = ["score", str(folder / "in"), "--out", str(out), "--model", str(folder / "model"), "--no-faces"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    return subprocess.Popen([sys.executable, "-m", "fakeface", *words], env=environment, stdout=subprocess.DEVNULL)


def finish(folder: Path, out: Path) -> tuple[float, float]:
    """Let a run end; returns when its first file was there, and when it ended, in seconds."""
    began, first = time.monotonic(), 0.0
    process = start(folder, out)
    while process.poll() is None:
        time.sleep(0.01)
        if not first and out.with_name(f"{out.name}.parts").exists():
            first = time.monotonic() - began
    if process.returncode != 0:
        raise SystemExit(f"the run failed with exit code {process.returncode}")
    return first, time.monotonic() - began


def kill_at(folder: Path, out: Path, moment: float) -> None:
    """Start a run and kill it after so many seconds."""
    process = start(folder, out)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()


def tables(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in (out, out.with_name(f"{out.stem}.rejects{out.suffix}"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    moments = random.Random(options.seed)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_pictures(folder / "in", options.pictures, 280, 2)
        for number in range(0, options.pictures, 50):
            (folder / "in" / f"{number:06d}.jpg").write_bytes(b"no picture")
        make_model(folder / "model")
        first, end = finish(folder, folder / "whole.parquet")
        whole, out = tables(folder / "whole.parquet"), folder / "killed.parquet"
        parts, same = out.with_name(f"{out.name}.parts"), True
        while len(rows) < options.kills:
            moment = moments.uniform(first, end)
            kill_at(folder, out, moment)
            if parts.exists():
                done = len(list(parts.glob("unit-*.parquet")))
                rows.append({"kill": len(rows) + 1, "seconds": round(moment, 2), "units": done})
            elif out.exists():  # it had ended, in spite of the kills before: compare, and start afresh
                same &= tables(out) == whole
                for path in (out, out.with_name("killed.rejects.parquet")):
                    path.unlink()
        finish(folder, out)
        same &= tables(out) == whole
    rows.append({"kill": "equal to an undisturbed run", "units": "yes" if same else "no"})
    keep(options.out, rows, COLUMNS)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
