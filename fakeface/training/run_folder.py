"""The run folder: what the run depends on (`run.json`) and its curves."""

import csv
import dataclasses
import importlib.metadata
import io
import json
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from datasets import Dataset, DatasetDict

from ..data.loading import DataError, fingerprint
from ..data.streaming import Stream
from ..detector.runtime import hardware
from ..evaluation.report import seen_generators
from ..evaluation.subjects import weights_sha256
from ..model_folder.opening import find_folder
from ..recipe import Recipe, RecipeError
from ..utils.files import replace_text
from .command import RUN_RECORD

PACKAGES = ("fakeface", "torch", "timm", "transformers", "datasets", "accelerate", "evaluate", "pillow", "numpy")
CURVES = "curves.csv"


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
        # On the first three depends how many models a checkpoint holds, and what their tensors are called; on the last
        # what its weights have seen.
        for key in ("ema", "compile", "teacher", "start_from"):
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
    return {"weights_sha256": weights_sha256(folder), "generators": sorted(seen_generators(folder) or ())}


def write_curves(run: Path, history: list[dict[str, Any]]) -> None:
    rows = io.StringIO(newline="")
    writer = csv.DictWriter(rows, ["step", "epoch", "loss", "auc", "auc_delivered"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    replace_text(run / CURVES, rows.getvalue())


__all__ = ["CURVES", "RUN_RECORD", "describe_run", "write_curves"]
