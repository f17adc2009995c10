"""Maps of evidence: where in the picture the model saw what it says."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .drawing import draw_faces, map_layer
    from .layers import layer_names, layer_used
    from .maps import (
        Explanation,
        cam,
        colour_table,
        coloured,
        evidence,
        levels_of,
        maps_of,
        method_used,
        overlay,
        place,
        weigh,
    )
    from .methods import METHODS

__all__ = [
    "METHODS",
    "Explanation",
    "cam",
    "colour_table",
    "coloured",
    "draw_faces",
    "evidence",
    "layer_names",
    "layer_used",
    "levels_of",
    "map_layer",
    "maps_of",
    "method_used",
    "overlay",
    "place",
    "weigh",
]

__getattr__ = lazy_names(
    __name__,
    {
        "drawing": ["draw_faces", "map_layer"],
        "layers": ["layer_names", "layer_used"],
        "maps": [
            "Explanation",
            "cam",
            "colour_table",
            "coloured",
            "evidence",
            "levels_of",
            "maps_of",
            "method_used",
            "overlay",
            "place",
            "weigh",
        ],
        "methods": ["METHODS"],
    },
)
