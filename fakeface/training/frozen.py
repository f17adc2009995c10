"""Train the head of a model whose trunk does not learn, or only afterwards: `tuning` does that.

The trunk is asked once for each view of each picture. What the head of `vit-b16-cnn` needs of its feature map is the
average over the map, so that is kept in the run folder, in 16 bits, and the head trains on it in minutes; a run that
was stopped goes on with the views that are missing. `--output` of another recipe may hold the same `features/`: they
are known by the picture's sha256 and the view's number.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_cosine_schedule_with_warmup

from ..configuration_fakeface import VIT_WIDTH
from ..data.views import BalancedSampler, Pictures, View
from ..detector.runtime import fastest_dtype
from ..modeling_fakeface import FakeFaceForImageClassification, TransformerTrunk
from ..recipe import Recipe, RecipeError
from ..utils.files import replace_file, replace_text
from .data import origins
from .stopping import outlive_first_sigterm

FEATURES = "features"  # folder of a run
CUT = ("image_size", "crop_fraction", "face_margin")
MADE_OF = ("trunk_weights", "trunk_blocks", "tuned_blocks", *CUT, "augmentation", "seed")
CHUNK = 512  # pictures of a file, and what a stop may lose
JUDGED_VIEWS = 2  # of a picture, from which thresholds come: as it is, and augmented once
HEADS = 4  # side by side, each with a loss of its own: an ensemble that is one head afterwards
FEATURE_DROPOUT = 0.15
MIXUP = 0.3  # parameter of the beta distribution (Zhang et al., ICLR 2018)


def collect_features(
    run: Path,
    recipe: Recipe,
    model: FakeFaceForImageClassification,
    part: Dataset,
    view: View,
    accelerator: Accelerator,
) -> np.ndarray:
    """The averages of the trunk's feature map, before they are standardised, of all views of all pictures.

    With `tuned_blocks` what goes into those blocks is kept, too: `read_tokens` has it.

    Args:
        run: the run folder, in whose `features/` they are kept.
        recipe: with `frozen_views`: the first is the picture as it is, the others are augmented, each afresh.
        model: a `vit-b16-cnn`, on the accelerator's device.
        part: training pictures, with faces.
        view: how an augmented picture is shown.
        accelerator: tells the device.

    Returns:
        float16 (views, pictures, channels).

    Raises:
        RecipeError: features of another trunk, cut or augmentation are kept there.
    """
    refuse_others(run / FEATURES, recipe)
    hashes = part["sha256"][:]
    narrow = fastest_dtype(accelerator.device)
    trunk = copy.deepcopy(model.fakeface.trunk).to(narrow).eval()
    found = np.zeros((recipe.frozen_views, len(part), model.fakeface.trunk.channels), np.float16)
    for number in range(recipe.frozen_views):
        known = read_features(run / FEATURES, number)
        for row, sha256 in enumerate(hashes):
            if sha256 in known:
                found[number, row] = known[sha256]
        missing = [row for row, sha256 in enumerate(hashes) if sha256 not in known]
        shown = Pictures(
            part, View(view.processor, "augmented" if number else "clean", view.how, view.seed, cut=view.cut)
        )
        bar = tqdm(total=len(missing), desc=f"Features, view {number + 1} of {recipe.frozen_views}", unit="picture")
        for first in range(0, len(missing), CHUNK):
            rows, tokens = missing[first : first + CHUNK], []
            asked = ask_trunk(trunk, shown, rows, number, recipe, accelerator)
            for at, (features, its) in zip(rows, asked, strict=True):
                found[number, at] = features
                tokens.append(its)
                bar.update()
            given = np.stack(tokens) if recipe.tuned_blocks else None
            write_features(run / FEATURES, number, [hashes[row] for row in rows], found[number, rows], given)
        bar.close()
    return found


def refuse_others(folder: Path, recipe: Recipe) -> None:
    """Raises RecipeError where features are kept that this recipe's trunk, cut or augmentation would not give."""
    own = {name: getattr(recipe, name) for name in MADE_OF}
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "made-of.json"
    if record.exists() and (kept := json.loads(record.read_text())) != own:
        changed = next(name for name in MADE_OF if kept.get(name) != own[name])
        raise RecipeError(
            f"{folder}: made with {changed} {kept.get(changed)!r}, not {own[changed]!r}; name another output"
        )
    replace_text(record, json.dumps(own, indent=2) + "\n")


@torch.inference_mode()
def ask_trunk(
    trunk: TransformerTrunk,
    shown: Pictures,
    rows: list[int],
    epoch: int,
    recipe: Recipe,
    accelerator: Accelerator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the trunk gives of each of those pictures, in order, in float16.

    Yields:
        The average of its map, (channels,); and what goes into the tuned blocks, (tokens, width), or nothing, (0,).
    """
    dtype = trunk.vit.pos_embed.dtype
    keys = [(epoch, row) for row in rows]
    loader = DataLoader(
        shown, recipe.batch_size, sampler=keys, num_workers=recipe.workers, worker_init_fn=outlive_first_sigterm  # pyright: ignore
    )  # fmt: skip
    for batch in loader:
        maps = trunk.raw(batch["pixel_values"].to(accelerator.device, dtype))
        averages = maps.float().mean((2, 3)).half().cpu().numpy()
        tokens = np.empty((len(averages), 0), np.float16)
        if recipe.tuned_blocks:
            at = trunk.blocks.index(trunk.blocks[-1] - recipe.tuned_blocks)
            parts = maps.flatten(2).transpose(1, 2).split(VIT_WIDTH, 2)
            token, patches = parts[len(trunk.blocks) + at][:, :1], parts[at]
            tokens = torch.cat([token, patches], 1).half().cpu().numpy()
        yield from zip(averages, tokens, strict=True)


def read_features(folder: Path, view: int) -> dict[str, np.ndarray]:
    """Features of a view that are kept, by the sha256 of the picture's bytes."""
    known: dict[str, np.ndarray] = {}
    for file in sorted(folder.glob(f"view-{view}-*.npz")):
        with np.load(file, allow_pickle=False) as kept:
            known.update(zip(kept["sha256"].tolist(), kept["features"], strict=True))
    return known


def read_tokens(folder: Path, view: int) -> dict[str, np.ndarray]:
    """What went into the tuned blocks in a view, (tokens, width) by sha256 as above; on disk until it is used."""
    known: dict[str, np.ndarray] = {}
    for file in sorted(folder.glob(f"view-{view}-*.npz")):
        with np.load(file, allow_pickle=False) as kept:
            tokens = np.load(file.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
            known.update(zip(kept["sha256"].tolist(), tokens, strict=True))
    return known


def write_features(
    folder: Path, view: int, hashes: list[str], features: np.ndarray, tokens: np.ndarray | None = None
) -> None:
    """Keep the features of a view, in a file that is there whole or not at all; tokens beside it, written before."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"view-{view}-{len(list(folder.glob(f'view-{view}-*.npz'))):05}.npz"
    if tokens is not None:
        with replace_file(file.with_suffix(".npy")) as fresh, fresh.open("wb") as out:
            np.save(out, tokens)
    with replace_file(file) as fresh, fresh.open("wb") as out:
        np.savez(out, sha256=np.array(hashes), features=features)


class Heads(nn.Module):
    """`HEADS` heads side by side, each with a loss of its own; their mean logit is one head again.

    Args:
        channels: of the features.
        width: hidden units of each.
    """

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.first = nn.Linear(channels, HEADS * width)
        self.second = nn.Parameter(torch.randn(HEADS, width) * 0.01)
        self.bias = nn.Parameter(torch.zeros(HEADS))

    @classmethod
    def of(cls, model: FakeFaceForImageClassification) -> "Heads":
        """As they were when `write` made them the model's; the biases, of which it keeps the mean, are all the same."""
        conv, out = layers_of(model)
        heads = cls(conv.in_channels, conv.out_channels // HEADS, model.config.dropout)
        with torch.no_grad():
            heads.first.weight.copy_(conv.weight[:, :, 0, 0])
            heads.first.bias.copy_(cast(Tensor, conv.bias))
            heads.second.copy_((2 * HEADS * out.weight[1]).unflatten(0, (HEADS, heads.width)))
            heads.bias.copy_((2 * out.bias[1]).expand(HEADS))
        return heads

    def forward(self, inputs: Tensor) -> Tensor:
        """Margins (n, HEADS) of standardised features (n, channels)."""
        inputs = nn.functional.dropout(inputs, FEATURE_DROPOUT, self.training)
        hidden = nn.functional.dropout(nn.functional.relu(self.first(inputs)), self.dropout, self.training)
        return (hidden.unflatten(1, (HEADS, self.width)) * self.second).sum(2) + self.bias

    def loss(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Of features (n, channels) and labels (n,), both mixed up."""
        mix = float(torch.distributions.Beta(MIXUP, MIXUP).sample())
        other = torch.randperm(len(inputs), generator=generator)
        inputs, targets = (mix * both + (1 - mix) * both[other] for both in (inputs, targets))
        margins = self(inputs)
        return nn.functional.binary_cross_entropy_with_logits(margins, targets[:, None].expand_as(margins))

    @torch.no_grad()
    def write(self, model: FakeFaceForImageClassification) -> None:
        """Make them the model's head."""
        conv, out = layers_of(model)
        conv.weight.copy_(self.first.weight[:, :, None, None])
        cast(Tensor, conv.bias).copy_(self.first.bias)
        # The margin is the difference of the two logits, of which each takes half.
        half = self.second.flatten() / HEADS / 2
        out.weight.copy_(torch.stack([-half, half]))
        out.bias.copy_(torch.stack([-self.bias.mean(), self.bias.mean()]) / 2)


def layers_of(model: FakeFaceForImageClassification) -> tuple[nn.Conv2d, nn.Linear]:
    """The two layers of a `vit-b16-cnn`'s head."""
    return cast(nn.Conv2d, model.fakeface.blocks[0]), cast(nn.Linear, model.classifier.out)


class Draws:
    """Draws pictures, labels and sources evened out as the recipe says, half of them as they are, half augmented."""

    def __init__(self, part: Dataset, views: int, recipe: Recipe) -> None:
        labels = part["label"][:]
        self.labels, self.views = torch.tensor(labels, dtype=torch.float32), views
        self.chance = BalancedSampler(labels, origins(part), len(part), recipe.source_balance, recipe.seed).weights
        self.generator = torch.Generator().manual_seed(recipe.seed)

    def take(self, n: int) -> tuple[Tensor, Tensor]:
        """Rows and views, (n,) each."""
        rows = torch.multinomial(self.chance, n, replacement=True, generator=self.generator)
        view = torch.randint(1, max(self.views, 2), (n,), generator=self.generator)
        clean = torch.rand(n, generator=self.generator) < 0.5
        return rows, torch.where(clean | (view >= self.views), 0, view)


def fit_head(
    model: FakeFaceForImageClassification, features: np.ndarray, part: Dataset, recipe: Recipe, device: torch.device
) -> list[float]:
    """Train the head on kept features, in place, and set the statistics that the trunk standardises by.

    AdamW, cosine schedule, dropout and mixup.

    Args:
        model: gets its weights.
        features: as `collect_features` returns them.
        part: the pictures.
        recipe: `epochs` over the views, `learning_rate`, `weight_decay`, `warmup`, `dropout`, `head_batch`, `seed`.
        device: to train on.

    Returns:
        The loss of each step.
    """
    views, n, channels = features.shape
    flat = torch.from_numpy(features.reshape(views * n, channels))
    standardise(model.fakeface.trunk.norm, flat)
    mean, deviation = statistics_of(model.fakeface.trunk.norm)
    draws = Draws(part, views, recipe)
    torch.manual_seed(recipe.seed)
    heads = Heads(channels, layers_of(model)[0].out_channels // HEADS, recipe.dropout).to(device)
    optimizer = torch.optim.AdamW(
        [*heads.first.parameters(), heads.second, heads.bias], recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = max(1, recipe.epochs * views * n // recipe.head_batch)
    scheduler = get_cosine_schedule_with_warmup(optimizer, round(recipe.warmup * steps), steps)
    losses = []
    for _ in tqdm(range(steps), desc="Head"):
        rows, view = draws.take(recipe.head_batch)
        inputs = ((flat[view * n + rows].float() - mean) / deviation).to(device)
        loss = heads.loss(inputs, draws.labels[rows].to(device), draws.generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(float(loss.detach()))
    heads.write(model)
    return losses


@torch.no_grad()
def margins_of(model: FakeFaceForImageClassification, raw: Tensor) -> np.ndarray:
    """`generated` minus `real` logit, float64 (n,), from kept averages of the trunk's map, (n, channels)."""
    found = []
    for rows in raw.split(1024):
        maps = model.fakeface.trunk.norm(rows[:, :, None, None].to(model.device, torch.float32))
        logits = model.classify(model.fakeface.blocks(maps))
        found.append((logits[:, 1] - logits[:, 0]).double().cpu())
    return torch.cat(found).numpy()


def standardise(norm: nn.BatchNorm2d, flat: Tensor) -> None:
    """Set a norm's statistics to those of the features, (n, channels)."""
    total = torch.zeros(flat.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for rows in flat.split(2048):  # all of them in 64 bits would not fit into memory
        total += rows.double().sum(0)
        squares += rows.double().square().sum(0)
    mean = total / len(flat)
    norm.running_mean.copy_(mean)  # type: ignore[union-attr]
    norm.running_var.copy_((squares / len(flat) - mean.square()).clamp(min=0))  # type: ignore[union-attr]


def statistics_of(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that a norm takes off and divides by, on the CPU."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean.cpu(), (norm.running_var + norm.eps).sqrt().cpu()


__all__ = ["collect_features", "fit_head", "margins_of", "read_features", "write_features"]
