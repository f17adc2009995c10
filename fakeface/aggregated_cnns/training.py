"""Train the five networks of the Aggregated CNNs on our data, each apart, on different pictures and JPEG policies.

The authors start each network from ImageNet. Where there are no such weights, one network is trained first, on all
pictures, and the five start from it: `start.safetensors`, which a B4 pretrained elsewhere can stand in for.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

from ..data.loading import DataError, fingerprint
from ..data.views import BalancedSampler
from ..delivery.augment import sample_rng
from ..delivery.channels import reencode
from ..detector.runtime import fastest_dtype, pick_device
from ..images.load import load_picture
from ..utils.errors import FakefaceError
from ..utils.files import replace_file
from .model import GRID, NETWORKS, SIDE, cut
from .weights import load_network, make_network

START = "start"
RECORD = "training.json"
SOURCE_BALANCE = 0.5  # as our own recipes


class NetworkTrainingError(FakefaceError):
    """Training cannot go on; the message has the cure."""


@dataclass(frozen=True)
class Policy:
    """What a network sees of a picture.

    Attributes:
        on_grid: patches lie on the grid of JPEG blocks, as in use, or anywhere.
        saved: share of pictures that are saved as JPEG once more before a patch is cut.
        quality: of these saves, lowest and highest.
    """

    on_grid: bool
    saved: float
    quality: tuple[int, int]


# Crops and JPEG saves are what the authors vary, since who has learnt one grid and one quality fails on others
# ("Training CNNs in presence of JPEG compression", WIFS 2020). Their files do not tell the qualities; these are ours.
POLICIES = {
    START: Policy(on_grid=False, saved=0.5, quality=(40, 100)),
    "A": Policy(on_grid=False, saved=0.5, quality=(40, 100)),
    "B": Policy(on_grid=True, saved=0.0, quality=(100, 100)),
    "C": Policy(on_grid=True, saved=0.5, quality=(80, 100)),
    "D": Policy(on_grid=True, saved=0.5, quality=(40, 80)),
    "E": Policy(on_grid=True, saved=1.0, quality=(40, 100)),
}


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train. The defaults suit two cores; steps are of `batch_size` patches."""

    start_steps: int = 500
    steps: int = 80  # of each of the five
    batch_size: int = 32
    start_learning_rate: float = 1e-3
    learning_rate: float = 3e-4
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip_norm: float = 5.0
    seed: int = 0


class Patches(torch.utils.data.Dataset):
    """One patch of a picture, asked for by (epoch, index): its place, its save and its mirroring are drawn for both.

    An item is the patch, (3, 128, 128), and the label.
    """

    def __init__(self, dataset: Dataset, policy: Policy, seed: int = 0) -> None:
        self.dataset, self.policy, self.seed = dataset, policy, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
        row = self.dataset[key[1]]
        rng = sample_rng(self.seed, *key)
        pixels = patch(load_picture(row["image"]), self.policy, rng)
        return cut(pixels, [(0, 0)])[0], row["label"]


def patch(picture: Image.Image, policy: Policy, rng: np.random.Generator) -> np.ndarray:
    """A patch, (128, 128, 3) uint8, of a picture of at least that size, half the time mirrored."""
    if rng.random() < policy.saved:
        picture = reencode(picture, "JPEG", int(rng.integers(policy.quality[0], policy.quality[1] + 1)))
    step = GRID if policy.on_grid else 1
    x, y = (int(rng.integers(0, (side - SIDE) // step + 1)) * step for side in picture.size)
    pixels = np.asarray(picture)[y : y + SIDE, x : x + SIDE]
    # A mirrored patch keeps its grid, since a patch is whole blocks.
    return np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels


def say(message: str) -> None:
    """A line that is seen at once, also through a pipe."""
    print(message, flush=True)


@dataclass(frozen=True)
class Trainer:
    """Trains the five networks into a folder, which then suits `AggregatedCNNs.from_folder`.

    A run that was stopped goes on from its last checkpoint, to the same weights.

    Attributes:
        folder: of the networks, the checkpoint, and `training.json`, which says what they were made of.
        schedule: of all.
        start: weights of a B4 for the five to start from, in place of one trained here; its last layer is not used.
        workers: processes that cut patches; the patches do not depend on it.
        checkpoint_steps: between checkpoints, which take 200 MB.
        tell: is told how training goes, at each checkpoint.
    """

    folder: Path
    schedule: Schedule = Schedule()
    start: Path | None = None
    workers: int = 1
    checkpoint_steps: int = 25
    tell: Callable[[str], None] = say

    def train(self, dataset: Dataset) -> None:
        """Train what the folder lacks.

        Args:
            dataset: training pictures, with `image`, `label`, `source`, `generator` and `sha256`; those under 128
                pixels are left out.

        Raises:
            NetworkTrainingError: the folder holds networks of other pictures or another schedule, or the loss is not a
                number.
            DataError: no pictures of both labels are large enough.
            WeightsError: the weights to start from cannot be used.
        """
        usable = dataset.filter(large_enough, num_proc=self.workers if self.workers > 1 else None)
        if len(set(usable["label"])) < 2:
            raise DataError(f"training takes real and generated pictures of {SIDE} pixels a side or more")
        if self.start:  # looked at before anything is written that would refuse another file later
            load_network(self.start, classifier=False)
        self._record(usable, len(dataset) - len(usable))
        for name in NETWORKS if self.start else (START, *NETWORKS):
            if not self._file(name).exists():
                out = left_out(usable, name)
                kept = [i for i, source in enumerate(usable["source"]) if source not in out]
                self._train(name, usable.select(kept))

    def _record(self, usable: Dataset, too_small: int) -> None:
        """Write what the networks are made of, or refuse a folder that was begun with something else."""
        facts = {
            "schedule": asdict(self.schedule),
            "start": self.start.name if self.start else None,
            "policies": {name: asdict(policy) for name, policy in POLICIES.items()},
            "left_out": {name: left_out(usable, name) for name in NETWORKS},
            "pictures": {"used": len(usable), "too_small": too_small, "fingerprint": fingerprint(usable)},
        }
        file, facts = self.folder / RECORD, json.loads(json.dumps(facts))
        if file.exists():
            before = json.loads(file.read_text(encoding="utf-8"))
            if changed := [key for key in facts if before.get(key) != facts[key]]:
                began = f"its networks were begun with other {', '.join(changed)}"
                raise NetworkTrainingError(f"{self.folder}: {began}; name another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def _train(self, name: str, dataset: Dataset) -> None:
        schedule, device = self.schedule, pick_device()
        torch.manual_seed(schedule.seed)
        network = self._begun(name).to(device).train()
        steps = schedule.start_steps if name == START else schedule.steps
        rate = schedule.start_learning_rate if name == START else schedule.learning_rate
        optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=schedule.weight_decay, fused=True)
        scheduler = get_cosine_schedule_with_warmup(optimizer, math.ceil(schedule.warmup * steps), steps)
        state = _State(self.folder / f"{name}.checkpoint", network, optimizer, scheduler)
        done = state.restore()
        patches = self._patches(name, dataset, steps, done)
        for step, (batch, labels) in enumerate(patches, start=done + 1):
            loss = optimise(network, optimizer, batch.to(device), labels.to(device), schedule.clip_norm)
            scheduler.step()
            if not math.isfinite(loss):
                raise NetworkTrainingError(f"network {name}, step {step}: the loss is {loss}; lower the learning rate")
            if step % self.checkpoint_steps == 0 or step == steps:
                state.save(step)
                self.tell(f"network {name}: step {step} of {steps}, loss {loss:.3f}")
        weights = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
        with replace_file(self._file(name)) as fresh:
            save_file(weights, fresh)
        state.file.unlink()

    def _patches(self, name: str, dataset: Dataset, steps: int, done: int) -> DataLoader:
        """The batches of a network's steps but for those that are done."""
        size, seed = self.schedule.batch_size, self.schedule.seed + list(POLICIES).index(name)
        sampler = BalancedSampler(dataset["label"], dataset["source"], steps * size, SOURCE_BALANCE, seed)
        # A draw's epoch is its place in the run, so that a picture drawn twice is cut twice.
        draws = [(place, index) for place, (_, index) in enumerate(sampler)][done * size :]
        return DataLoader(Patches(dataset, POLICIES[name], seed), size, sampler=draws, num_workers=self.workers)

    def _begun(self, name: str) -> nn.Module:
        if name == START:
            return make_network()
        return load_network(self.start, classifier=False) if self.start else load_network(self._file(START))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


@dataclass(frozen=True)
class _State:
    """A run's state in a file."""

    file: Path
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler

    def save(self, step: int) -> None:
        parts = {"network": self.network, "optimizer": self.optimizer, "scheduler": self.scheduler}
        state = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
        with replace_file(self.file) as fresh:
            torch.save(state, fresh)

    def restore(self) -> int:
        """Take the file's state, if there is one; returns the steps that are done."""
        if not self.file.exists():
            return 0
        state = torch.load(self.file, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        return state["step"]


def optimise(
    network: nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor, labels: torch.Tensor, clip_norm: float
) -> float:
    """One step; returns the loss."""
    dtype = fastest_dtype(batch.device)
    with torch.autocast(batch.device.type, dtype, enabled=dtype != torch.float32):
        loss = nn.functional.cross_entropy(network(batch), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def large_enough(row: dict[str, Any]) -> bool:
    """Whether a picture has room for a patch."""
    return min(load_picture(row["image"]).size) >= SIDE


def left_out(dataset: Dataset, name: str) -> list[str]:
    """Sources that a network does not see: every fifth of each label's, by name, so that each has data of its own."""
    out = []
    for label in (0, 1) if name in NETWORKS else ():
        sources = sorted({s for s, own in zip(dataset["source"], dataset["label"], strict=True) if own == label})
        out += sources[NETWORKS.index(name) :: len(NETWORKS)] if len(sources) > 1 else []
    return out
