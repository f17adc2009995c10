"""The other way to train: the trunk is asked once for each view; head and last blocks learn from its answers."""

import copy
from pathlib import Path

import numpy as np
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
from .familiar import learn_familiar
from .frozen import JUDGED_VIEWS, collect_features, fit_head
from .judging import finish
from .pushing import push_result
from .run_folder import describe_run, write_curves
from .setup import build_model
from .tuning import Tokens, features_anew, tune


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
    untrained = copy.deepcopy(model)  # a trunk that starts at random would start elsewhere another time
    losses = fit_head(model, features, training, recipe, accelerator.device)
    if recipe.tuned_blocks:
        tokens, rows = Tokens(folder, training["sha256"][:], len(features)), np.arange(len(training))
        losses += tune(model, features, tokens, rows, training, recipe, accelerator.device)
        features = features_anew(model, features[:JUDGED_VIEWS], tokens, rows, recipe.tuned_blocks)
    learn_familiar(model, features[:JUDGED_VIEWS], training)
    write_curves(folder, [{"step": step, "epoch": 0, "loss": loss} for step, loss in enumerate(losses, start=1)])
    keep_in_int8(model.fakeface.trunk.vit)
    model.config.trunk_bits = 8
    save_model_folder(folder / "best", model, processor)
    validation = {view: validation_loader(recipe, splits["validation"], processor, view) for view in VIEWS}
    finish(folder, recipe, accelerator, processor, validation, splits)
    if recipe.then_everything:
        last = train_on_everything(folder, recipe, untrained, splits, view, processor, accelerator)
        accelerator.print(f"model folder, trained on everything: {last}")
        push_result(last, recipe, accelerator)


__all__ = ["train_head"]
