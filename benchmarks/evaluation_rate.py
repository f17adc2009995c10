"""Pictures a second of `fakeface evaluate` over those of the scoring loop of `fakeface score`, same model and pictures.

    python benchmarks/evaluation_rate.py [--pictures 2000] [--rounds 3] [--data "../shared/faces/pool-*.parquet"]
        [--model checkpoints/fakeface-resnet50-cnn]

Writes benchmarks/evaluation_rate.csv. Both read the same parquet file, judge the centre of each picture in float32, as
`predict` does, in batches of 32 with two processes that decode, and start these anew; the rounds alternate, and the
median counts. `evaluate, delivered` sends every picture on its way first, which scoring never does: it has no target.
Run it on an idle machine, or the ratios say nothing.

Nothing heavy is imported at the top: the workers of a run import this file.
"""

import argparse
import glob
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures_file import keep

BATCH, WORKERS = 32, 2
COLUMNS = ("what", "pictures", "rounds", "seconds", "per_second", "ratio")


def seconds_of(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def actions(model: str, file: Path, scratch: Path) -> dict[str, Callable[[], Any]]:
    """What is timed: each scores every picture of the file."""
    from fakeface import Detector
    from fakeface.evaluation.cache import ScoreCache
    from fakeface.evaluation.inputs import whole
    from fakeface.evaluation.scores import COLUMNS, fill, parts_of
    from fakeface.evaluation.subjects import open_subject
    from fakeface.score.run import score

    detector = Detector.from_pretrained(model, device="cpu", faces=False)
    subject = open_subject(model, device="cpu")
    splits, _ = whole([str(file)], workers=WORKERS)  # checked once, as by a run that goes on
    splits["all"] = splits["all"].select_columns(["image", *COLUMNS])
    parts = {part.view: part for part in parts_of(splits)}
    options: dict[str, Any] = {"how": None, "seed": 0, "batch_size": BATCH, "workers": WORKERS}
    out = scratch / "out.parquet"
    return {
        "scoring loop": lambda: score([str(file)], out, detector, batch_size=BATCH, workers=WORKERS, overwrite=True),
        "evaluate, clean": lambda: fill(subject, [parts["clean"]], ScoreCache(), **options),
        "evaluate, delivered": lambda: fill(subject, [parts["delivered"]], ScoreCache(), **options),
    }


def sample(pattern: str, count: int, file: Path) -> int:
    """Write a parquet file of so many pictures, spread over the data; returns how many there were."""
    from fakeface.data.loading import open_dataset, take_evenly

    part = take_evenly(open_dataset(sorted(glob.glob(pattern))), count)
    part.to_parquet(file)
    return len(part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", default="../shared/faces/pool-*.parquet", help="parquet files of labelled pictures")
    parser.add_argument("--model", default="checkpoints/fakeface-resnet50-cnn")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pictures.parquet")
        count = sample(options.data, options.pictures, file)
        timed = actions(options.model, file, Path(folder))
        taken = [{what: seconds_of(action) for what, action in timed.items()} for _ in range(options.rounds)]
    rows = []
    for what in timed:
        ratio = statistics.median(one["scoring loop"] / one[what] for one in taken)
        seconds = statistics.median(one[what] for one in taken)
        rows.append({"what": what, "pictures": count, "rounds": len(taken), "seconds": round(seconds, 2)})
        rows[-1] |= {"per_second": round(count / seconds, 2), "ratio": round(ratio, 3)}
    keep(options.out, rows, COLUMNS)


if __name__ == "__main__":
    main()
