"""What worker processes do with a picture to score. Without torch and pyarrow they start quickly, and stay small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.engine.workers import Entry
from ..detector.preparation import Case, Preparer
from ..images.load import PictureError

Prepared = tuple[Case, list[np.ndarray]]


@dataclass(frozen=True)
class Opener:
    """Opens pictures, and prepares what the model is shown of them. It is a `Work` of `fakeface.data.engine`."""

    preparer: Preparer

    def make(self, entry: Entry, content: Any) -> Prepared:
        case, inputs = self.preparer.try_open(entry.name, content)
        return case, list(inputs)

    def refuse(self, entry: Entry, error: PictureError) -> Prepared:
        return Case(entry.name, error=error), []


__all__ = ["Opener", "Prepared"]
