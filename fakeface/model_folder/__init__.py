"""Model folders and ONNX files: open, verify, save."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .names import ModelFolderError
    from .onnx import OnnxModel
    from .opening import (
        build_config,
        build_processor,
        default_model,
        fast_model,
        find_folder,
        load_model_folder,
        read_json,
    )
    from .saving import save_model_folder

__all__ = [
    "ModelFolderError",
    "OnnxModel",
    "build_config",
    "build_processor",
    "default_model",
    "fast_model",
    "find_folder",
    "load_model_folder",
    "read_json",
    "save_model_folder",
]

__getattr__ = lazy_names(
    __name__,
    {
        "names": ["ModelFolderError"],
        "opening": [
            "build_config",
            "build_processor",
            "default_model",
            "fast_model",
            "find_folder",
            "load_model_folder",
            "read_json",
        ],
        "saving": ["save_model_folder"],
        "onnx": ["OnnxModel"],
    },
)
