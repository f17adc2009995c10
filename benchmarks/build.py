"""Build against the bare decode and encode loop, peak memory at two sizes, and the search for near duplicates.

    python benchmarks/build.py [--pictures 2000 20000] [--side 1024] [--hashes 1000000] [--workers 2]

Writes benchmarks/build.csv. The pictures are made here: coarse noise at JPEG quality 90, as large as those of FFHQ,
CelebA-HQ and StyleGAN are. `ratio` is the build's time, the start of its processes included, over that of the bare loop
in as many processes that have started before; the loop's pace is taken from the first 2,000 pictures. `peak_mib` is the
largest sum of the memory that all processes hold (in the committed rows, of their proportional set sizes). Run it on an
idle machine, or the ratios say nothing: on two cores it takes about five minutes, and 3 GB for temporary files.
"""

import argparse
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
from figures_file import keep
from PIL import Image

from fakeface.data.build.recipe import build_recipe
from fakeface.data.build.run import build
from fakeface.data.duplicates import find_duplicates, group_numbers
from fakeface.data.equalise import History, equalise
from fakeface.images.load import load_picture

BARE = 2000  # pictures that the bare loop is timed on, at most
COLUMNS = ("what", "n", "seconds", "bare_seconds", "ratio", "peak_mib")


def make_picture(file: Path, side: int) -> None:
    noise = np.random.default_rng(int(file.stem)).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(file, quality=90)


def make_pictures(folder: Path, count: int, side: int, workers: int) -> list[Path]:
    folder.mkdir(parents=True)
    files = [folder / f"{seed:06d}.jpg" for seed in range(count)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(partial(make_picture, side=side), files, chunksize=100))
    return files


def bare(files: list[Path]) -> int:
    """The loop that nobody can do without: read, decode, shrink, encode."""
    size = 0
    for file in files:
        size += len(equalise(load_picture(file), History(), np.random.default_rng(0)))
    return size


def time_bare(files: list[Path], workers: int) -> float:
    """Seconds that the bare loop takes in processes that have all started."""
    parts = [files[i::workers] for i in range(workers)]
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=context.Barrier(workers).wait) as pool:
        list(pool.map(bare, [part[:1] for part in parts]))
        start = time.perf_counter()
        list(pool.map(bare, parts))
        return time.perf_counter() - start


class PeakMemory(threading.Thread):
    """Largest sum of the memory that this process and its children hold, in MiB.

    Pages of files, which is where libraries lie, are not counted: how they are shared out, and so the proportional set
    size, depends on what else runs on the machine. Nor is shared memory, which nothing measured here uses: worker
    processes are started afresh and get pictures through pipes.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._done = 0.0, threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            total = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    memory = process.memory_info()
                    total += memory.rss - memory.shared
                except psutil.Error:
                    continue  # it has just ended
            self.peak = max(self.peak, total / 2**20)

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self.peak


def build_in_own_process(root: Path, out: Path, workers: int) -> tuple[float, float]:
    """Seconds and peak memory of a build."""
    recipe = build_recipe({"sources": [{"source": "pictures", "name": "noise", "label": "real"}]})
    memory = PeakMemory()
    memory.start()
    start = time.perf_counter()
    build(recipe, root, out, workers=workers)
    return time.perf_counter() - start, memory.stop()


def measure_build(files: list[Path], pace: float, workers: int) -> dict[str, object]:
    """Build from these files, given how many seconds the bare loop takes for one."""
    with tempfile.TemporaryDirectory(dir=files[0].parents[2]) as scratch:
        root = Path(scratch) / "root"
        (root / "noise").mkdir(parents=True)
        for file in files:
            os.link(file, root / "noise" / file.name)
        # In a process of its own, which has not yet imported or allocated anything for the size before.
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            seconds, peak = alone.submit(build_in_own_process, root, Path(scratch) / "out", workers).result()
    bare_seconds = pace * len(files)
    return {
        "what": "build",
        "n": len(files),
        "seconds": round(seconds, 2),
        "bare_seconds": round(bare_seconds, 2),
        "ratio": round(seconds / bare_seconds, 3),
        "peak_mib": round(peak),
    }


def measure_duplicates(count: int) -> dict[str, object]:
    values = np.random.default_rng(0).integers(0, 2**64, count, np.uint64)
    start = time.perf_counter()
    group_numbers(find_duplicates(values, 4))
    return {"what": "near duplicates", "n": count, "seconds": round(time.perf_counter() - start, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--side", type=int, default=1024, help="of the pictures, in pixels")
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        files = make_pictures(Path(scratch) / "made" / "noise", max(options.pictures), options.side, options.workers)
        pace = time_bare(files[:BARE], options.workers) / len(files[:BARE])
        rows = [measure_build(files[:count], pace, options.workers) for count in options.pictures]
    rows.append(measure_duplicates(options.hashes))
    keep(options.out, rows, COLUMNS)


if __name__ == "__main__":
    main()
