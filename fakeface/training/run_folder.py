"""The run folder: what the run depends on (`run.json`) and its curves."""

import csv
import dataclasses
import importlib.metadata
import io
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from datasets import Dataset, DatasetDict

from ..checksums import sha256_of
from ..data.loading import DataError, fingerprint
from ..data.streaming import Stream
from ..devices import hardware
from ..evaluation import seen_generators
from ..model_folder import WEIGHTS, find_folder
from ..recipe import Recipe, RecipeError

PACKAGES = ("fakeface", "torch", "timm", "transformers", "datasets", "accelerate", "evaluate", "pillow", "numpy")
RUN_RECORD = "run.json"
CURVES = "curves.csv"


def refuse_taken(run: Path, recipe: Recipe) -> None:
    """Raises RecipeError where the folder holds a run that was not asked for."""
    if (run / RUN_RECORD).exists() and not recipe.resume:
        raise RecipeError(f"output {run} already holds a run: add --resume to go on with it, or name another folder")


def describe_run(
    run: Path,
    recipe: Recipe,
    training: Dataset | Stream,
    splits: DatasetDict,
    refused: list[str],
    accelerator: Accelerator,
) -> None:
    """Write what the run depends on; a resumed run must stand on the same data.

    Raises:
        DataError, RecipeError: the run in the folder was started on other data, or its checkpoints do not fit.
    """
    run.mkdir(parents=True, exist_ok=True)
    parts = sorted({**splits, "train": training}.items())
    data = {
        name: {"stream": part.identity, "shards": part.rows.num_shards}
        if isinstance(part, Stream)
        else {"pictures": len(part), "fingerprint": fingerprint(part)}
        for name, part in parts
    }
    file, start = run / RUN_RECORD, {}
    if file.exists():
        record = json.loads(file.read_text())
        start = record.get("start", {})
        if (before := record["data"]) != data:
            changed = sorted(name for name in before.keys() | data.keys() if before.get(name) != data.get(name))
            raise DataError(f"{run}: its run was started on other data; what differs is {', '.join(changed)}")
        changed = [
            f"{key} {before!r} -> {now!r}"
            for key, now in dataclasses.asdict(recipe).items()
            if key not in ("resume", "output") and (before := record["recipe"].get(key, now)) != now
        ]
        if changed:
            accelerator.print(f"changed since the run was last started: {', '.join(changed)}")
        # On the first two depends how many models a checkpoint holds, and what their tensors are called; on the last
        # what its weights have seen.
        for key in ("ema", "compile", "start_from"):
            if (was := record["recipe"].get(key, now := getattr(recipe, key))) != now:
                raise RecipeError(f"{run}: its run was started with {key} {was!r}, not {now!r}; resume with that")
    elif recipe.start_from:
        start = start_record(recipe.start_from)
    replace_text(
        file,
        json.dumps(
            {
                "command": shlex.join(sys.argv),
                "recipe": dataclasses.asdict(recipe),
                "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
                "python": platform.python_version(),
                "processes": accelerator.num_processes,
                "device": str(accelerator.device),
                "hardware": hardware(accelerator.device),
                "mixed_precision": accelerator.mixed_precision,
                **({"start": start} if start else {}),
                "data": data,
                "refused": refused,
            },
            indent=2,
        )
        + "\n",
    )


def start_record(name: str) -> dict[str, Any]:
    """Of the model that training goes on from: sha256 of its weights, and the generators that they have seen."""
    folder = find_folder(name)
    return {"weights_sha256": sha256_of(folder / WEIGHTS), "generators": sorted(seen_generators(folder) or ())}


def replace_text(file: Path, text: str) -> None:
    """Write a file anew; if the disk is full or the run is killed, what stood there before still does."""
    fresh = file.with_name(f".{file.name}.writing")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, file)


def write_curves(run: Path, history: list[dict[str, Any]]) -> None:
    rows = io.StringIO(newline="")
    writer = csv.DictWriter(rows, ["step", "epoch", "loss", "auc", "auc_delivered"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    replace_text(run / CURVES, rows.getvalue())


__all__ = ["CURVES", "RUN_RECORD", "describe_run", "refuse_taken", "write_curves"]
