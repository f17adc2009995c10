"""Teach a model what another sees: the features and the score that a trunk, asked once, gives of each picture.

The teacher is the run of a recipe with `frozen_views`. It looked at each picture as it is; the student, which may see
the picture changed, is to tell the same (Romero et al., FitNets, ICLR 2015; Hinton et al., 2015).
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from ..model_folder.opening import load_model_folder
from ..modeling_fakeface import TRUNK_CHANNELS, FakeFaceForImageClassification
from ..recipe import Recipe, RecipeError, recipe_of
from .frozen import FEATURES, margins_of, read_features, statistics_of
from .tuning import Tokens, features_anew

FEATURE_WEIGHT = 1.0  # of the mean squared error of the standardised features, beside the cross-entropy
SCORE_SHARE = 0.5  # of the teacher's score in what the cross-entropy asks for; the rest is the label
FAR = 5.0  # standard deviations, beyond which a feature's target is cut off: a few channels have outliers of dozens


class Teacher(nn.Module):
    """What a teacher told of the training pictures, and the layer that reads its features off the student's map.

    The layer learns with the student, and is left behind when training ends.

    Args:
        features: standardised, float16 (pictures, channels).
        scores: (pictures,), NaN of a picture that the teacher has not seen.
        width: channels of the student's map.
    """

    def __init__(self, features: Tensor, scores: Tensor, width: int):
        super().__init__()
        self.features, self.scores = features, scores  # no buffers: they belong into no checkpoint
        self.read = nn.Linear(width, features.shape[1])

    def forward(self, feature_map: Tensor, logits: Tensor, labels: Tensor, rows: Tensor, smoothing: float) -> Tensor:
        """The loss of a batch: of pictures that the teacher has not seen, the cross-entropy with their labels.

        Args:
            feature_map: the student's, of its trunk, (batch, width, height, width).
            logits, labels: (batch, 2) and (batch,).
            rows: places of the pictures in `features`, (batch,).
            smoothing: of the labels.
        """
        rows = rows.cpu()
        told = self.scores[rows].to(logits.device)
        seen = ~told.isnan()
        asked = nn.functional.one_hot(labels, 2) * (1 - smoothing) + smoothing / 2
        soft = torch.stack([1 - told, told], dim=1).nan_to_num()
        share = SCORE_SHARE * seen[:, None]
        loss = nn.functional.cross_entropy(logits, asked * (1 - share) + soft * share)
        wanted = self.features[rows].to(logits.device).float()
        read = self.read(feature_map.float().mean((2, 3)))
        error = (read - wanted).square().mean(1)
        return loss + FEATURE_WEIGHT * (error * seen).sum() / seen.sum().clamp(min=1)


def open_teacher(recipe: Recipe, training: Dataset) -> Teacher:
    """The teacher that a recipe names, with what it told of the training pictures.

    Raises:
        RecipeError: the folder holds no run with `frozen_views`, or one that saw none of these pictures.
    """
    run = Path(recipe.teacher)
    known = read_features(run / FEATURES, 0)
    if not known or not (run / "model").is_dir():
        raise RecipeError(f"teacher: {run} holds no finished run with frozen_views; name the folder of one")
    model, _ = load_model_folder(str(run / "model"))
    channels = model.fakeface.trunk.channels
    raw = np.zeros((len(training), channels), np.float16)
    seen = np.zeros(len(training), bool)
    for row, sha256 in enumerate(training["sha256"][:]):
        if sha256 in known:
            raw[row], seen[row] = known[sha256], True
    if not seen.any():
        raise RecipeError(f"teacher: {run} saw none of the pictures to train on; give both runs the same data")
    if tuned := recipe_of(run / "model").get("tuned_blocks"):
        hashes, rows = np.array(training["sha256"][:])[seen], np.arange(seen.sum())
        raw[seen] = features_anew(model, raw[None, seen], Tokens(run, hashes.tolist(), 1), rows, tuned)[0]
    scores = torch.sigmoid(torch.from_numpy(margins_of(model, torch.from_numpy(raw)))).float()
    scores[torch.from_numpy(~seen)] = torch.nan
    mean, deviation = statistics_of(model.fakeface.trunk.norm)
    features = ((torch.from_numpy(raw) - mean) / deviation).clamp(-FAR, FAR).half()
    return Teacher(features, scores, TRUNK_CHANNELS[recipe.trunk_stages - 1])


class Taught:
    """A model and its teacher: keeps what the model's trunk gave last, for which the model's output has no room."""

    def __init__(self, model: FakeFaceForImageClassification, teacher: nn.Module):
        self._teacher = teacher
        self._feature_map: Tensor | None = None
        cast(nn.Module, model.fakeface.trunk).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, args: Any, output: list[Tensor]) -> None:
        self._feature_map = output[-1]

    def loss(self, logits: Tensor, labels: Tensor, rows: Tensor, smoothing: float) -> Tensor:
        """Of the batch that the model saw last: arguments as of `Teacher`."""
        return self._teacher(self._feature_map, logits, labels, rows, smoothing)


__all__ = ["Taught", "Teacher", "open_teacher"]
