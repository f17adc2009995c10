"""Processor time that slips cost until they are refused: names of nothing, unknown options, wrong labels.

    python benchmarks/refusals.py [--rounds 7]

Writes benchmarks/refusals.csv: the median and the largest of user and system time together, in seconds, each from a
process of its own. `train.py --help` is not a refusal, but is as quick for the same reason: torch is not imported.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from figures_file import keep
from start import measured

COLUMNS = ("what", "rounds", "cpu_s", "largest_cpu_s")


def refusals(scratch: Path) -> dict[str, list[str]]:
    """Slips by what they are, as words for Python; writes the data that they name."""
    for animal in ("cats", "dogs"):
        (scratch / "pets" / animal).mkdir(parents=True)
        (scratch / "pets" / animal / "1.jpg").touch()
    label = {"names": ["cat", "dog"], "_type": "ClassLabel"}
    features = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})
    image = pa.array([{"bytes": b"", "path": "1.jpg"}])
    table = pa.table({"image": image, "label": [0]}).replace_schema_metadata({"huggingface": features})
    pq.write_table(table, scratch / "pets.parquet")
    fakeface, nothing = ["-m", "fakeface"], str(scratch / "nosuch")
    return {
        "unknown file: predict nosuch.jpg": [*fakeface, "predict", f"{nothing}.jpg"],
        "unknown folder: data audit nosuch/": [*fakeface, "data", "audit", f"{nothing}/"],
        "unknown folder: train.py --data nosuch/": ["train.py", "--data", f"{nothing}/"],
        "unknown model: predict one.jpg --model nosuch/": [*fakeface, "one.jpg", "--model", f"{nothing}/"],
        "unknown option: predict --modle": [*fakeface, "predict", "--modle", "x", "one.jpg"],
        "unknown option: train.py --epoch": ["train.py", "--epoch", "3"],
        "wrong label names: data audit pets/": [*fakeface, "data", "audit", str(scratch / "pets")],
        "wrong label names: evaluate MODEL pets.parquet": [
            *fakeface, "evaluate", "checkpoints/fakeface-resnet50-cnn", str(scratch / "pets.parquet")
        ],
        "wrong label: explain --label fake": [*fakeface, "explain", "one.jpg", "--out", "w.png", "--label", "fake"],
        "train.py --help": ["train.py", "--help"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        ways = refusals(Path(scratch))
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, words in ways.items():
                _, processor = measured(words, environment, codes=(0,) if "--help" in name else (1, 2))
                if turn:  # the first turn fills the disk's cache
                    times[name].append(processor)
    rows = []
    for name, taken in times.items():
        seconds = (f"{number:.3f}" for number in (statistics.median(taken), max(taken)))
        rows.append(dict(zip(COLUMNS, (name, rounds, *seconds), strict=True)))
    keep(Path(__file__).with_suffix(".csv"), rows, COLUMNS)


if __name__ == "__main__":
    main()
