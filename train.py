"""Train a fakeface model.

    accelerate launch -q train.py configs/resnet50-cnn.yaml --data "../shared/faces/pool-*.parquet"
    accelerate launch -q train.py configs/cnn.yaml --data my/pictures        # real/… and generated/… inside
    accelerate launch -q train.py configs/cnn.yaml --data someone/dataset    # a Hub dataset
    accelerate launch -q train.py configs/cnn.yaml --data … --resume         # go on after a stop

`-q` keeps the launcher's own traceback off the screen, which else stands below the line that says what is wrong. With
several processes it stands there all the same.

Any recipe key can be given on the command line. The run folder (`--output`) receives the recipe as used, versions and
data fingerprints (`run.json`), curves (`curves.csv`, TensorBoard), checkpoints, the calibrated model folder (`model/`),
the scores of every held-out picture (`scores.csv`) and what they amount to (`evaluation.json`, `evaluation.md`).
"""

from fakeface.training.command import RUN_RECORD, end, read_command, refuse_taken

RECIPE = read_command(__doc__) if __name__ == "__main__" else None  # before torch, whose import takes a while

import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, send_to_device, set_seed
from datasets import Dataset
from huggingface_hub.errors import StrictDataclassError
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from fakeface.evaluation.report import VIEWS
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.metrics.detection import rank_auc
from fakeface.model_folder.saving import save_model_folder
from fakeface.recipe import Recipe, RecipeError
from fakeface.training import TrainingError, TrainingStopped
from fakeface.training.agreement import on_main
from fakeface.training.batches import Batches
from fakeface.training.checkpoints import Progress, go_on, save_checkpoint, sync_folder
from fakeface.training.data import global_batch, load_splits, take_faces, training_batches, validation_loader
from fakeface.training.everything import EVERYTHING, recipe_for_everything, record_everything
from fakeface.training.finite import broken_step, refuse_broken
from fakeface.training.head import train_head
from fakeface.training.judging import finish, margins
from fakeface.training.profile import StepTimes
from fakeface.training.pushing import check_push, push_best, push_result
from fakeface.training.run_folder import describe_run, write_curves
from fakeface.training.setup import (
    build_accelerator,
    build_model,
    build_optimizer,
    build_processor,
    share_cores,
    train_mode,
    weight_average,
    whole_model,
)
from fakeface.training.stopping import StopRequest
from fakeface.training.teacher import Taught, open_teacher
from fakeface.utils.errors import FakefaceError


def main() -> None:
    try:
        train(RECIPE or read_command(__doc__))
    except FakefaceError as error:
        end(error)
    except StrictDataclassError as error:  # from FakeFaceConfig; the cause has the words
        end(RecipeError(str(error.__cause__ or error)))


def train(recipe: Recipe) -> None:
    """Train to the end, or leave the process with exit code 1, or after SIGTERM with 143, as shells expect."""
    accelerator = build_accelerator(recipe)
    try:
        if not (recipe.resume and went_on(recipe)):
            train_on(accelerator, recipe)
        if recipe.everything_epochs:
            accelerator = train_on_the_rest(recipe)
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


def went_on(recipe: Recipe) -> bool:
    """Whether a run was measured, and its training on everything has begun."""
    return recipe.everything_epochs > 0 and (Path(recipe.output) / EVERYTHING / RUN_RECORD).exists()


def train_on_the_rest(recipe: Recipe) -> Accelerator:
    """Go on from the measured model, with the pictures that were held out, in a run folder within the run's.

    Returns:
        The accelerator of that training, which is to end it.
    """
    run, then = Path(recipe.output), recipe_for_everything(recipe)
    folder = Path(then.output)
    accelerator = build_accelerator(then)

    def record() -> None:
        seen = json.loads((folder / RUN_RECORD).read_text(encoding="utf-8"))["data"]["train"]
        record_everything(run, seen)

    on_main(accelerator, f"write into {folder}", lambda: take_faces(run, folder))
    train_on(accelerator, then)
    on_main(accelerator, f"write into {folder}", record)
    push_result(folder / "model", recipe, accelerator)
    return accelerator


@dataclasses.dataclass
class Run:
    """What the epochs of a run work on; model, average, optimiser and loaders as accelerate prepared them."""

    recipe: Recipe
    accelerator: Accelerator
    folder: Path
    processor: FakeFaceImageProcessor
    batches: Batches  # to train on
    validation: dict[str, DataLoader]  # by view: clean and delivered
    model: nn.Module
    raw_model: nn.Module  # the same without accelerate's wrappers, to be averaged
    average: ModelEmaV3 | None  # of its weights, where the recipe asks for one
    taught: Taught | None  # by a teacher, where the recipe names one
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    progress: Progress
    times: StepTimes
    stop: StopRequest

    @property
    def judged(self) -> nn.Module:
        """The model that is validated and kept."""
        return self.average.module if self.average else self.model

    def save(self) -> Path:
        """Write a checkpoint. Raises TrainingError, on every rank, for broken weights or a disk that is full."""
        refuse_broken(self.accelerator, self.progress.step, self.model, self.average)
        return save_checkpoint(self.folder, self.accelerator, self.progress, self.recipe.keep_checkpoints)


def train_on(accelerator: Accelerator, recipe: Recipe) -> None:
    folder = Path(recipe.output)
    refuse_taken(folder, recipe)
    check_push(recipe, accelerator)
    set_seed(recipe.seed)
    share_cores(recipe, accelerator)

    # Data: train, validation, test and unseen pictures; near duplicates stay on one side of the split.
    training, splits, refused = load_splits(folder, recipe, accelerator)
    processor = build_processor(recipe)
    if recipe.frozen_views:
        train_head(accelerator, recipe, cast(Dataset, training), splits, refused, processor)
        return
    batches = training_batches(recipe, training, processor, accelerator)
    validation = {
        view: accelerator.prepare(validation_loader(recipe, splits["validation"], processor, view)) for view in VIEWS
    }

    # Model and optimiser: AdamW with a learning rate for each trunk stage, and a cosine schedule.
    raw_model = build_model(recipe, accelerator)
    steps_per_epoch = len(batches) // recipe.gradient_accumulation
    teacher = open_teacher(recipe, cast(Dataset, training)) if recipe.teacher else None  # it takes no stream
    optimizer, scheduler = build_optimizer(recipe, raw_model, steps_per_epoch, teacher)
    average = weight_average(recipe, raw_model, accelerator)
    taught = Taught(raw_model, accelerator.prepare(teacher)) if teacher else None
    model, optimizer = accelerator.prepare(
        torch.compile(raw_model, dynamic=False) if recipe.compile else raw_model, optimizer
    )
    set_seed(recipe.seed, device_specific=True)  # or all ranks would drop out the same units

    # The run folder, and where its run stands.
    if accelerator.is_main_process:
        describe_run(folder, recipe, training, splits, refused, accelerator)
    accelerator.init_trackers("tensorboard")
    progress = Progress()
    accelerator.register_for_checkpointing(progress, scheduler)
    go_on(folder, recipe, accelerator, progress, scheduler, steps_per_epoch)

    times = StepTimes(accelerator.device, recipe.profile)
    with StopRequest() as stop, contextlib.closing(batches):
        run = Run(
            recipe, accelerator, folder, processor, batches, validation, model, raw_model, average, taught,
            optimizer, scheduler, progress, times, stop,
        )  # fmt: skip
        train_epochs(run, steps_per_epoch)
    finish(folder, recipe, accelerator, processor, validation, splits)


def train_epochs(run: Run, steps_per_epoch: int) -> None:
    """All epochs that are left, with validation and a checkpoint after each."""
    progress, show = run.progress, run.accelerator.is_main_process
    total = progress.step + (run.recipe.epochs - progress.epoch) * steps_per_epoch
    total -= progress.batch // run.recipe.gradient_accumulation
    with tqdm(total=total, initial=progress.step, desc="Training", disable=not show) as bar:
        for epoch in range(progress.epoch, run.recipe.epochs):
            train_epoch(run, epoch, bar)
            refuse_broken(run.accelerator, progress.step, run.model, run.average)
            if run.average:  # CPU ranks averaged BatchNorm statistics of their own pictures; rank 0's are kept
                broadcast(list(run.average.module.buffers()))
            try:
                validate(run, bar)
            except TrainingStopped as stopped:  # validation comes again
                raise TrainingStopped(f"{stopped}; {run.save()} holds what is done") from None
            progress.epoch, progress.batch = epoch + 1, 0
            run.save()
    if run.recipe.profile and show and run.times.steps:
        print(run.times.table())
        run.times.write(run.folder)


def train_epoch(run: Run, epoch: int, bar: tqdm) -> None:
    """What is left of an epoch: a step of the optimiser after each `gradient_accumulation` batches."""
    recipe, accelerator, progress, times = run.recipe, run.accelerator, run.progress, run.times
    train_mode(run.model, recipe)
    losses: list[Tensor] = []  # of this rank's batches since the last step
    rows: list[Tensor] = []  # and the indices of their pictures
    times.start()
    for batch in run.batches.of(epoch, progress.batch):
        times.lap("data")
        rows.append(batch["index"])
        batch = send_to_device(batch, accelerator.device, non_blocking=True)
        times.lap("device")
        with accelerator.accumulate(run.model):
            loss = batch_loss(run.model, batch, recipe, run.taught)
            times.lap("forward")
            accelerator.backward(loss)
            times.lap("backward")
        losses.append(loss.detach())
        progress.batch += 1
        if not accelerator.sync_gradients:
            continue
        asked, mean_loss = take_step(run, losses, rows)
        times.lap("optimiser")
        losses, rows = [], []
        progress.history.append({"step": progress.step, "epoch": epoch, "loss": mean_loss})
        accelerator.log({"loss": mean_loss, "lr": run.scheduler.get_last_lr()[0]}, step=progress.step)
        bar.update()
        bar.set_postfix(epoch=epoch, loss=f"{mean_loss:.3f}")
        times.lap("rest")
        times.end_step(global_batch(recipe, accelerator.num_processes))
        if asked:
            raise TrainingStopped(f"stopped after step {progress.step}; {run.save()} holds what is done")
        if progress.step % recipe.checkpoint_steps == 0 and progress.batch < len(run.batches):
            run.save()
            times.start()


def batch_loss(model: nn.Module, batch: Mapping[str, Tensor], recipe: Recipe, taught: Taught | None = None) -> Tensor:
    """Cross-entropy of a batch; of pairs, each picture without and with a delivery, also how far the two differ.

    Args:
        batch: `pixel_values`, (pictures, 3, side, side) or, of pairs, (pictures, 2, 3, side, side); `labels`; `index`.
        taught: the model by a teacher, whose loss stands in then.
    """
    pixels, labels = batch["pixel_values"], batch["labels"]
    if paired := pixels.ndim == 5:
        pixels, labels = pixels.flatten(0, 1), labels.repeat_interleave(2)
    logits = model(pixel_values=pixels.contiguous(memory_format=torch.channels_last)).logits
    if taught:
        return taught.loss(logits, labels, batch["index"], recipe.label_smoothing)
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    return loss + recipe.consistency_weight * disagreement(logits) if paired else loss


def disagreement(logits: Tensor) -> Tensor:
    """How much the two showings of each picture differ: the mean of both Kullback-Leibler divergences, in nats.

    As in R-Drop (Liang et al., 2021), whose two showings differ by dropout; these differ by delivery too.

    Args:
        logits: (2 x pictures, 2), the showings of a picture one after the other.
    """
    clean, delivered = nn.functional.log_softmax(logits.float().unflatten(0, (-1, 2)), dim=-1).unbind(1)
    there = nn.functional.kl_div(clean, delivered, reduction="batchmean", log_target=True)
    back = nn.functional.kl_div(delivered, clean, reduction="batchmean", log_target=True)
    return (there + back) / 2


def take_step(run: Run, losses: list[Tensor], rows: list[Tensor]) -> tuple[bool, float]:
    """A step of the optimiser, once the gradients of all batches and ranks are there.

    Returns:
        Whether a rank was asked to stop, and the mean loss over all ranks.

    Raises:
        TrainingError: on every rank, if loss or gradient of one is not a number; the model is as it was.
    """
    accelerator = run.accelerator
    norm = accelerator.clip_grad_norm_(run.model.parameters(), run.recipe.clip_norm)
    if isinstance(norm, DTensor):  # FSDP's, in parts
        norm = norm.full_tensor()
    loss = torch.stack(losses).mean().float()
    finite = loss.isfinite()
    if norm is not None and accelerator.scaler is None:  # fp16's scaler skips a step that overflowed, and goes on
        finite = finite & norm.isfinite()
    asked = torch.tensor(float(run.stop.asked), device=loss.device)
    # All that ranks must agree on, in one message per step: a rank on its own would leave the others waiting.
    reduced: Any = accelerator.reduce(torch.stack([asked, (~finite).float(), loss]))
    n_asked, n_broken, summed_loss = reduced.tolist()
    if n_broken:
        raise TrainingError(broken_step(run.progress, run.batches, losses, rows))
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.scheduler.step()
    run.progress.step += 1
    if run.average:
        run.average.update(run.raw_model, run.progress.step)
    return bool(n_asked), summed_loss / accelerator.num_processes


def validate(run: Run, bar: tqdm) -> None:
    """Measure the epoch on validation pictures, clean and delivered; keep the model folder if it is the best so far.

    Raises:
        TrainingStopped: a rank was asked to stop; nothing is changed.
        TrainingError: the model folder cannot be written.
    """
    recipe, accelerator, progress = run.recipe, run.accelerator, run.progress
    aucs = {}
    for name, view in (("auc", "clean"), ("auc_delivered", "delivered")):
        found, labels = margins(accelerator, run.judged, run.validation[view], run.stop)
        aucs[name] = rank_auc(labels, found)
    progress.history.append({"step": progress.step, "epoch": progress.epoch, **aucs})
    accelerator.log({f"validation/{name}": value for name, value in aucs.items()}, step=progress.step)
    if accelerator.is_main_process:
        auc, delivered = aucs.values()
        bar.write(f"epoch {progress.epoch}: validation AUC {auc:.4f}, delivered {delivered:.4f}")
    best = aucs[recipe.select_on] > progress.best
    kept = whole_model(accelerator, run.judged) if best else None  # every rank has to ask

    def write() -> None:
        write_curves(run.folder, progress.history)
        if kept:
            sync_folder(save_model_folder(run.folder / "best", kept, run.processor))
            push_best(run.folder, recipe, accelerator)

    on_main(accelerator, f"write into {run.folder}", write)
    progress.best = max(progress.best, aucs[recipe.select_on])


if __name__ == "__main__":
    main()
