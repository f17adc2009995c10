"""From pictures to results: the faces are cut, the model computes, the verdict is drawn."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .detector import Detector
    from .preparation import Case, Preparer

__all__ = ["Case", "Detector", "Preparer"]

__getattr__ = lazy_names(
    __name__,
    {
        "detector": ["Detector"],
        "preparation": ["Case", "Preparer"],
    },
)
