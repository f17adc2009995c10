"""Train a fakeface model.

    accelerate launch train.py configs/resnet50-cnn.yaml --data "../shared/faces/pool-*.parquet"
    accelerate launch train.py configs/cnn.yaml --data my/pictures        # real/… and generated/… inside
    accelerate launch train.py configs/cnn.yaml --data someone/dataset    # a Hub dataset
    accelerate launch train.py configs/cnn.yaml --data … --resume         # go on after a stop

Any recipe key can be given on the command line. The run folder (`--output`) receives the recipe as used, versions and
data fingerprints (`run.json`), curves (`curves.csv`, TensorBoard), checkpoints, the calibrated model folder (`model/`),
the scores of every held-out picture (`scores.csv`) and what they amount to (`evaluation.json`, `evaluation.md`).
"""

import contextlib
import signal
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from tqdm.auto import tqdm

from fakeface.data.loading import DataError
from fakeface.evaluation import VIEWS
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.recipe import Recipe, RecipeError, parse_recipe
from fakeface.training import TrainingError, TrainingStopped
from fakeface.training.building import build_accelerator, build_model, build_optimizer, share_cores, weight_average
from fakeface.training.loop import Loop, Trainee
from fakeface.training.pictures import load_splits, training_batches, validation_loader
from fakeface.training.progress import Progress
from fakeface.training.pushing import check_push
from fakeface.training.resuming import go_on
from fakeface.training.run_folder import describe_run, refuse_taken
from fakeface.training.stopping import StopRequest
from fakeface.training.validation import finish, validate
from fakeface.trunk import TrunkError


def main() -> None:
    try:
        recipe = parse_recipe(description=__doc__)
        train(recipe)
    except (RecipeError, DataError, TrunkError) as error:
        sys.exit(f"train.py: {error}")
    except StrictDataclassError as error:  # from FakeFaceConfig; the cause has the words
        sys.exit(f"train.py: {error.__cause__ or error}")


def train(recipe: Recipe) -> None:
    """Train to the end, or leave the process with exit code 1, or after SIGTERM with 143, as shells expect."""
    accelerator = build_accelerator(recipe)
    try:
        train_on(accelerator, recipe)
        code = 0
    except (TrainingError, TrainingStopped) as error:  # on all ranks, so one speaks for all
        stopped = isinstance(error, TrainingStopped)
        cure = "; the same command with --resume goes on from there" if stopped else ""
        accelerator.print(f"train.py: {error}{cure}", file=sys.stderr, flush=True)
        code = 128 + signal.SIGTERM if stopped else 1
        accelerator.wait_for_everyone()  # or the launcher ends the one that speaks
    accelerator.end_training()
    if code:
        sys.exit(code)


def train_on(accelerator: Accelerator, recipe: Recipe) -> None:
    run = Path(recipe.output)
    refuse_taken(run, recipe)
    check_push(recipe, accelerator)
    set_seed(recipe.seed)
    share_cores(recipe, accelerator)

    # Pictures, model and optimiser
    training, splits, refused = load_splits(run, recipe, accelerator)
    processor = FakeFaceImageProcessor(size=recipe.image_size, crop_fraction=recipe.crop_fraction)
    raw_model = build_model(recipe, accelerator)
    batches = training_batches(recipe, training, processor, accelerator)
    steps_per_epoch = len(batches) // recipe.gradient_accumulation
    optimizer, scheduler = build_optimizer(recipe, raw_model, steps_per_epoch)
    validation = {
        view: accelerator.prepare(validation_loader(recipe, splits["validation"], processor, view)) for view in VIEWS
    }
    average = weight_average(recipe, raw_model, accelerator)
    model, optimizer = accelerator.prepare(
        torch.compile(raw_model, dynamic=False) if recipe.compile else raw_model, optimizer
    )
    set_seed(recipe.seed, device_specific=True)  # or all ranks would drop out the same units

    # The run folder, and where its run stands
    if accelerator.is_main_process:
        describe_run(run, recipe, training, splits, refused, accelerator)
    accelerator.init_trackers("tensorboard")
    progress = Progress()
    accelerator.register_for_checkpointing(progress, scheduler)
    go_on(run, recipe, accelerator, progress, scheduler, steps_per_epoch)

    trainee = Trainee(model, raw_model, average, optimizer, scheduler, batches)
    with StopRequest() as stop, contextlib.closing(batches):

        def judge(judged: nn.Module, bar: tqdm) -> None:
            validate(run, recipe, accelerator, judged, processor, validation, progress, bar, stop)

        Loop(run, recipe, accelerator, trainee, progress, stop, judge).train()
    finish(run, recipe, accelerator, processor, splits, validation)


if __name__ == "__main__":
    main()
