"""Checkpoints of a run: accelerate's state of every rank, whole and on the disk, or not there at all.

A checkpoint is written to `.writing-step-N`, flushed to the disk and renamed to `step-N`. What it replaces is moved
aside to `.old-step-N` and deleted last. So whatever the moment of a kill or a power cut, the last good one is there.
"""

import os
import shutil
from pathlib import Path

from accelerate import Accelerator

from . import TrainingError
from .agreement import everywhere, on_main
from .progress import Progress

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


__all__ = ["checkpoints", "newest_checkpoint", "save_checkpoint", "sync_folder", "tidy"]
