"""The other way to train: a trunk that does not learn is asked once for each view; the head learns from its answers."""

from pathlib import Path

from accelerate import Accelerator
from datasets import Dataset, DatasetDict

from ..data.views import View
from ..evaluation.report import VIEWS
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..model_folder.saving import save_model_folder
from ..modeling_fakeface import keep_in_int8
from ..recipe import Recipe, RecipeError
from .data import face_cutter, validation_loader
from .everything import train_on_everything
from .frozen import collect_features, fit_head, learn_familiar
from .judging import finish
from .run_folder import describe_run, write_curves
from .setup import build_model


def train_head(
    accelerator: Accelerator,
    recipe: Recipe,
    training: Dataset,
    splits: DatasetDict,
    refused: list[str],
    processor: FakeFaceImageProcessor,
) -> None:
    """A run of a recipe with `frozen_views`, to its end; pictures as `load_splits` returns them."""
    folder = Path(recipe.output)
    if accelerator.num_processes > 1:
        raise RecipeError("frozen_views takes one process: the trunk is asked once, and the head trains in minutes")
    model = build_model(recipe, accelerator).to(accelerator.device)
    describe_run(folder, recipe, training, splits, refused, accelerator)
    view = View(processor, how=recipe.augmentation_settings(), seed=recipe.seed, cut=face_cutter(recipe, processor))
    features = collect_features(folder, recipe, model, training, view, accelerator)
    losses = fit_head(model, features, training, recipe, accelerator.device)
    learn_familiar(model, features, training)
    write_curves(folder, [{"step": step, "epoch": 0, "loss": loss} for step, loss in enumerate(losses, start=1)])
    keep_in_int8(model.fakeface.trunk.vit)
    model.config.trunk_bits = 8
    save_model_folder(folder / "best", model, processor)
    validation = {view: validation_loader(recipe, splits["validation"], processor, view) for view in VIEWS}
    finish(folder, recipe, accelerator, processor, validation, splits)
    if recipe.then_everything:
        last = train_on_everything(
            folder, recipe, build_model(recipe, accelerator), splits, view, processor, accelerator
        )
        accelerator.print(f"model folder, trained on everything: {last}")


__all__ = ["train_head"]
