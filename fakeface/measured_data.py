"""The pictures that a detector is measured on: held out by the recipe of its training, or a whole dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict

from .data.loading import DataError, checked, open_dataset, prepare_splits
from .recipe import Recipe, build_recipe, read_recipe, recipe_of
from .score_views import MEASURED, WHOLE


def recipe_for(folder: Path, recipe: Path | None, data: Sequence[str]) -> Recipe:
    """The recipe to split data by: the one named, else the one a model folder was trained with, else the default.

    Raises:
        RecipeError: a recipe cannot be read.
    """
    values = read_recipe(recipe) if recipe else recipe_of(folder)
    return build_recipe({**values, "data": list(data)})


def held_out(recipe: Recipe, *, columns: Sequence[str] = (), limit: int = 0) -> tuple[DatasetDict, list[str]]:
    """Validation, test and unseen pictures of the recipe's data, split as its training did.

    Args:
        recipe: names the data.
        columns: of the data, to keep for slices.
        limit: at most this many pictures of a split, spread over it; 0 for all.

    Returns:
        All splits, those for training too, for their fingerprints; and the messages of refused pictures.

    Raises:
        DataError: the data cannot be used.
    """
    # The recipe's limit too: pictures that were not there for training would end up in other splits than they did.
    dataset = spread(open_dataset(recipe.data, columns=columns), recipe.limit)
    splits, refused = prepare_splits(dataset, **recipe.split_options())
    if not any(name in splits for name in MEASURED):
        raise DataError("no validation, test or unseen pictures in the data; give the dataset as an argument instead")
    # Those for training stay whole, for their fingerprint.
    return DatasetDict({k: spread(part, limit if k in MEASURED else 0) for k, part in splits.items()}), refused


def whole(
    data: Sequence[str], *, columns: Sequence[str] = (), limit: int = 0, workers: int = 1
) -> tuple[DatasetDict, list[str]]:
    """All pictures of some data as one split; arguments and results as of `held_out`."""
    dataset, refused = checked(spread(open_dataset(list(data), columns=columns), limit), workers)
    if not len(dataset):
        raise DataError(f"{', '.join(data)}: none of its pictures can be read")
    return DatasetDict({WHOLE: dataset}), refused


def spread(dataset: Dataset, limit: int) -> Dataset:
    """At most `limit` pictures, spread over the dataset; all of them for 0."""
    if not 0 < limit < len(dataset):
        return dataset
    return dataset.select(np.linspace(0, len(dataset) - 1, limit).astype(int))
