"""Checkpoints of a run: accelerate's state of every rank, whole or not there at all."""

import shutil
from pathlib import Path

from accelerate import Accelerator

from .progress import Progress


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name.split("-")[1]))


def newest_checkpoint(run: Path) -> Path | None:
    found = checkpoints(run)
    return found[-1] if found else None


def save_checkpoint(run: Path, accelerator: Accelerator, progress: Progress, keep: int) -> None:
    """Write a checkpoint beside its final name, then rename it: a kill in between leaves the last one whole."""
    folder = run / "checkpoints" / f"step-{progress.step}"
    writing = folder.with_name(f".writing-{folder.name}")
    if accelerator.is_main_process:
        shutil.rmtree(writing, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(writing))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
        writing.rename(folder)
        for old in checkpoints(run)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


__all__ = ["checkpoints", "newest_checkpoint", "save_checkpoint"]
