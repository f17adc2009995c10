"""What is familiar to a model: how far a face may be from those of its training before `real` becomes `uncertain`."""

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset

from ..data.loading import take_evenly
from ..evaluation.report import VIEWS
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..modeling_fakeface import TRUNK_CHANNELS, FakeFaceForImageClassification, Familiar, squared_rest
from ..recipe import Recipe
from .data import validation_loader
from .frozen import statistics_of

DIRECTIONS = 32  # left out of the distance; with more a vit-b16-cnn finds no more, of a ResNet it was not tried
ENOUGH = 20_000  # feature vectors to find them in
UNFAMILIAR_SHARE = 0.01  # of the training photographs
PICTURES = 4096  # of a training, which a trunk that has learned is asked for once more, at most


@torch.no_grad()
def learn_familiar(model: FakeFaceForImageClassification, features: np.ndarray, part: Dataset) -> None:
    """Learn how far a face may be from those of the training: one photograph in a hundred, in any view, is further.

    Args:
        model: gets `familiar_directions` and `familiar_distance`; a `vit-b16-cnn` has its trunk's statistics already,
            by `fit_head`.
        features: averages of the trunk's map, before they are standardised, float16 (views, pictures, channels).
        part: the pictures.
    """
    config, flat = model.config, torch.from_numpy(features).flatten(0, 1)
    torch.manual_seed(0)  # of the draw, and of the random start of the decomposition
    drawn = flat[torch.randperm(len(flat))[:ENOUGH]].float()
    if config.architecture == "vit-b16-cnn":
        mean, deviation = statistics_of(model.fakeface.trunk.norm)
    else:
        mean, deviation = drawn.mean(0), drawn.std(0).clamp(min=1e-3)  # a channel may be dead
    standard = (drawn - mean) / deviation
    config.familiar_directions = min(DIRECTIONS, *standard.shape)
    # Twice as many as are kept, since the last of them come out least exact (Halko et al., SIAM Review 2011).
    _, _, found = torch.svd_lowrank(standard, min(2 * DIRECTIONS, *standard.shape), niter=8)
    directions = found[:, : config.familiar_directions].T.contiguous()
    photographs = np.array(part["label"][:]) == 0
    distances = [
        squared_rest((rows.float() - mean) / deviation, directions).double()
        for view in features
        for rows in torch.from_numpy(view[photographs]).split(1024)
    ]
    limit = np.quantile(torch.cat(distances).numpy(), 1 - UNFAMILIAR_SHARE, method="higher")
    config.familiar_distance = float(limit)
    if config.architecture == "vit-b16-cnn":
        model.fakeface.trunk.register_buffer("directions", directions.to(model.device))
        return
    familiar = Familiar(len(mean), config.familiar_directions)
    familiar.mean, familiar.deviation, familiar.directions = mean, deviation, directions
    model.fakeface.familiar = familiar.to(model.device)


@torch.no_grad()
def trunk_averages(
    model: FakeFaceForImageClassification,
    part: Dataset,
    recipe: Recipe,
    processor: FakeFaceImageProcessor,
    accelerator: Accelerator,
) -> np.ndarray:
    """Averages of the map of a ResNet's trunk, float16 (views, pictures, channels), for each of `VIEWS`."""
    trunk = model.fakeface.trunk.eval()
    found = np.empty((len(VIEWS), len(part), TRUNK_CHANNELS[recipe.trunk_stages - 1]), np.float16)
    for number, view in enumerate(VIEWS):
        start = 0
        for batch in validation_loader(recipe, part, processor, view):
            pixels = batch["pixel_values"].to(model.device).contiguous(memory_format=torch.channels_last)
            with accelerator.autocast():
                averages = trunk(pixels)[-1].float().mean((2, 3))
            found[number, start : start + len(averages)] = averages.cpu().numpy()
            start += len(averages)
    return found


def learn_familiar_of(
    model: FakeFaceForImageClassification,
    training: Dataset,
    recipe: Recipe,
    processor: FakeFaceImageProcessor,
    accelerator: Accelerator,
) -> None:
    """As `learn_familiar`, of a trained `resnet50-cnn`, by `PICTURES` of its training pictures, spread evenly."""
    part = take_evenly(training, PICTURES)
    learn_familiar(model, trunk_averages(model, part, recipe, processor, accelerator), part)


__all__ = ["learn_familiar", "learn_familiar_of"]
