"""Rows of a dataset as tensors for training and evaluation, and the order they come in."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import Sampler

from ..image_processing_fakeface import FakeFaceImageProcessor
from ..images import load_picture
from .augment import Augmentation, augment, deliver, sample_rng
from .sweep import swept

# A stream of random numbers apart from training's, so that the delivered view of a picture never changes.
DELIVERED_EPOCH = 2**31


class Pictures(torch.utils.data.Dataset):
    """Pictures of a dataset, processed as in use.

    Args:
        dataset: with `image` (undecoded) and `label`; for a step of the sweep also `sha256`.
        processor: cuts, resizes and normalises.
        view: `clean`; `delivered`, one fixed delivery for each picture; `augmented`, a fresh one each epoch; or a name
            of `fakeface.data.sweep.SWEEP`.
        how: the augmentation of `delivered` and `augmented`.
        seed: of what is random.

    An item is asked for by (epoch, index), or by index alone for all views but `augmented`; it has `pixel_values`
    (3, size, size), `labels` and `index`.
    """

    def __init__(
        self,
        dataset: Dataset,
        processor: FakeFaceImageProcessor,
        view: str = "clean",
        how: Augmentation | None = None,
        seed: int = 0,
    ):
        self.dataset, self.processor, self.view, self.seed = dataset, processor, view, seed
        self.how = how or Augmentation()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (DELIVERED_EPOCH, key)
        row = self.dataset[index]
        picture = load_picture(row["image"])
        if self.view == "augmented":
            picture = augment(picture, sample_rng(self.seed, epoch, index), self.how)
        elif self.view == "delivered":
            picture = deliver(picture, sample_rng(self.seed, epoch, index), self.how)
        elif self.view != "clean":
            picture = swept(picture, self.view, self.seed, row["sha256"])
        pixel_values = torch.from_numpy(self.processor.to_array(picture))
        return {"pixel_values": pixel_values, "labels": row["label"], "index": index}

    def name(self, index: int) -> str:
        """What to call a picture in a message: its path, or its source and the hash of its bytes."""
        row = self.dataset.select_columns(["image", "source", "sha256"])[index]
        return row["image"]["path"] or f"{row['source']} {row['sha256'][:16]}"


class BalancedSampler(Sampler):
    """Draws labels equally often and, within a label, sources by a power of their size.

    Args:
        labels: of each picture.
        sources: of each picture.
        samples: draws in an epoch.
        source_balance: 0 draws pictures of a label uniformly, 1 draws its sources equally often.
        seed: of the order; the same seed and epoch give the same draws on every rank.
        whole: draws that do not fill this many are left out, so that each step of an epoch sees equally many pictures.

    Yields (epoch, index), so that workers know the epoch without shared state.
    """

    def __init__(
        self,
        labels: list[int],
        sources: list[str],
        samples: int,
        source_balance: float = 0.5,
        seed: int = 0,
        whole: int = 1,
    ):
        self.samples, self.seed, self.whole, self.epoch = samples, seed, whole, 0
        cells = list(zip(labels, sources, strict=True))
        sizes = Counter(cells)
        # A source of n pictures gets n^(1 - balance) of its label's share, spread evenly over its pictures.
        shares = {cell: n ** (1 - source_balance) for cell, n in sizes.items()}
        totals: defaultdict[int, float] = defaultdict(float)
        for (label, _), share in shares.items():
            totals[label] += share
        weights = [shares[cell] / totals[cell[0]] / sizes[cell] for cell in cells]
        self.weights: Tensor = torch.tensor(weights, dtype=torch.float64)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples // self.whole * self.whole

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        drawn = torch.multinomial(self.weights, self.samples, replacement=True, generator=generator).tolist()
        for index in drawn[: len(self)]:
            yield self.epoch, index
