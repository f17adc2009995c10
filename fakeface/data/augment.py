"""Delivery augmentation for the rows of a dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ..delivery.augment import (
    Augmentation,
    deliver,
    sample_rng,
)
from ..images.load import load_picture


@dataclass(frozen=True)
class AugmentRows:
    """Delivery augmentation for any `datasets` dataset with pictures in it.

    >>> from fakeface.data.augment import AugmentRows
    >>> delivered = dataset.map(AugmentRows(seed=1), with_indices=True)                    # doctest: +SKIP
    >>> fresh = dataset.add_column("index", range(len(dataset)))                           # doctest: +SKIP
    >>> fresh = fresh.with_transform(AugmentRows(seed=1, epoch=3))                         # doctest: +SKIP

    Row i of an epoch is the same in any order, batch or number of processes.

    Attributes:
        how: the augmentation.
        seed, epoch: of the draws; another epoch gives other pictures.
        column: with the pictures: PIL pictures, or `{"bytes": …, "path": …}` of `Image(decode=False)`.
        index: column that numbers the rows, for `with_transform`, which does not tell them.
        change: `deliver`, or `augment`, which also changes pose and tone.
    """

    how: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    epoch: int = 0
    column: str = "image"
    index: str = "index"
    change: Callable[[Image.Image, np.random.Generator, Augmentation], Image.Image] = deliver

    def __call__(self, rows: dict[str, Any], indices: int | Sequence[int] | None = None) -> dict[str, Any]:
        """A row and its number, or columns and their numbers, with the pictures as PIL pictures.

        Raises:
            PictureError: a picture cannot be read; the error names it. Filter such rows out first.
            ValueError: the rows' numbers are not known.
        """
        if indices is None:
            indices = rows.get(self.index)
        if indices is None:
            raise ValueError(
                f"the rows' numbers are not known: use map(…, with_indices=True), or add a column {self.index!r}"
            )
        if isinstance(indices, int):
            return {**rows, self.column: self._changed(rows[self.column], indices)}
        pictures = [self._changed(*pair) for pair in zip(rows[self.column], indices, strict=True)]
        return {**rows, self.column: pictures}

    def _changed(self, picture: Any, index: int) -> Image.Image:
        name = picture.get("path") if isinstance(picture, dict) else None
        loaded = load_picture(picture, name=name or f"row {index}")
        return self.change(loaded, sample_rng(self.seed, self.epoch, index), self.how)
