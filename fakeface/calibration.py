"""Calibration: a temperature and a bias for the logits, and thresholds for the verdict, fitted on held-out data."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from scipy.optimize import minimize
from scipy.special import expit
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .checksums import renew_sums
from .configuration_fakeface import FakeFaceConfig
from .data.augment import Augmentation
from .data.pictures import Pictures, View
from .detector import Detector
from .metrics import threshold_at_fpr

VIEWS = ("clean", "delivered")


@dataclass(frozen=True)
class Calibration:
    """Numbers for `FakeFaceConfig`; its fields have the same names."""

    temperature: float
    bias: float
    threshold_generated: float
    threshold_real: float
    target_fpr: float

    def store(self, config: FakeFaceConfig) -> None:
        """Write the numbers into a model's config."""
        for name, value in vars(self).items():
            setattr(config, name, value)

    def store_in(self, folder: Path) -> None:
        """Write the numbers into a model folder's `config.json`; a reader sees the old file or the new one, whole."""
        store_in_config(folder, vars(self))


def store_in_config(folder: Path, numbers: dict[str, float]) -> None:
    """Replace numbers in a model folder's `config.json`; a reader sees the old file or the new one, whole."""
    file = folder / "config.json"
    fresh = folder / ".config.json.writing"
    content = json.loads(file.read_text(encoding="utf-8"))
    fresh.write_text(json.dumps({**content, **numbers}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    fresh.chmod(file.stat().st_mode)
    os.replace(fresh, file)
    renew_sums(folder)


def fit(
    margins: np.ndarray, labels: np.ndarray, *, target_fpr: float = 0.01, target_miss_rate: float = 0.05
) -> Calibration:
    """Fit all five numbers.

    Temperature and bias minimise the log loss (Guo et al., 2017; with a bias as in Platt, 1999), each label weighing
    one half, so that the score does not depend on how many pictures of each label the validation data happen to have.

    Args:
        margins: uncalibrated `generated` minus `real` logit of held-out pictures, (n,).
        labels: 0 real, 1 generated, (n,).
        target_fpr: share of real pictures that may get the verdict `generated`.
        target_miss_rate: share of generated pictures that may get the verdict `real`.

    Raises:
        ValueError: a label is missing, a margin is not a number, or too few real pictures for the target rate.
    """
    real, generated = labels == 0, labels == 1
    if not real.any() or not generated.any():
        raise ValueError("calibration needs pictures of both labels")
    if not np.isfinite(margins).all():
        raise ValueError(f"{int((~np.isfinite(margins)).sum())} margins are not finite numbers")
    weights = np.where(real, 0.5 / real.sum(), 0.5 / generated.sum())
    signs = np.where(generated, 1.0, -1.0)

    def log_loss(parameters: np.ndarray) -> float:
        log_temperature, bias = parameters
        calibrated = margins / np.exp(log_temperature) + bias
        return float(np.sum(weights * np.logaddexp(0, -signs * calibrated)))

    # Bounds keep a separable validation set, where ever sharper scores fit ever better, from certainty that it has
    # not earned.
    fitted = minimize(log_loss, x0=np.zeros(2), bounds=[(np.log(0.2), np.log(20)), (-10, 10)])
    temperature, bias = float(np.exp(fitted.x[0])), float(fitted.x[1])
    scores = expit(margins / temperature + bias)
    generated_from = threshold_at_fpr(scores[real], target_fpr)
    real_up_to = threshold_at_miss_rate(scores[generated], target_miss_rate)
    return Calibration(temperature, bias, generated_from, min(real_up_to, generated_from), target_fpr)


def threshold_at_miss_rate(generated_scores: np.ndarray, miss_rate: float) -> float:
    """The highest threshold at which at most a share `miss_rate` of generated pictures scores at or below it."""
    allowed = math.floor(len(generated_scores) * miss_rate + 1e-9)
    lowest_kept = float(np.sort(generated_scores)[allowed])
    return max(0.0, float(np.nextafter(lowest_kept, -1.0)))


@torch.inference_mode()
def raw_margins(
    detector: Detector,
    dataset: Dataset,
    *,
    how: Augmentation | None = None,
    seed: int = 0,
    batch_size: int = 32,
    workers: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Uncalibrated `generated` minus `real` logits, and labels, of pictures clean and delivered: arguments for `fit`.

    Args:
        detector: its calibration is taken off the logits, whatever it is.
        dataset: held-out pictures, from `fakeface.measured_data`.
        how, seed: of the delivered view.
        batch_size: pictures to a forward pass.
        workers: processes that decode.
    """
    margins, labels, config = [], [], detector.config
    for view in VIEWS:
        pictures = Pictures(dataset, View(detector.processor, view, how or Augmentation(), seed))
        for batch in tqdm(DataLoader(pictures, batch_size, num_workers=workers), desc=view, unit="batch"):
            logits = detector.model(pixel_values=batch["pixel_values"].to(detector.model.device)).logits.double()
            margins.append((logits[:, 1] - logits[:, 0] - config.bias).cpu().numpy() * config.temperature)
            labels.append(batch["labels"].numpy())
    return np.concatenate(margins), np.concatenate(labels)
