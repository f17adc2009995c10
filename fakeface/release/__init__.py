"""Make a model ready for others: card, complete folder, ONNX file, check, push."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .check import check_folder
    from .export import export_folder
    from .onnx import export_onnx
    from .push import push_model
    from .space import push_space

__all__ = ["check_folder", "export_folder", "export_onnx", "push_model", "push_space"]

__getattr__ = lazy_names(
    __name__,
    {
        "check": ["check_folder"],
        "export": ["export_folder"],
        "onnx": ["export_onnx"],
        "push": ["push_model"],
        "space": ["push_space"],
    },
)
