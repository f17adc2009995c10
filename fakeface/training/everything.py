"""After a recipe was measured: training on all pictures, those that were held out for measuring too.

A head is trained anew. Its thresholds come from scores that models gave to sources they were not trained on, a fifth of
the sources at a time; so do the figures of `folds.json`, which say how far the recipe travels. Where that would cost
hours, training goes on from the measured weights, and pictures for validation stay out, for the thresholds.
"""

import copy
import dataclasses
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from datasets import Dataset, DatasetDict, concatenate_datasets

from ..data.faces import only_faces
from ..data.loading import fingerprint
from ..data.views import View
from ..evaluation.calibration import fit
from ..evaluation.report import REPORT
from ..evaluation.subjects import weights_sha256
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..metrics.detection import MetricError, detection_metrics
from ..model_folder.checksums import renew_sums
from ..model_folder.saving import save_model_folder
from ..modeling_fakeface import FakeFaceForImageClassification, keep_in_int8
from ..recipe import TRAINING_RECORD, Recipe, named_pictures
from ..reports.csv_files import write_csv
from ..utils.files import replace_file, replace_text
from .data import capped, origins
from .familiar import learn_familiar
from .frozen import JUDGED_VIEWS, collect_features, fit_head, margins_of
from .run_folder import RUN_RECORD
from .tuning import Tokens, features_anew, tune

FOLDS = 5
FOLDS_RECORD = "folds.json"  # figures
FOLDS_MARGINS = "folds.csv"  # and the margins of every picture, from which they are
FEWEST = 20  # pictures of a generator, for a figure of its own
EVERYTHING = "everything"  # folder of the run, with its model in it; key of its training record


def train_on_everything(
    run: Path,
    recipe: Recipe,
    model: FakeFaceForImageClassification,
    splits: DatasetDict,
    view: View,
    processor: FakeFaceImageProcessor,
    accelerator: Accelerator,
) -> Path:
    """Train the head on all splits, calibrate it on sources left out, and write its model folder.

    Args:
        run: of the recipe, finished: its `model/` was measured with pictures held out.
        recipe: with `frozen_views`, `leave_out` and `source_cap`.
        model: with the recipe's trunk; its head is trained anew.
        splits: with faces.
        view, processor, accelerator: as of `collect_features`.

    Returns:
        `run/everything/model`, with the report of the measured model and a record that says so.
    """
    part = all_pictures(splits, recipe)
    features = collect_features(run, recipe, model, part, view, accelerator)
    folds = source_folds(part["label"][:], part["source"][:])
    tokens = Tokens(run, part["sha256"][:], len(features)) if recipe.tuned_blocks else None
    margins = out_of_fold(model, features, tokens, part, folds, recipe, accelerator.device)
    labels = np.asarray(part["label"][:])
    report = folds_report(margins, labels, folds, part["generator"][:])
    replace_text(run / FOLDS_RECORD, json.dumps(report, indent=2) + "\n")
    columns = {name: part[name][:] for name in ("sha256", "source", "generator", "label")}
    views = {f"margin_{name}": its for name, its in zip(view_names(len(margins)), margins, strict=True)}
    with replace_file(run / FOLDS_MARGINS) as fresh:
        write_csv(pd.DataFrame({**columns, "fold": folds, **views}), fresh)
    model, told = learn(model, features, tokens, np.arange(len(part)), part, recipe, accelerator.device)
    learn_familiar(model, told(np.arange(len(part))), part)
    keep_in_int8(model.fakeface.trunk.vit)
    model.config.trunk_bits = 8
    try:
        both = margins.ravel(), np.tile(labels, len(margins))
        fit(*both, target_fpr=recipe.target_fpr, views=len(margins)).store(model.config)
    except MetricError as error:
        accelerator.print(f"the model stays uncalibrated: {error}")
    save_model_folder(run / EVERYTHING / "model", model, processor, half=recipe.half)
    told = {"pictures": len(part), "fingerprint": fingerprint(part)}
    return record_everything(run, told | {key: report[key] for key in ("mean", "worst")})


def recipe_for_everything(recipe: Recipe) -> Recipe:
    """Of the training that follows one without `frozen_views`: on from its model, with what it held out."""
    run = Path(recipe.output)
    return dataclasses.replace(
        recipe,
        output=str(run / EVERYTHING),
        start_from=str(run / "model"),
        learn_all=True,
        hold_out=[],
        then_everything=False,
        everything_epochs=0,
        epochs=recipe.everything_epochs,
        small_epochs=0,
        measure=False,
        push_to_hub="",
    )


def record_everything(run: Path, told: dict[str, Any]) -> Path:
    """Have `run/everything/model` say that other weights were measured, and carry their report where there is one.

    Args:
        run: whose model was measured.
        told: of the pictures that the last weights saw.

    Returns:
        The folder.
    """
    folder = run / EVERYTHING / "model"
    record = json.loads((run / RUN_RECORD).read_text(encoding="utf-8"))
    record[EVERYTHING] = {**told, "measured_weights_sha256": weights_sha256(run / "model")}
    replace_text(folder / TRAINING_RECORD, json.dumps(record, indent=2) + "\n")
    if (run / REPORT).is_file():
        shutil.copy(run / REPORT, folder / REPORT)
    renew_sums(folder)
    return folder


def all_pictures(splits: DatasetDict, recipe: Recipe) -> Dataset:
    """All splits in one, without what the recipe leaves out and within its cap; near duplicates dropped stay so."""
    whole = only_faces(concatenate_datasets([splits[name] for name in sorted(splits) if name != "dropped"]))
    if recipe.leave_out:
        named = named_pictures(recipe.leave_out)
        whole = whole.select([i for i, sha256 in enumerate(whole["sha256"]) if sha256 not in named])
    if recipe.source_cap:
        whole = whole.select(capped(whole["sha256"], origins(whole), recipe.source_cap))
    return whole


def source_folds(labels: Sequence[int], sources: Sequence[str], folds: int = FOLDS) -> np.ndarray:
    """A fold for each picture, (n,): sources stay whole, and the folds get about equally many pictures of a label."""
    sizes = Counter(zip(labels, sources, strict=True))
    fold_of: dict[str, int] = {}
    filled: defaultdict[tuple[int, int], int] = defaultdict(int)
    for (label, source), size in sorted(sizes.items(), key=lambda item: (-item[1], item[0][1])):
        # A source of both labels stays where its larger half went.
        fold = fold_of.setdefault(source, min(range(folds), key=lambda number: (filled[label, number], number)))
        filled[label, fold] += size
    return np.array([fold_of[source] for source in sources])


def learn(
    model: FakeFaceForImageClassification,
    features: np.ndarray,
    tokens: Tokens | None,
    rows: np.ndarray,
    part: Dataset,
    recipe: Recipe,
    device: torch.device,
) -> tuple[FakeFaceForImageClassification, Callable[[np.ndarray], np.ndarray]]:
    """A copy of a model that learned from some pictures, and what tells its features of pictures by their rows.

    Args:
        model: with a trunk as `build_model` gives it.
        features, part: of all pictures.
        tokens: of them, for a recipe with `tuned_blocks`.
        rows: places of the pictures to learn from.

    Returns:
        The model, and a function from places to features in the views to judge by, (`JUDGED_VIEWS`, n, channels).
    """
    model, judged = copy.deepcopy(model), features[:JUDGED_VIEWS]
    fit_head(model, features[:, rows], part.select(rows), recipe, device)
    if tokens is None:
        return model, lambda wanted: judged[:, wanted]
    tune(model, features, tokens, rows, part, recipe, device)
    return model, lambda wanted: features_anew(model, judged, tokens, wanted, recipe.tuned_blocks)


def out_of_fold(
    model: FakeFaceForImageClassification,
    features: np.ndarray,
    tokens: Tokens | None,
    part: Dataset,
    folds: np.ndarray,
    recipe: Recipe,
    device: torch.device,
) -> np.ndarray:
    """Margins of all pictures in the views to judge by, (views, pictures), by models that saw none of the fold.

    Arguments as of `learn`; `folds` has the fold of each picture.
    """
    found = np.zeros((min(len(features), JUDGED_VIEWS), len(part)))
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        learned, told = learn(model, features, tokens, outside, part, recipe, device)
        for view, its in enumerate(told(inside)):
            found[view, inside] = margins_of(learned, torch.from_numpy(its))
    return found


def view_names(count: int) -> list[str]:
    """Of so many views of `collect_features`."""
    return ["clean", "augmented"][:count]


def folds_report(
    margins: np.ndarray, labels: np.ndarray, folds: np.ndarray, generators: Sequence[str]
) -> dict[str, Any]:
    """AUC of each fold and of each generator in it against the fold's photographs, clean and augmented; mean and worst.

    Scores of different folds come from different heads, and are never ranked against each other.
    """
    names = np.asarray(generators)
    shown = dict(zip(view_names(len(margins)), margins, strict=True))
    rows, by_generator = [], []
    for fold in np.unique(folds):
        inside = folds == fold
        if len(set(labels[inside])) < 2:
            continue
        common = [name for name, n in Counter(names[inside & (labels == 1)]).items() if n >= FEWEST]
        for view, its in shown.items():
            place = {"fold": int(fold), "view": view}
            rows.append(place | detection_metrics(labels[inside], its[inside], ["auc", "tpr_at_fpr_0.01"]))
            for name in common:
                chosen = inside & ((names == name) | (labels == 0))
                found = detection_metrics(labels[chosen], its[chosen], ["auc"])
                by_generator.append(place | {"generator": str(name)} | found)
    aucs = {view: [row["auc"] for row in rows if row["view"] == view] for view in shown}
    return {
        "mean": {view: float(np.mean(values)) for view, values in aucs.items() if values},
        "worst": {view: min(values) for view, values in aucs.items() if values},
        "folds": rows,
        "generators": sorted(by_generator, key=lambda row: row["auc"]),
    }


__all__ = [
    "EVERYTHING",
    "FOLDS_RECORD",
    "folds_report",
    "out_of_fold",
    "recipe_for_everything",
    "record_everything",
    "source_folds",
    "train_on_everything",
]
