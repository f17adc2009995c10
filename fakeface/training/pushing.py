"""A training's model sent to the Hub: the best so far to a branch of its own, and the calibrated one at the end."""

import shutil
import tempfile
from pathlib import Path

from accelerate import Accelerator

from ..evaluation.report import REPORT
from ..hub.upload import check_login, check_repo_name, push_folder
from ..recipe import Recipe
from ..release.export import export_folder
from ..release.push import push_model
from ..utils.errors import FakefaceError
from . import TrainingError
from .agreement import on_main

BRANCH = "checkpoints"


def check_push(recipe: Recipe, accelerator: Accelerator) -> None:
    """Before hours of work: is the repository's name one, and is somebody logged in? Raises TrainingError."""

    def ask() -> None:
        check_repo_name(recipe.push_to_hub)
        check_login(recipe.push_to_hub)

    if recipe.push_to_hub:
        on_main(accelerator, f"push to {recipe.push_to_hub}", ask)


def push_best(run: Path, recipe: Recipe, accelerator: Accelerator) -> None:
    """Send `best/` to the branch `checkpoints`; where that fails, say so and go on. For the main process."""
    if not (recipe.push_to_hub and recipe.push_checkpoints):
        return
    repo = recipe.push_to_hub
    try:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / "model"
            export_folder(str(run / "best"), folder, name=repo.partition("/")[2], where=repo)
            push_folder(
                folder, repo, revision=BRANCH, private=recipe.push_private, message="The best model of the run so far"
            )
    except FakefaceError as error:
        accelerator.print(f"the best model so far stays here: {error}")


def push_result(folder: Path, recipe: Recipe, accelerator: Accelerator) -> None:
    """Send a finished model folder, `RUN/model`, with the report of `RUN` where there is one.

    Raises:
        TrainingError: on every rank; the model is here all the same, and the message has the command that sends it.
    """
    repo, report = recipe.push_to_hub, folder.parent / REPORT

    def push() -> None:
        if report.is_file():
            shutil.copyfile(report, folder / REPORT)
        _, done = push_model(str(folder), repo, private=recipe.push_private)
        accelerator.print(f"pushed to {done.url if done else repo}")

    if repo:
        try:
            on_main(accelerator, f"push to {repo}", push)
        except TrainingError as error:
            raise TrainingError(f"{error}; the model is in {folder}: fakeface push {folder} {repo}") from None


__all__ = ["check_push", "push_best", "push_result"]
