"""Measure detectors and calibrate them."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .inputs import held_out, read_scores, recipe_for, whole
    from .report import REPORT, as_csv, evaluate, evaluate_folder, evaluate_scores, write_report
    from .scores import VIEWS, score_splits
    from .subjects import OperatingPoint, Subject, open_subject, weights_sha256
    from .tables import tabulate
    from .text import markdown, overall_cells

__all__ = [
    "REPORT",
    "VIEWS",
    "OperatingPoint",
    "Subject",
    "as_csv",
    "evaluate",
    "evaluate_folder",
    "evaluate_scores",
    "held_out",
    "markdown",
    "open_subject",
    "overall_cells",
    "read_scores",
    "recipe_for",
    "score_splits",
    "tabulate",
    "weights_sha256",
    "whole",
    "write_report",
]

__getattr__ = lazy_names(
    __name__,
    {
        "inputs": ["held_out", "read_scores", "recipe_for", "whole"],
        "report": ["REPORT", "as_csv", "evaluate", "evaluate_folder", "evaluate_scores", "write_report"],
        "scores": ["VIEWS", "score_splits"],
        "subjects": ["OperatingPoint", "Subject", "open_subject", "weights_sha256"],
        "tables": ["tabulate"],
        "text": ["markdown", "overall_cells"],
    },
)
