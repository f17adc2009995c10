"""Train a fakeface model.

    accelerate launch train.py configs/resnet50-cnn.yaml --data "../shared/faces/pool-*.parquet"
    accelerate launch train.py configs/cnn.yaml --data my/pictures        # real/… and generated/… inside
    accelerate launch train.py configs/cnn.yaml --data someone/dataset    # a Hub dataset
    accelerate launch train.py configs/cnn.yaml --data … --resume         # go on after a stop

Any recipe key can be given on the command line. The run folder (`--output`) receives the recipe as used, versions and
data fingerprints (`run.json`), curves (`curves.csv`, TensorBoard), checkpoints, the calibrated model folder (`model/`),
the scores of every held-out picture (`scores.csv`) and what they amount to (`evaluation.json`, `evaluation.md`).
"""

import sys
from pathlib import Path

import torch
from accelerate.utils import set_seed
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from tqdm.auto import tqdm

from fakeface.data.loading import DataError
from fakeface.evaluation import VIEWS
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.recipe import Recipe, RecipeError, parse_recipe
from fakeface.training import TrainingError
from fakeface.training.building import build_accelerator, build_model, build_optimizer, share_cores, weight_average
from fakeface.training.checkpoints import newest_checkpoint
from fakeface.training.loop import Trainee, run_epochs
from fakeface.training.pictures import load_splits, training_loader, validation_loader
from fakeface.training.progress import Progress
from fakeface.training.run_folder import describe_run, refuse_taken
from fakeface.training.validation import finish, validate
from fakeface.trunk import TrunkError


def main() -> None:
    try:
        recipe = parse_recipe(description=__doc__)
        train(recipe)
    except (RecipeError, DataError, TrunkError, TrainingError) as error:
        sys.exit(f"train.py: {error}")
    except StrictDataclassError as error:  # from FakeFaceConfig; the cause has the words
        sys.exit(f"train.py: {error.__cause__ or error}")


def train(recipe: Recipe) -> None:
    run = Path(recipe.output)
    accelerator = build_accelerator(recipe)
    refuse_taken(run, recipe)
    set_seed(recipe.seed)
    share_cores(recipe, accelerator)

    # Pictures, model and optimiser
    splits, refused = load_splits(run, recipe, accelerator)
    processor = FakeFaceImageProcessor(size=recipe.image_size, crop_fraction=recipe.crop_fraction)
    raw_model = build_model(recipe, accelerator)
    sampler, loader = training_loader(recipe, splits["train"], processor, accelerator)
    optimizer, scheduler = build_optimizer(recipe, raw_model, sampler.samples, accelerator)
    validation = {
        view: accelerator.prepare(validation_loader(recipe, splits["validation"], processor, view)) for view in VIEWS
    }
    average = weight_average(recipe, raw_model, accelerator)
    model, optimizer, loader = accelerator.prepare(
        torch.compile(raw_model) if recipe.compile else raw_model, optimizer, loader
    )

    # The run folder, and where its run stands
    if accelerator.is_main_process:
        describe_run(run, recipe, splits, refused, accelerator)
    accelerator.init_trackers("tensorboard")
    progress = Progress()
    accelerator.register_for_checkpointing(progress, scheduler)
    if recipe.resume and (newest := newest_checkpoint(run)):
        accelerator.load_state(str(newest))
        accelerator.print(f"going on from {newest}: epoch {progress.epoch}, step {progress.step}")

    def judge(judged: nn.Module, bar: tqdm) -> None:
        validate(run, recipe, accelerator, judged, processor, validation, progress, bar)

    trainee = Trainee(model, raw_model, average, optimizer, scheduler, loader, sampler)
    run_epochs(run, recipe, accelerator, trainee, progress, judge)
    finish(run, recipe, accelerator, processor, splits, validation)
    accelerator.end_training()


if __name__ == "__main__":
    main()
