"""Where a run stands."""

import dataclasses
import math
from typing import Any

SHAPE = ("ranks", "batch_size", "accumulation")  # what a global batch is made of


@dataclasses.dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done, on each rank
    step: int = 0  # optimiser steps
    best: float = -math.inf
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    # How the pictures of a step were shared out; without it `batch` says nothing to another number of ranks.
    ranks: int = 0
    batch_size: int = 0
    accumulation: int = 0

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


__all__ = ["SHAPE", "Progress"]
