"""What a run makes of held-out pictures: their margins while it trains, and at its end calibration and report."""

import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from datasets import DatasetDict
from torch import nn
from torch.utils.data import DataLoader

from ..evaluation.calibration import fit
from ..evaluation.report import evaluate_folder, markdown, write_report
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..metrics.detection import MetricError
from ..model_folder.saving import save_model_folder
from ..modeling_fakeface import FakeFaceForImageClassification
from ..recipe import TRAINING_RECORD, Recipe
from . import TrainingStopped
from .agreement import on_main
from .data import FACES
from .familiar import learn_familiar_of
from .pushing import push_result
from .run_folder import RUN_RECORD
from .setup import unwrap
from .stopping import StopRequest


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
        logits = model(pixel_values=batch["pixel_values"].contiguous(memory_format=torch.channels_last)).logits
        asked = torch.full_like(batch["labels"], stop is not None and stop.asked)
        got = accelerator.gather_for_metrics((logits[:, 1] - logits[:, 0], batch["labels"], asked))
        if got[2].any():
            raise TrainingStopped("stopped while validating")
        found.append(got[0].float().cpu().numpy())
        labels.append(got[1].cpu().numpy())
    return np.concatenate(found).astype(np.float64), np.concatenate(labels)


def finish(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    processor: FakeFaceImageProcessor,
    validation: dict[str, DataLoader],
    splits: DatasetDict,
) -> None:
    """Calibrate the best model on validation pictures, write the model folder, and measure it as its users will."""
    model = FakeFaceForImageClassification.from_pretrained(run / "best")
    prepared = accelerator.prepare_model(model, evaluation_mode=True)
    found = [margins(accelerator, prepared, loader) for loader in validation.values()]

    def write() -> None:
        try:
            both = (np.concatenate(parts) for parts in zip(*found, strict=True))
            fit(*both, target_fpr=recipe.target_fpr, views=len(found)).store(model.config)
        except MetricError as error:
            more = "split_fractions gives validation a larger share of the data"
            accelerator.print(f"the model stays uncalibrated: {error}; {more}")
        whole = unwrap(accelerator, prepared)
        if recipe.architecture == "resnet50-cnn" and recipe.face_cut == "landmarks" and "train" in splits:
            learn_familiar_of(whole, splits["train"], recipe, processor, accelerator)
        folder = save_model_folder(run / "model", whole, processor, half=recipe.half)
        shutil.copy(run / RUN_RECORD, folder / TRAINING_RECORD)
        if recipe.measure:
            options = {"how": recipe.augmentation_settings(), "seed": recipe.seed, "workers": recipe.workers}
            scores, report = evaluate_folder(folder, splits, shlex.join(sys.argv), kept=run / FACES, **options)
            write_report(run, scores, report)
            accelerator.print(markdown(report))
        accelerator.print(f"model folder: {folder}")

    on_main(accelerator, f"write into {run}", write)
    if not recipe.then_everything:
        push_result(run / "model", recipe, accelerator)


__all__ = ["finish", "margins"]
