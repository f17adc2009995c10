"""Score pictures with the Aggregated CNNs into a CSV file that `fakeface evaluate` takes.

    python -m fakeface.aggregated_scores weights/ my/pictures --out their-scores.csv
    fakeface evaluate their-scores.csv --out report

`weights/` holds the authors' method_A.pth to method_E.pth, or five networks trained here. 200 patches in each of five
networks make a picture slow on a CPU, several seconds: `--limit` takes a part of the pictures, `--patches` fewer
patches, which is no longer the paper's protocol. A run that was stopped goes on with the same command.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import DatasetDict
from tqdm.auto import tqdm

from .aggregated_cnns import NETWORKS, PATCHES, AggregatedCNNs
from .devices import fastest_dtype, pick_device
from .images import PictureError
from .measured_data import whole
from .score_views import COLUMNS, MEASURED
from .terminal import complain, printable

REFUSED = "refused"


class Kept:
    """What is known of pictures already, in a file with a line of JSON for each: its sha256, and scores or a refusal.

    What is no such line, as a run leaves that was killed in the middle of one, counts as not there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[float] | str] = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                sha256, found = json.loads(line)
            except ValueError:
                continue
            self._known[sha256] = found
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write("\n")  # ends a line left half written

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._known

    def __getitem__(self, sha256: str) -> list[float] | str:
        return self._known[sha256]

    def add(self, sha256: str, found: list[float] | str) -> None:
        self._known[sha256] = found
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([sha256, found]) + "\n")


def score_pictures(
    detector: AggregatedCNNs, splits: DatasetDict, folder: Path, *, patches: int = PATCHES, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of all measured pictures, as they are.

    Args:
        detector: the five networks.
        splits: from `fakeface.measured_data`.
        folder: for what is known already, one file for each detector, precision, number of patches and seed.
        patches, seed: as for `AggregatedCNNs.network_scores`.

    Returns:
        The scores: `split`, `view`, the columns of the data but the picture, the score of each network, and their mean
        as `score`. And the refused pictures, with the reason code in `refused`.
    """
    precision = str(detector.dtype).removeprefix("torch.")
    kept = Kept(folder / f"{detector.sha256[:16]}-{precision}-{patches}-{seed}.jsonl")
    names = [name for name in MEASURED if name in splits]
    bar = tqdm(total=sum(sha256 not in kept for name in names for sha256 in splits[name]["sha256"]), desc="Scoring")
    tables = []
    for name in names:
        part = splits[name]
        for i, sha256 in enumerate(part["sha256"]):
            if sha256 not in kept:
                kept.add(sha256, _judge(detector, part[i]["image"], sha256, patches, seed))
                bar.update()
        told = pd.DataFrame({column: part[column] for column in COLUMNS})
        tables.append(told.assign(split=name, view="clean", found=[kept[sha256] for sha256 in told["sha256"]]))
    bar.close()
    return _apart(pd.concat(tables, ignore_index=True))


def _judge(detector: AggregatedCNNs, image: dict[str, Any], sha256: str, patches: int, seed: int) -> list[float] | str:
    try:
        return detector.network_scores(image, patches=patches, seed=seed, name=image.get("path") or sha256[:16])
    except PictureError as error:
        return error.reason


def _apart(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scored and refused rows, the column `found` spread into theirs."""
    is_refused = table["found"].map(lambda found: isinstance(found, str))
    refused = table.loc[is_refused].rename(columns={"found": REFUSED})
    scored = table.loc[~is_refused].reset_index(drop=True)
    each = np.array(scored.pop("found").tolist()).reshape(-1, len(NETWORKS))
    return scored.assign(**dict(zip(NETWORKS, each.T, strict=True)), score=each.mean(1)), refused


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m fakeface.aggregated_scores",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path, help="folder with the five networks")
    parser.add_argument("data", nargs="+", help="parquet files, image folders, Hub datasets")
    parser.add_argument("--out", type=Path, required=True, help="CSV file; refused pictures go into one beside it")
    parser.add_argument("--limit", type=int, default=0, help="take this many pictures, spread over the data; 0 for all")
    parser.add_argument("--patches", type=int, default=PATCHES, help="for each network and picture")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; by default the GPU, if any")
    options = parser.parse_args(arguments)
    if options.patches < 1:
        parser.error(f"--patches is {options.patches}: it takes 1 or more")
    try:
        device = pick_device(options.device)
        detector = AggregatedCNNs.from_folder(options.weights, device=device, dtype=fastest_dtype(device))
        splits, unreadable = whole(options.data, limit=options.limit)
        folder = options.out.with_name(f"{options.out.stem}-kept")
        scores, refused = score_pictures(detector, splits, folder, patches=options.patches)
        scores.to_csv(options.out, index=False, float_format="%.9g")
    except ValueError as error:  # weights, data or a device that cannot be used; the message has the cure
        sys.exit(printable(str(error)))
    for message in unreadable:
        complain(message)
    if len(refused):
        file = options.out.with_name(f"{options.out.stem}-refused.csv")
        refused.to_csv(file, index=False)
        complain(f"{len(refused)} pictures refused, most of them as {refused[REFUSED].mode()[0]}; they stand in {file}")
    print(f"{len(scores)} scores in {options.out}; `fakeface evaluate {options.out}` makes the report")


if __name__ == "__main__":
    main()
