"""`fakeface score` against the bare model, against the stock pipeline, and its peak memory at two sizes.

    python benchmarks/score.py [--pictures 2000] [--data "../shared/faces/pool-*.parquet"]
        [--model checkpoints/fakeface-resnet50-cnn] [--pipeline-pictures 500] [--memory 1000 50000]
        [--workers 0]
    python benchmarks/score.py --only-memory [--memory 1000 50000]      # the speeds in the CSV stay as they are

Writes benchmarks/score.csv. `ratio` is: of `score`, its pictures a second over those of the bare model on ready
tensors at the same precision (listing, starting workers, decoding and writing included), as transformers loads it;
`over_prepared`, over those of the model that `score` itself uses, where BatchNorms are folded; `over_pipeline`, over
those of transformers' pipeline on the same files; of memory, the peak over that of the first size. `auc` is of the same
pictures at each precision: it says little where the model was trained on them, but it must not fall with the precision.
Run it on an idle machine, or the ratios say nothing.

Nothing heavy is imported at the top: the workers of a run import this file.
"""

import argparse
import csv
import glob
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from figures_file import keep

COLUMNS = ["what", "precision", "n", "seconds", "per_second", "ratio", "over_prepared", "over_pipeline", "auc"]
COLUMNS += ["peak_mib"]
BATCH = 16
SIDE = 280  # pixels, of pictures that are made here


def write_files(data: list[str], folder: Path, count: int) -> dict[str, int]:
    """JPEG files as they stand in parquet files, spread over all of these; returns the label of each path."""
    import pyarrow.parquet as pq

    labels: dict[str, int] = {}
    for number, name in enumerate(data):
        rows = pq.read_table(name, columns=["image", "label"]).slice(0, -(-count // len(data)))
        for place, row in enumerate(rows.to_pylist()):
            if len(labels) < count:
                file = folder / f"{number:02d}" / f"{place:05d}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(row["image"]["bytes"])
                labels[str(file)] = row["label"]
    return labels


def bare(model: Any, detector: Any, count: int) -> float:
    """Seconds of a model alone, on tensors that are ready, in the memory layout that the detector uses."""
    import numpy as np
    import torch

    size = detector.processor.size
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    values = detector._pixel_values(list(noise))
    with torch.inference_mode():
        for _ in range(3):
            model(values)
        start = time.perf_counter()
        for _ in range(-(-count // BATCH)):
            model(values)
        return (time.perf_counter() - start) * count / (-(-count // BATCH) * BATCH)


def timed_score(detector: Any, folder: Path, workers: int) -> tuple[float, dict[str, float]]:
    """Seconds of a whole run, and the scores by path."""
    import pyarrow.parquet as pq

    from fakeface.score.run import score

    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        score([str(folder)], Path(scratch) / "out.parquet", detector, batch_size=BATCH, workers=workers)
        seconds = time.perf_counter() - start
        rows = pq.read_table(Path(scratch) / "out.parquet", columns=["picture", "score"]).to_pylist()
    return seconds, {row["picture"]: row["score"] for row in rows if row["score"] is not None}


def pipeline_rate(model: str, files: list[str]) -> float:
    """Pictures a second of the stock pipeline with its defaults."""
    from transformers import pipeline

    import fakeface  # noqa: F401 (registers the classes)

    classify = pipeline("image-classification", model=model, device="cpu")
    classify(files[:3])
    start = time.perf_counter()
    # It takes generators, though its types do not say so, but no other iterators.
    for _ in classify(file for file in files):  # pyright: ignore[reportCallIssue, reportArgumentType]
        pass
    return len(files) / (time.perf_counter() - start)


def auc(scores: dict[str, float], labels: dict[str, int]) -> float | str:
    from sklearn.metrics import roc_auc_score

    known = [path for path in scores if path in labels]
    if len({labels[path] for path in known}) < 2:
        return ""
    return round(float(roc_auc_score([labels[path] for path in known], [scores[path] for path in known])), 4)


def measure_speed(options: argparse.Namespace, folder: Path, labels: dict[str, int]) -> list[dict[str, Any]]:
    import torch

    from fakeface import Detector
    from fakeface.model_folder.opening import load_model_folder

    files = sorted(map(str, folder.rglob("*.jpg")))
    stock = pipeline_rate(options.model, files[: options.pipeline_pictures])
    rows: list[dict[str, Any]] = [{"what": "stock pipeline", "precision": "float32", "per_second": round(stock, 2)}]
    for dtype in ("float32", "auto"):
        for faces in (False, True):
            detector = Detector.from_pretrained(options.model, device="cpu", dtype=dtype, faces=faces)
            precision = str(detector.model.dtype).removeprefix("torch.") + (" channels last" if dtype == "auto" else "")
            kind: Any = detector.model.dtype
            plain, _ = load_model_folder(options.model, dtype=kind)
            if dtype == "auto":
                plain.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            alone, prepared = (len(files) / bare(model, detector, len(files)) for model in (plain, detector.model))
            seconds, scores = timed_score(detector, folder, options.workers)
            rate = len(files) / seconds
            shared = {"precision": precision, "n": len(files)}
            rows.append({"what": "bare model", **shared, "per_second": round(alone, 2)})
            rows.append({"what": "prepared model", **shared, "per_second": round(prepared, 2)})
            rows.append(
                {
                    "what": f"score {'with' if faces else 'without'} faces",
                    **shared,
                    "seconds": round(seconds, 2),
                    "per_second": round(rate, 2),
                    "ratio": round(rate / alone, 3),
                    "over_prepared": round(rate / prepared, 3),
                    "over_pipeline": round(rate / stock, 2),
                    "auc": auc(scores, labels),
                }
            )
    return rows


def peak_memory(count: int, workers: int) -> float:
    """Peak in MiB of scoring so many pictures with a small model; the pictures are names of a hundred files."""
    from build import PeakMemory, make_pictures

    from fakeface import Detector, FakeFaceConfig, FakeFaceForImageClassification, FakeFaceImageProcessor
    from fakeface.score.run import score

    config = FakeFaceConfig(architecture="logistic", image_size=160)
    detector = Detector(FakeFaceForImageClassification(config), FakeFaceImageProcessor(size=160))
    with tempfile.TemporaryDirectory() as scratch:
        make_pictures(Path(scratch) / "files", 100, SIDE, os.cpu_count() or 1)
        (Path(scratch) / "in").mkdir()
        for number in range(count):
            os.link(Path(scratch, "files", f"{number % 100:06d}.jpg"), Path(scratch, "in", f"{number:08d}.jpg"))
        memory = PeakMemory()
        memory.start()
        score([f"{scratch}/in"], Path(scratch) / "out.parquet", detector, workers=workers)
        return memory.stop()


def measure_memory(sizes: list[int], workers: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for count in sizes:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # each starts afresh
            peak = pool.submit(peak_memory, count, workers).result()
        first = rows[0]["peak_mib"] if rows else peak
        rows.append({"what": "peak memory", "n": count, "peak_mib": round(peak), "ratio": round(peak / first, 3)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--pipeline-pictures", type=int, default=500)
    parser.add_argument("--data", default="../shared/faces/pool-*.parquet", help="parquet files with image and label")
    parser.add_argument("--model", default="checkpoints/fakeface-resnet50-cnn")
    parser.add_argument("--memory", type=int, nargs="*", default=[1000, 50_000])
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--only-memory", action="store_true", help="leave the speeds of an earlier run as they are")
    options = parser.parse_args()
    rows = kept_speeds(options.out) if options.only_memory else speeds(options)
    rows += measure_memory(options.memory, options.workers)
    keep(options.out, rows, COLUMNS)


def kept_speeds(file: Path) -> list[dict[str, Any]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["what"] != "peak memory"]


def speeds(options: argparse.Namespace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        labels: dict[str, int] = {}
        if data := sorted(glob.glob(options.data)):
            labels = write_files(data, Path(scratch), options.pictures)
        else:
            from build import make_pictures

            make_pictures(Path(scratch) / "noise", options.pictures, SIDE, os.cpu_count() or 1)
        return measure_speed(options, Path(scratch), labels)


if __name__ == "__main__":
    main()
