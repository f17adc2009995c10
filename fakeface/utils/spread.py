"""Some of many, evenly spread."""

import numpy as np


def spread_evenly(n: int, count: int) -> np.ndarray:
    """`count` of the places 0 to n - 1, evenly spread from the first to the last; all where there are fewer."""
    return np.linspace(0, n - 1, min(n, count)).astype(int)


__all__ = ["spread_evenly"]
