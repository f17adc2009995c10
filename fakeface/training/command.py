"""The command line of `train.py`, and what of it is checked before torch is imported and data are read."""

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from ..data.names import refuse_missing, refuse_untold
from ..model_folder.names import refuse_missing as refuse_missing_model
from ..recipe import Recipe, RecipeError, named_pictures, parse_recipe
from ..utils.errors import FakefaceError
from ..utils.files import refuse_unwritable
from ..utils.text import printable

RUN_RECORD = "run.json"
WITH_TRUNK = ("resnet50-cnn", "vit-b16-cnn")  # as TRUNKS of fakeface.modeling_fakeface
_PATIENCE = 5.0  # seconds that the others leave to the first rank; by then the launcher has ended them, if it spoke


def read_command(description: str | None) -> Recipe:
    """The recipe that the command line names, or the end of the process: one line on stderr, and exit code 1."""
    try:
        recipe = parse_recipe(description=description)
        refuse_early(recipe)
        return recipe
    except FakefaceError as error:
        end(error)


def refuse_early(recipe: Recipe) -> None:
    """Raise FakefaceError for names that stand for nothing, and for a run folder that cannot be one."""
    for data in (recipe.data, recipe.train_only):
        if data or data is recipe.data:
            refuse_missing(data)
        refuse_untold(data, recipe.labels)
    if recipe.leave_out:
        named_pictures(recipe.leave_out)
    if recipe.start_from:
        refuse_missing_model(recipe.start_from)
    elif recipe.architecture in WITH_TRUNK and recipe.trunk_weights not in ("hub", "none"):
        refuse_trunk(Path(recipe.trunk_weights))
    refuse_taken(Path(recipe.output), recipe)
    refuse_unwritable(Path(recipe.output))


def refuse_trunk(weights: Path) -> None:
    """Raise RecipeError where a file cannot be one of trunk weights."""
    if weights.suffix != ".safetensors":
        raise RecipeError(f"{weights}: trunk weights must be a .safetensors file, since other formats can run code")
    if not weights.is_file():
        raise RecipeError(f"{weights}: no such file; name one, or use 'hub'")


def refuse_taken(run: Path, recipe: Recipe) -> None:
    """Raise RecipeError where the folder holds a run that was not asked for."""
    if (run / RUN_RECORD).exists() and not recipe.resume:
        raise RecipeError(f"output {run} already holds a run: add --resume to go on with it, or name another folder")


def end(error: FakefaceError) -> NoReturn:
    """Say why there is no training, once for all ranks of a machine that say the same, and end with exit code 1."""
    if int(os.environ.get("LOCAL_RANK", 0)):
        time.sleep(_PATIENCE)
    sys.exit(printable(f"train.py: {error}"))


__all__ = ["RUN_RECORD", "end", "read_command", "refuse_early", "refuse_taken"]
