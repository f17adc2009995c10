"""Score any number of pictures into a table."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .run import Scored, score

__all__ = ["Scored", "score"]

__getattr__ = lazy_names(
    __name__,
    {
        "run": ["Scored", "score"],
    },
)
