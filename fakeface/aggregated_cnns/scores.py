"""Score pictures with the Aggregated CNNs into a CSV file that `fakeface evaluate` takes.

    python -m fakeface.aggregated_cnns weights/ my/pictures --out their-scores.csv
    fakeface evaluate their-scores.csv --out report

`weights/` holds the authors' method_A.pth to method_E.pth, or five networks trained here. 200 patches in each of five
networks make a picture slow on a CPU, several seconds: `--limit` takes a part of the pictures, `--patches` fewer
patches, which is no longer the paper's protocol. A run that was stopped goes on with the same command.
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import DatasetDict
from tqdm.auto import tqdm

from ..detector.runtime import fastest_dtype, pick_device
from ..evaluation.cache import Key, ScoreCache
from ..evaluation.inputs import whole
from ..evaluation.scores import COLUMNS, MEASURED
from ..images.load import PictureError
from ..reports.csv_files import write_csv
from ..utils.errors import FakefaceError
from ..utils.text import complain, printable
from .model import NETWORKS, PATCHES, AggregatedCNNs

REFUSED = "refused"


def score_pictures(
    detector: AggregatedCNNs, splits: DatasetDict, folder: Path, *, patches: int = PATCHES, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of all measured pictures, as they are.

    Args:
        detector: the five networks.
        splits: from `fakeface.evaluation.inputs`.
        folder: for what is known already, one file for each detector, precision, number of patches and seed.
        patches, seed: as for `AggregatedCNNs.network_scores`.

    Returns:
        The scores: `split`, `view`, the columns of the data but the picture, the score of each network, and their mean
        as `score`. And the refused pictures, with the reason code in `refused`.
    """
    settings = f"{detector.sha256} {detector.dtype} {patches} {seed}"
    cache = ScoreCache(folder, hashlib.sha256(settings.encode()).hexdigest())
    names = [name for name in MEASURED if name in splits]
    keys = {name: [Key(sha256, "clean") for sha256 in splits[name]["sha256"]] for name in names}
    bar = tqdm(total=sum(key not in cache for name in names for key in keys[name]), desc="Scoring")
    tables = []
    for name in names:
        part = splits[name]
        for i, key in enumerate(keys[name]):
            if key not in cache:
                cache.add([key], [_judge(detector, part[i]["image"], key.sha256, patches, seed)])
                bar.update()
        told = pd.DataFrame({column: part[column] for column in COLUMNS})
        tables.append(told.assign(split=name, view="clean", found=[cache[key] for key in keys[name]]))
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
        "python -m fakeface.aggregated_cnns",
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
        write_csv(scores, options.out)
    except FakefaceError as error:  # weights, data or a device that cannot be used
        sys.exit(printable(str(error)))
    for message in unreadable:
        complain(message)
    if len(refused):
        file = options.out.with_name(f"{options.out.stem}-refused.csv")
        write_csv(refused, file)
        complain(f"{len(refused)} pictures refused, most of them as {refused[REFUSED].mode()[0]}; they stand in {file}")
    print(f"{len(scores)} scores in {options.out}; `fakeface evaluate {options.out}` makes the report")
