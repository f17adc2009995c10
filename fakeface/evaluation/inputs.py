"""What a detector is measured on: pictures its training held out, a whole dataset, or scores in a CSV file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import DatasetDict

from ..configuration_fakeface import LABELS
from ..data.loading import DataError, checked, open_dataset, prepare_splits, take_evenly
from ..delivery.sweep import SWEEP
from ..recipe import Recipe, build_recipe, read_recipe, recipe_of, training_of
from ..reports.csv_files import read_csv
from ..utils.errors import FakefaceError
from ..utils.label_names import LabelsError, place_of, stated_order
from .scores import MEASURED, VIEWS, WHOLE


def recipe_for(folder: Path, recipe: Path | None, data: Sequence[str], labels: Sequence[str] = ()) -> Recipe:
    """The recipe to split data by: the one named, else the one a model folder was trained with, else the default.

    Raises:
        RecipeError: a recipe cannot be read.
    """
    values = read_recipe(recipe) if recipe else recipe_of(folder)
    return build_recipe({**values, "data": list(data), **({"labels": list(labels)} if labels else {})})


def held_out(
    recipe: Recipe,
    folder: Path | None = None,
    *,
    columns: Sequence[str] = (),
    limit: int = 0,
    to_calibrate: bool = False,
) -> tuple[DatasetDict, list[str]]:
    """Validation, test and unseen pictures of the recipe's data, split as its training did.

    Args:
        recipe: names the data.
        folder: of the model that is to judge them.
        columns: of the data, to keep for slices.
        limit: at most this many pictures of a split, spread over it; 0 for all.
        to_calibrate: only those for validation are asked for, which stayed out of a training that went on.

    Returns:
        All splits, those for training too, for their fingerprints; and the messages of refused pictures.

    Raises:
        DataError: the data cannot be used, or the model was trained on everything in the end.
    """
    record = training_of(folder) if folder else {}
    kept_validation = to_calibrate and not record.get("recipe", {}).get("frozen_views")
    if record.get("everything") and not kept_validation:
        raise DataError(
            f"{folder}: in the end these weights learned from all pictures of their data; measure the model that their "
            "run made before, in RUN/model, or give a dataset that they have not seen as an argument"
        )
    # The recipe's limit too: pictures that were not there for training would end up in other splits than they did.
    dataset = take_evenly(open_dataset(recipe.data, columns=columns, labels=recipe.labels), recipe.limit)
    splits, refused = prepare_splits(dataset, **recipe.split_options())
    if not any(name in splits for name in MEASURED):
        raise DataError("no validation, test or unseen pictures in the data; give the dataset as an argument instead")
    # Those for training stay whole, for their fingerprint.
    return DatasetDict({k: take_evenly(part, limit if k in MEASURED else 0) for k, part in splits.items()}), refused


def whole(
    data: Sequence[str], *, columns: Sequence[str] = (), limit: int = 0, workers: int = 1, labels: Sequence[str] = ()
) -> tuple[DatasetDict, list[str]]:
    """All pictures of some data as one split; results as of `held_out`, arguments also as of `open_dataset`."""
    dataset, refused = checked(take_evenly(open_dataset(list(data), columns=columns, labels=labels), limit), workers)
    if not len(dataset):
        raise DataError(f"{', '.join(data)}: none of its pictures can be read")
    return DatasetDict({WHOLE: dataset}), refused


MOST_BYTES = 2**30
DEFAULTS = {"split": WHOLE, "view": "clean", "sha256": "", "generator": "unknown"}


class ScoreTableError(FakefaceError):
    """A file of scores cannot be used; the message names it and the cure."""


def read_scores(path: Path, labels: Sequence[str] = ()) -> tuple[pd.DataFrame, str]:
    """Scores of a CSV file with the columns `label` and `score`.

    Args:
        path: of the file. `label` holds names, such as real and generated or fake
            and real, or 0 and 1; `score` the probability of `generated`, or any
            number that is higher for generated pictures. It may have `split`, `view`, `source`, `generator` and
            `sha256`, as the `scores.csv` of a report has, and columns to slice by.
        labels: what 0 and 1 mean in `label`; as in our own files, unless this states it. Here a mistake shows: the AUC
            of swapped labels is far under 0.5, and the report says so.

    Returns:
        The rows, with every one of these columns, and the file's sha256.

    Raises:
        ScoreTableError: it is not such a file.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ScoreTableError(f"{path}: more than {MOST_BYTES >> 30} GiB; split it into several files")
        data = path.read_bytes()
        table = read_csv(path)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ScoreTableError(f"{path}: not readable as CSV ({error}); save it as UTF-8 with a line of names") from None
    for column in ("label", "score"):
        if column not in table:
            raise ScoreTableError(f"{path}: no column {column!r}; found {', '.join(map(str, table.columns))}")
    if table.empty:
        raise ScoreTableError(f"{path}: no scores in it")
    scores = np.asarray(pd.to_numeric(table["score"], errors="coerce"), float)
    if len(bad := np.flatnonzero(~np.isfinite(scores))):
        several = f" and {len(bad) - 1} more lines" if len(bad) > 1 else ""
        raise ScoreTableError(
            f"{path}: line {bad[0] + 2}{several}: the score is not a finite number; leave such rows out"
        )
    table = table.assign(label=_places(table["label"].astype(str), path, labels), score=scores)
    for column, value in {**DEFAULTS, "source": path.stem}.items():
        table[column] = table[column].fillna(value).astype(str) if column in table else value
    if unknown := sorted(set(table["view"]) - {*VIEWS, *SWEEP}):
        raise ScoreTableError(f"{path}: no view {unknown[0]!r}; it takes clean, delivered or a step of the sweep")
    table.loc[table["label"] == 0, "generator"] = "none"
    return table, hashlib.sha256(data).hexdigest()


def _places(words: pd.Series, path: Path, labels: Sequence[str]) -> pd.Series:
    """The column `label` as numbers."""
    places: dict[str, int] = {}
    try:
        stated = stated_order(labels) or LABELS
    except LabelsError as error:
        raise ScoreTableError(str(error)) from None
    for line, word in enumerate(words, 2):
        try:
            places[word] = places[word] if word in places else place_of(word, stated)
        except LabelsError as error:
            raise ScoreTableError(f"{path}: line {line}: {error}") from None
    return words.map(places)  # pyright: ignore[reportArgumentType]
