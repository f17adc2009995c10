"""What the model responds to: filters, feature maps and pictures that excite it most."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .maximisation import feature_maps, first_filters, maximise, turned

__all__ = ["feature_maps", "first_filters", "maximise", "turned"]

__getattr__ = lazy_names(
    __name__,
    {
        "maximisation": ["feature_maps", "first_filters", "maximise", "turned"],
    },
)
