"""Checkpoints of a run: accelerate's state of every rank, whole and on the disk, or not there at all.

A checkpoint is written to `.writing-step-N`, flushed to the disk and renamed to `step-N`. What it replaces is moved
aside to `.old-step-N` and deleted last. So whatever the moment of a kill or a power cut, the last good one is there,
and a run goes on from it, on as many ranks as there are then.
"""

import dataclasses
import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ..recipe import Recipe
from . import TrainingError
from .agreement import everywhere, on_main
from .data import global_batch

SHAPE = ("ranks", "batch_size", "accumulation")  # what a global batch is made of


@dataclasses.dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done, on each rank
    step: int = 0  # optimiser steps
    best: float = -math.inf
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    # How the pictures of a step were shared out; without it `batch` says nothing to another number of ranks.
    ranks: int = 0
    batch_size: int = 0
    accumulation: int = 0

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


WRITING, OLD = ".writing-", ".old-"


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*"), key=number)


def number(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def newest_checkpoint(run: Path) -> Path | None:
    found = checkpoints(run)
    return found[-1] if found else None


def tidy(run: Path) -> None:
    """Remove what a killed run left half written or deleted; what it moved aside comes back if nothing replaced it."""
    folder = run / "checkpoints"
    for path in folder.glob(f"{OLD}step-*"):
        name = folder / path.name.removeprefix(OLD)
        # Deleted in part, it can only be an old one: the new one stood in its place before the first file went.
        if name.exists() or any(number(other) > number(name) for other in checkpoints(run)):
            shutil.rmtree(path)
        else:
            path.rename(name)
    for path in folder.glob(f"{WRITING}*"):
        shutil.rmtree(path)


def save_checkpoint(run: Path, accelerator: Accelerator, progress: Progress, keep: int) -> Path:
    """Write a checkpoint, and then remove all but the newest `keep`.

    Raises:
        TrainingError: on every rank, if one could not write its part. The checkpoints from before are as they were.
    """
    folder = run / "checkpoints" / f"step-{progress.step}"
    writing = folder.with_name(WRITING + folder.name)
    last = newest_checkpoint(run)
    try:
        on_main(accelerator, f"write {writing}", lambda: (tidy(run), writing.mkdir(parents=True)))
        everywhere(accelerator, f"write {writing}", lambda: accelerator.save_state(str(writing)))
        on_main(accelerator, f"write {folder}", lambda: publish(writing, folder))
    except TrainingError as error:
        if accelerator.is_main_process:
            shutil.rmtree(writing, ignore_errors=True)
        good = f"{last} is whole" if last else "there is none from before"
        raise TrainingError(f"{error}; {good}; make room or mend it, and go on with --resume") from error
    on_main(accelerator, f"remove old checkpoints of {run}", lambda: remove_oldest(run, keep))
    return folder


def publish(writing: Path, folder: Path) -> None:
    """Flush a written folder to the disk and give it its name."""
    sync_folder(writing)
    old = folder.with_name(OLD + folder.name)
    if folder.exists():
        folder.rename(old)
    writing.rename(folder)
    sync(folder.parent)
    if old.exists():
        shutil.rmtree(old)


def remove_oldest(run: Path, keep: int) -> None:
    for path in checkpoints(run)[:-keep]:
        aside = path.with_name(OLD + path.name)  # a kill half way leaves no half checkpoint under a good name
        path.rename(aside)
        shutil.rmtree(aside)


def sync_folder(folder: Path) -> None:
    """Flush all files of a folder, and what stands in it, to the disk."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    if os.name != "posix":  # others flush only what is open for writing, and no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


__all__ = ["SHAPE", "Progress", "checkpoints", "go_on", "newest_checkpoint", "save_checkpoint", "sync_folder", "tidy"]
