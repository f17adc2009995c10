"""The detector of five networks on patches that ours is compared with."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .model import AggregatedCNNs
    from .scores import score_pictures
    from .weights import WeightsError

__all__ = ["AggregatedCNNs", "WeightsError", "score_pictures"]

__getattr__ = lazy_names(
    __name__,
    {
        "model": ["AggregatedCNNs"],
        "scores": ["score_pictures"],
        "weights": ["WeightsError"],
    },
)
