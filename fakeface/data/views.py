"""Rows of a dataset as tensors for training and evaluation, and the order they come in."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from torch import Tensor
from torch.utils.data import Sampler

from ..delivery.augment import Augmentation, augment, augment_pair, change_tone, deliver, sample_rng
from ..delivery.sweep import swept
from ..detector.preparation import Preparer
from ..faces import EXACT, Face, Jitter, align_face
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..images.load import load_picture
from .faces import face_of_row, find_main_face

# A stream of random numbers apart from training's, so that the delivered view of a picture never changes.
DELIVERED_EPOCH = 2**31


@dataclass(frozen=True)
class View:
    """How pictures are shown to a model: processed as in use, and changed before that.

    Attributes:
        processor: cuts, resizes and normalises.
        name: `clean`; `delivered`, one fixed delivery for each picture; `augmented`, a fresh one each epoch; `paired`,
            the same pose without and with a fresh delivery; or a name of `fakeface.delivery.sweep.SWEEP`.
        how: the augmentation of `delivered`, `augmented` and `paired`.
        seed: of what is random.
        small: processes the pictures of the epochs before `small_epochs` instead, to a smaller side.
        small_epochs: how many those are.
        cut: cuts the face of each picture, as a `Detector` with these settings does; then rows have the columns of
            `with_faces`, all of them with a face. By default the picture is a face crop already, and its centre counts.
    """

    processor: FakeFaceImageProcessor
    name: str = "clean"
    how: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    small: FakeFaceImageProcessor | None = None
    small_epochs: int = 0
    cut: Preparer | None = None

    def show(
        self, picture: Image.Image, row: dict[str, Any], epoch: int, index: int, draw: int | None = None
    ) -> dict[str, Any]:
        """A picture as `pixel_values` (3, size, size), or (2, 3, size, size) if paired, with `labels` and `index`.

        Args:
            picture: the row's, loaded.
            row: with `label`; for a step of the sweep also `sha256`.
            epoch, index: besides the seed, what random changes depend on.
            draw: stands in for the epoch there, where a picture may come twice in one.
        """
        rng = sample_rng(self.seed, epoch if draw is None else draw, index)
        processor = self.small if self.small and epoch < self.small_epochs else self.processor
        if self.cut:
            pixels = self._of_face(self.cut, processor, picture, row, rng)
            return {"pixel_values": torch.from_numpy(pixels), "labels": row["label"], "index": index}
        if self.name == "paired":
            pixels = np.stack([processor.to_array(shown) for shown in augment_pair(picture, rng, self.how)])
            return {"pixel_values": torch.from_numpy(pixels), "labels": row["label"], "index": index}
        picture = augment(picture, rng, self.how) if self.name == "augmented" else self._changed(picture, row, rng)
        return {"pixel_values": torch.from_numpy(processor.to_array(picture)), "labels": row["label"], "index": index}

    def _changed(self, picture: Image.Image, row: dict[str, Any], rng: np.random.Generator) -> Image.Image:
        """The picture in a view that does not move its face of its own accord."""
        if self.name == "delivered":
            return deliver(picture, rng, self.how)
        return picture if self.name == "clean" else swept(picture, self.name, self.seed, row["sha256"])

    def _of_face(
        self,
        cut: Preparer,
        processor: FakeFaceImageProcessor,
        picture: Image.Image,
        row: dict[str, Any],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """`pixel_values` of the row's face."""
        cut = replace(cut, size=processor.size)
        face = face_of_row(row, picture.size)
        if self.name in ("augmented", "paired"):
            # A screenshot would move the face away from its landmarks.
            how, jitter = replace(self.how, screenshot=0.0), Jitter.draw(rng)
            clean = self.name == "augmented" and how.clean > 0 and rng.random() < how.clean
            changed = picture if clean else deliver(change_tone(picture, rng, how), rng, how)
            shown = [_level(cut, processor, changed, _scaled(face, picture, changed), jitter)]
            if self.name == "augmented":
                return shown[0]
            return np.stack([_level(cut, processor, picture, face, jitter), *shown])
        changed = self._changed(picture, row, rng)
        if self.name != "clean":
            # As users meet it: found anew, for a framing or a screenshot moves it.
            found = find_main_face(cut.finder, changed) if cut.finder else None
            face = found or _scaled(face, picture, changed)
        (square,) = replace(cut, crops=1, consistency=0).inputs_of(changed, face)
        return _normalised(processor, Image.fromarray(square))


def _scaled(face: Face, picture: Image.Image, changed: Image.Image) -> Face:
    """The face of a picture that was rescaled."""
    return face.moved((changed.width / picture.width, changed.height / picture.height))


def _level(
    cut: Preparer, processor: FakeFaceImageProcessor, picture: Image.Image, face: Face, jitter: Jitter = EXACT
) -> np.ndarray:
    """(3, size, size) of a face that is cut by its landmarks, nearly."""
    margin = cut.face_margin * cut.crop_fraction
    return _normalised(processor, align_face(picture, face, cut.size, margin, jitter))


def _normalised(processor: FakeFaceImageProcessor, square: Image.Image) -> np.ndarray:
    """(3, size, size) of a square that has the size of the model's input already."""
    whole = FakeFaceImageProcessor(processor.size, 1.0, processor.image_mean, processor.image_std)
    return whole.to_array(square)


class Pictures(torch.utils.data.Dataset):
    """Pictures of a dataset in a view.

    Args:
        dataset: with `image` (undecoded) and `label`; for a step of the sweep also `sha256`.
        view: how they are shown.

    An item is asked for by (epoch, index), or by index alone for all views but `augmented` and
    `paired`; see `View.show`.
    """

    def __init__(self, dataset: Dataset, view: View):
        self.dataset, self.view = dataset, view

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (DELIVERED_EPOCH, key)
        row = self.dataset[index]
        return self.view.show(load_picture(row["image"]), row, epoch, index)

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
