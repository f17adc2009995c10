"""Where a run stands."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    step: int = 0  # optimiser steps
    best: float = -math.inf
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


__all__ = ["Progress"]
