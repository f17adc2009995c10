"""What a model in training makes of the held-out pictures: after every epoch, and for its calibration at the end."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from datasets import DatasetDict
from scipy.special import expit
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..calibration import fit
from ..evaluation import evaluate_folder, markdown, write_report
from ..hub import save_model_folder
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..metrics import RocAuc
from ..modeling_fakeface import FakeFaceForImageClassification
from ..recipe import TRAINING_RECORD, Recipe
from . import TrainingStopped
from .agreement import on_main
from .building import SHARDED
from .checkpoints import sync_folder
from .progress import Progress
from .pushing import push_best, push_result
from .run_folder import RUN_RECORD, write_curves
from .stopping import StopRequest


def channels_last(pixel_values: torch.Tensor) -> torch.Tensor:
    """The layout convolutions are quickest in; (batch, 3, side, side) stays the shape."""
    return pixel_values.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def margins(
    accelerator: Accelerator, model: nn.Module, loader: DataLoader, stop: StopRequest | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `generated` minus the `real` logit, and the label, of every picture of the loader, on every rank.

    Raises:
        TrainingStopped: a rank was asked to stop.
    """
    model.eval()
    found, labels = [], []
    for batch in loader:
        logits = model(pixel_values=channels_last(batch["pixel_values"])).logits
        asked = torch.full_like(batch["labels"], stop is not None and stop.asked)
        got = accelerator.gather_for_metrics((logits[:, 1] - logits[:, 0], batch["labels"], asked))
        if got[2].any():
            raise TrainingStopped("stopped while validating")
        found.append(got[0].float().cpu().numpy())
        labels.append(got[1].cpu().numpy())
    return np.concatenate(found).astype(np.float64), np.concatenate(labels)


def auc(found: tuple[np.ndarray, np.ndarray]) -> float:
    """ROC AUC of `margins`; the metric keeps a file of its own for each process."""
    metric = RocAuc(experiment_id=str(os.getpid()))
    return (metric.compute(predictions=expit(found[0]), references=found[1], resamples=0) or {})["auc"]


def validate(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    model: nn.Module,
    processor: FakeFaceImageProcessor,
    loaders: dict[str, DataLoader],
    progress: Progress,
    bar: tqdm,
    stop: StopRequest,
) -> None:
    """Measure the epoch on validation pictures, clean and delivered; keep the model folder if it is the best so far.

    Raises:
        TrainingStopped: a rank was asked to stop; nothing is changed.
        TrainingError: the model folder cannot be written.
    """
    entry = {
        "step": progress.step,
        "epoch": progress.epoch,
        "auc": auc(margins(accelerator, model, loaders["clean"], stop)),
        "auc_delivered": auc(margins(accelerator, model, loaders["delivered"], stop)),
    }
    progress.history.append(entry)
    accelerator.log({f"validation/{k}": v for k, v in entry.items() if k.startswith("auc")}, step=progress.step)
    if accelerator.is_main_process:
        bar.write(f"epoch {entry['epoch']}: validation AUC {entry['auc']:.4f}, delivered {entry['auc_delivered']:.4f}")
    best = entry[recipe.select_on] > progress.best
    kept = whole(accelerator, model) if best else None

    def write() -> None:
        write_curves(run, progress.history)
        if kept:
            sync_folder(save_model_folder(run / "best", kept, processor))
            push_best(run, recipe, accelerator)

    on_main(accelerator, f"write into {run}", write)
    progress.best = max(progress.best, entry[recipe.select_on])


def unwrap(accelerator: Accelerator, model: nn.Module) -> FakeFaceForImageClassification:
    # The wrapper stays: without it the model would go on training in 32 bits after the first save.
    return accelerator.unwrap_model(model, keep_torch_compile=False)  # type: ignore[return-value]


def whole(accelerator: Accelerator, model: nn.Module) -> FakeFaceForImageClassification:
    """The model to save. Every rank has to ask, since its weights may be shared out; rank 0 gets all of them."""
    plain = unwrap(accelerator, model)
    if accelerator.distributed_type in SHARDED:
        state = accelerator.get_state_dict(model)
        plain = FakeFaceForImageClassification(plain.config)
        if accelerator.is_main_process:
            plain.load_state_dict(state)
    return plain


def finish(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    processor: FakeFaceImageProcessor,
    splits: DatasetDict,
    loaders: dict[str, DataLoader],
) -> None:
    """Calibrate the best model on validation pictures, write the model folder, and measure it as its users will."""
    model = FakeFaceForImageClassification.from_pretrained(run / "best")
    prepared = accelerator.prepare_model(model, evaluation_mode=True)
    found = [margins(accelerator, prepared, loader) for loader in loaders.values()]

    def write() -> None:
        try:
            both = (np.concatenate(parts) for parts in zip(*found, strict=True))
            calibration = fit(*both, target_fpr=recipe.target_fpr)
            calibration.store(model.config)
        except ValueError as error:
            accelerator.print(f"the model stays uncalibrated: {error}")
        folder = save_model_folder(run / "model", unwrap(accelerator, prepared), processor, half=recipe.half)
        shutil.copy(run / RUN_RECORD, folder / TRAINING_RECORD)
        if recipe.measure:
            options = {"how": recipe.augmentation_settings(), "seed": recipe.seed, "workers": recipe.workers}
            scores, report = evaluate_folder(folder, splits, shlex.join(sys.argv), **options)
            write_report(run, scores, report)
            accelerator.print(markdown(report))
        accelerator.print(f"model folder: {folder}")

    on_main(accelerator, f"write into {run}", write)
    push_result(run, recipe, accelerator)


__all__ = ["auc", "channels_last", "finish", "margins", "unwrap", "validate", "whole"]
