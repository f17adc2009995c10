"""Build against the bare decode and encode loop, peak memory at two sizes, and the search for near duplicates.

    python benchmarks/build.py [--pictures 2000 20000] [--hashes 1000000] [--workers 2]

Writes benchmarks/build.csv. The pictures are made here: coarse noise of 512 px, JPEG quality 90. Run it on an idle
machine, or the ratios say nothing.
"""

import argparse
import csv
import io
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from fakeface.data.build import build
from fakeface.data.build_recipe import build_recipe
from fakeface.data.duplicates import find_duplicates, group_numbers
from fakeface.data.equalise import History, equalise
from fakeface.images import load_picture

SIDE = 512


def make_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for seed in range(count):
        noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(
            folder / f"{seed:06d}.jpg", quality=90
        )


def bare(files: list[Path]) -> int:
    """The loop that nobody can do without: read, decode, shrink, encode."""
    size = 0
    for file in files:
        size += len(equalise(load_picture(file), History(), np.random.default_rng(0)))
    return size


def time_bare(files: list[Path], workers: int) -> float:
    parts = [files[i::workers] for i in range(workers)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(bare, [part[:1] for part in parts]))  # the processes start and import
        start = time.perf_counter()
        list(pool.map(bare, parts))
        return time.perf_counter() - start


class PeakMemory(threading.Thread):
    """Largest sum of the memory of this process and its children (proportional set size), in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._done = 0.0, threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.05):
            total = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue  # it has just ended
            self.peak = max(self.peak, total / 2**20)

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self.peak


def measure_build(count: int, workers: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        make_pictures(root / "noise", count)
        bare_seconds = time_bare(sorted((root / "noise").iterdir()), workers)
        recipe = build_recipe({"sources": [{"source": "pictures", "name": "noise", "label": "real"}]})
        memory = PeakMemory()
        memory.start()
        start = time.perf_counter()
        build(recipe, root, Path(scratch) / "out", workers=workers)
        seconds = time.perf_counter() - start
        return {
            "what": "build",
            "n": count,
            "seconds": round(seconds, 2),
            "bare_seconds": round(bare_seconds, 2),
            "ratio": round(seconds / bare_seconds, 3),
            "peak_mib": round(memory.stop()),
        }


def measure_duplicates(count: int) -> dict[str, object]:
    values = np.random.default_rng(0).integers(0, 2**64, count, np.uint64)
    start = time.perf_counter()
    group_numbers(find_duplicates(values, 4))
    return {"what": "near duplicates", "n": count, "seconds": round(time.perf_counter() - start, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    rows = [measure_build(count, options.workers) for count in options.pictures]
    rows.append(measure_duplicates(options.hashes))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["what", "n", "seconds", "bare_seconds", "ratio", "peak_mib"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    options.out.write_text(text.getvalue())
    sys.stdout.write(text.getvalue())


if __name__ == "__main__":
    main()
