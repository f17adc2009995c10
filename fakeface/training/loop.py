"""The loop: epochs of optimiser steps, with a checkpoint now and then and validation after each epoch."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..data.pictures import BalancedSampler
from ..recipe import Recipe
from . import TrainingError
from .checkpoints import save_checkpoint
from .progress import Progress
from .validation import channels_last


@dataclasses.dataclass
class Trainee:
    """What the loop works on; model, optimiser and loader as accelerate prepared them."""

    model: nn.Module
    raw_model: nn.Module  # the same without accelerate's wrappers, to be averaged
    average: ModelEmaV3 | None
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    loader: DataLoader
    sampler: BalancedSampler


def run_epochs(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    trainee: Trainee,
    progress: Progress,
    validate: Callable[[nn.Module, tqdm], None],
) -> None:
    """Train to the recipe's last epoch from where `progress` stands.

    Args:
        run: the run folder.
        recipe: of the run.
        accelerator: made the trainee ready.
        trainee: what is trained.
        progress: is kept up to date, and saved with every checkpoint.
        validate: is called after each epoch with the model to judge, and the progress bar to write through.

    Raises:
        TrainingError: the loss is no number any more.
    """
    steps = math.ceil(len(trainee.loader) / recipe.gradient_accumulation) * recipe.epochs
    bar = tqdm(total=steps, initial=progress.step, desc="Training", disable=not accelerator.is_main_process)
    for epoch in range(progress.epoch, recipe.epochs):
        run_epoch(run, recipe, accelerator, trainee, progress, epoch, bar)
        average = trainee.average
        if average:  # each CPU rank averaged BatchNorm statistics of its own pictures; rank 0's are kept
            broadcast(list(average.module.buffers()))
        validate(average.module if average else trainee.model, bar)
        progress.epoch, progress.batch = epoch + 1, 0
        save_checkpoint(run, accelerator, progress, recipe.keep_checkpoints)
    bar.close()


def run_epoch(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    trainee: Trainee,
    progress: Progress,
    epoch: int,
    bar: tqdm,
) -> None:
    """What is left of one epoch."""
    loader: Any = trainee.loader
    if progress.batch:
        loader = accelerator.skip_first_batches(trainee.loader, progress.batch)
    # A loader of accelerate's counts its own rounds, from 0 in a resumed run, and tells the sampler; so tell both.
    loader.set_epoch(epoch)
    trainee.sampler.set_epoch(epoch)
    trainee.model.train()
    for batch in loader:
        with accelerator.accumulate(trainee.model):
            loss = optimise(recipe, accelerator, trainee, batch)
        progress.batch += 1
        if accelerator.sync_gradients:
            trainee.scheduler.step()
            progress.step += 1
            if trainee.average:
                trainee.average.update(trainee.raw_model, progress.step)
            progress.history.append({"step": progress.step, "epoch": epoch, "loss": loss})
            accelerator.log({"loss": loss, "lr": trainee.scheduler.get_last_lr()[0]}, step=progress.step)
            bar.update()
            bar.set_postfix(epoch=epoch, loss=f"{loss:.3f}")
            if progress.step % recipe.checkpoint_steps == 0 and progress.batch < len(trainee.loader):
                save_checkpoint(run, accelerator, progress, recipe.keep_checkpoints)


def optimise(recipe: Recipe, accelerator: Accelerator, trainee: Trainee, batch: Any) -> float:
    """Forward, backward and, once enough gradients are accumulated, a step; returns the loss of the batch."""
    logits = trainee.model(pixel_values=channels_last(batch["pixel_values"])).logits
    loss = nn.functional.cross_entropy(logits, batch["labels"], label_smoothing=recipe.label_smoothing)
    if not math.isfinite(value := loss.item()):
        raise TrainingError(f"the loss is {value}, training rows {batch['index'].tolist()}; lower the learning rate")
    accelerator.backward(loss)
    if accelerator.sync_gradients:
        accelerator.clip_grad_norm_(trainee.model.parameters(), recipe.clip_norm)
    trainee.optimizer.step()
    trainee.optimizer.zero_grad()
    return value


__all__ = ["Trainee", "optimise", "run_epoch", "run_epochs"]
