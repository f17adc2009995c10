"""Let the last blocks of a trunk learn, by low-rank updates of their matrices (Hu et al., LoRA, ICLR 2022).

What goes into those blocks was kept when the trunk was asked, so that a step takes a third of the time. In the end the
updates are part of the matrices, and these are rounded to 8 bits as all others are: the model stays of the same make.
"""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import get_cosine_schedule_with_warmup

from ..configuration_fakeface import VIT_WIDTH
from ..detector.runtime import fastest_dtype, multiply_out
from ..modeling_fakeface import FakeFaceForImageClassification, TransformerTrunk, keep_in_int8
from ..recipe import Recipe
from .frozen import FEATURES, Draws, Heads, read_tokens, statistics_of

RANK = 8
BATCH = 32  # pictures of a step
HEAD_PACE = 1 / 6  # of the recipe's learning rate: the head was trained before, by larger batches


class Tokens:
    """What goes into the tuned blocks, of all views of some pictures; read from disk as it is asked for.

    Args:
        run: the run folder.
        hashes: sha256 of the pictures.
        views: how many.
    """

    def __init__(self, run: Path, hashes: Sequence[str], views: int) -> None:
        kept = [read_tokens(run / FEATURES, view) for view in range(views)]
        self._arrays = [[known[sha256] for sha256 in hashes] for known in kept]

    def take(self, views: Iterable[int] | Tensor, rows: np.ndarray) -> Tensor:
        """float16 (n, tokens, width) of n pictures, each in a view."""
        arrays = [self._arrays[int(view)][int(row)] for view, row in zip(views, rows, strict=True)]
        return torch.from_numpy(np.stack(arrays))


class LowRank(nn.Module):
    """A linear layer that does not learn, and an update of its matrix of rank `RANK` that does; 0 at first."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        device = linear.weight.device
        self.down = nn.Parameter(torch.randn(RANK, linear.in_features, device=device) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, RANK, device=device))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs) + (inputs @ self.down.T.to(inputs)) @ self.up.T.to(inputs)


def tune(
    model: FakeFaceForImageClassification,
    features: np.ndarray,
    tokens: Tokens,
    rows: np.ndarray,
    part: Dataset,
    recipe: Recipe,
    device: torch.device,
) -> list[float]:
    """Train the last blocks of the trunk together with the head, in place, and keep the trunk in 8 bits from then on.

    Args:
        model: whose head `fit_head` has trained.
        features: as `collect_features` returns them, (views, n, channels).
        tokens: of the same pictures.
        rows: places of those to learn from.
        part: all n pictures.
        recipe: `tuned_blocks`, `tuning_draws`, `trunk_learning_rate` of the updates, and a sixth of `learning_rate`,
            of the head.
        device: to train on.

    Returns:
        The loss of each step.
    """
    trunk = model.fakeface.trunk
    torch.manual_seed(recipe.seed)
    blocks = last_blocks(trunk, recipe.tuned_blocks).to(fastest_dtype(device)).requires_grad_(False).train()
    updates = _add_updates(blocks)
    heads = Heads.of(model).to(device).train()
    mean, deviation = statistics_of(trunk.norm)
    draws = Draws(part.select(rows), len(features), recipe)
    learn = [parameter for update in updates.values() for parameter in (update.down, update.up)]
    optimizer = torch.optim.AdamW(
        [
            {"params": learn, "lr": recipe.trunk_learning_rate, "weight_decay": 0.0},
            {"params": heads.parameters(), "lr": HEAD_PACE * recipe.learning_rate},
        ],
        weight_decay=recipe.weight_decay,
    )
    steps = max(1, recipe.tuning_draws // BATCH)
    scheduler = get_cosine_schedule_with_warmup(optimizer, round(recipe.warmup * steps), steps)
    losses = []
    for _ in tqdm(range(steps), desc="Last blocks"):
        drawn, views = draws.take(BATCH)
        labels, drawn = draws.labels[drawn].to(device), rows[drawn.numpy()]
        told = torch.from_numpy(features[views.numpy(), drawn]).float().to(device)
        told = tell_anew(trunk, blocks, tokens.take(views, drawn).to(device), told)
        loss = heads.loss((told - mean.to(device)) / deviation.to(device), labels, draws.generator)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learn, recipe.clip_norm)
        optimizer.step()
        scheduler.step()
        losses.append(float(loss.detach()))
    heads.write(model)
    with torch.no_grad():
        for name, update in updates.items():
            matrix = cast(nn.Linear, trunk.vit.blocks[-recipe.tuned_blocks :].get_submodule(name)).weight
            matrix += (update.up @ update.down).to(matrix)
    keep_in_int8(trunk.vit)
    model.config.trunk_bits = 8
    return losses


@torch.no_grad()
def features_anew(
    model: FakeFaceForImageClassification, features: np.ndarray, tokens: Tokens, rows: np.ndarray, tuned_blocks: int
) -> np.ndarray:
    """The features of a tuned model, float16 (views, len(rows), channels).

    Args:
        model: as `tune` leaves it.
        features: of the trunk before it was tuned, of all pictures; of as many views as are wanted.
        tokens: as of `tune`.
        rows: places of the pictures that are wanted.
        tuned_blocks: as of the recipe that it was tuned by.
    """
    trunk, device = model.fakeface.trunk, model.device
    blocks = last_blocks(trunk, tuned_blocks).to(fastest_dtype(device)).eval()
    anew = features[:, rows]
    for view, its in enumerate(anew):
        for first in range(0, len(rows), BATCH):
            some = slice(first, first + BATCH)
            given = tokens.take([view] * len(its[some]), rows[some]).to(device)
            told = torch.from_numpy(its[some]).float().to(device)
            its[some] = tell_anew(trunk, blocks, given, told).half().cpu().numpy()
    return anew


def last_blocks(trunk: TransformerTrunk, count: int) -> Any:
    """A copy of so many blocks, their matrices multiplied out."""
    blocks = copy.deepcopy(trunk.vit.blocks[-count:])
    multiply_out(blocks)
    return blocks


def tell_anew(trunk: TransformerTrunk, blocks: Any, tokens: Tensor, told: Tensor) -> Tensor:
    """Features in which what the last blocks tell is told by these blocks instead.

    Args:
        trunk: whose `blocks` say which features are of which block.
        blocks: in the place of its last ones.
        tokens: what goes into them, (n, tokens, width).
        told: averages of the trunk's map, float32 (n, channels).
    """
    parts = list(told.split(VIT_WIDTH, 1))
    hidden = tokens.to(next(blocks.parameters()).dtype)
    for number, block in enumerate(blocks, trunk.blocks[-1] - len(blocks) + 1):
        hidden = block(hidden)
        if number in trunk.blocks:
            at = trunk.blocks.index(number)
            parts[at] = hidden[:, 1:].float().mean(1)
            parts[len(trunk.blocks) + at] = hidden[:, 0].float()
    return torch.cat(parts, 1)


def _add_updates(blocks: nn.Module) -> dict[str, LowRank]:
    """Give each linear layer inside an update; returns them by the names of the layers."""
    linears = {name: module for name, module in blocks.named_modules() if isinstance(module, nn.Linear)}
    updates = {name: LowRank(linear) for name, linear in linears.items()}
    for name, update in updates.items():
        parent, _, last = name.rpartition(".")
        setattr(blocks.get_submodule(parent), last, update)
    return updates


__all__ = ["RANK", "Tokens", "features_anew", "tune"]
