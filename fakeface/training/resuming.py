"""Go on from the newest checkpoint, on as many ranks as there are now."""

from pathlib import Path

import torch
from accelerate import Accelerator

from ..recipe import Recipe
from .agreement import everywhere, on_main
from .checkpoints import newest_checkpoint, tidy
from .pictures import global_batch
from .progress import SHAPE, Progress


def go_on(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    progress: Progress,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    steps_per_epoch: int,
) -> None:
    """Load the newest checkpoint of a run, if there is one and the recipe asks for it.

    On the same number of ranks, batch size and accumulation the run goes on bit by bit as if it had never stopped. On
    others it goes on with the same draws of pictures, at the same place in the epoch and in the learning rate's
    schedule; what changes is said.

    Args:
        run: the run folder.
        recipe: of the run.
        accelerator: has model, optimiser, scheduler and progress prepared or registered.
        progress: where the run stands; filled from the checkpoint.
        scheduler: of the learning rate.
        steps_per_epoch: optimiser steps on the ranks there are now.

    Raises:
        TrainingError: the checkpoint cannot be read.
    """
    now = {
        "ranks": accelerator.num_processes,
        "batch_size": recipe.batch_size,
        "accumulation": recipe.gradient_accumulation,
    }
    if recipe.resume:
        on_main(accelerator, f"clear up {run / 'checkpoints'}", lambda: tidy(run))
        if newest := newest_checkpoint(run):
            how = f"read {newest}; remove it to go on from the one before"
            everywhere(accelerator, how, lambda: accelerator.load_state(str(newest)))
            accelerator.print(f"going on from {newest}: epoch {progress.epoch}, step {progress.step}")
            was = {name: getattr(progress, name) for name in SHAPE}
            if was != now:
                reshape(recipe, accelerator, progress, scheduler, steps_per_epoch, was)
    for name, value in now.items():
        setattr(progress, name, value)


def reshape(
    recipe: Recipe,
    accelerator: Accelerator,
    progress: Progress,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    steps_per_epoch: int,
    was: dict[str, int],
) -> None:
    """Find the place in the epoch and in the schedule again, for steps of another size."""
    together = global_batch(recipe, accelerator.num_processes)
    before = was["batch_size"] * was["accumulation"] * was["ranks"]
    done = progress.batch * was["batch_size"] * was["ranks"]  # draws of this epoch
    steps = done // together
    progress.batch = steps * recipe.gradient_accumulation
    accelerator.step = 0  # of accumulation
    scheduler.last_epoch = progress.epoch * steps_per_epoch + steps - 1
    scheduler.step()
    accelerator.print(
        f"on other terms than before: {was['ranks']} ranks x batch_size {was['batch_size']} x accumulation "
        f"{was['accumulation']}, {before} pictures a step, are now {accelerator.num_processes} x {recipe.batch_size} x "
        f"{recipe.gradient_accumulation}, {together} pictures. The learning rate stays that of the recipe, and "
        f"{done - steps * together} draws of this epoch come again. Weights will differ from an undisturbed run's."
    )


__all__ = ["go_on"]
