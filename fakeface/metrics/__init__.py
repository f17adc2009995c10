"""Figures of a detector, each with its interval."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .detection import (
        AveragePrecision,
        DetectionMetric,
        RocAuc,
        TprAtFpr,
        bootstrap_interval,
        detection_metrics,
        looks_swapped,
        rank_auc,
        threshold_at_fpr,
        too_few_real,
        wilson_interval,
    )
    from .selective import risk_and_coverage, uncertainty

__all__ = [
    "AveragePrecision",
    "DetectionMetric",
    "RocAuc",
    "TprAtFpr",
    "bootstrap_interval",
    "detection_metrics",
    "looks_swapped",
    "rank_auc",
    "risk_and_coverage",
    "threshold_at_fpr",
    "too_few_real",
    "uncertainty",
    "wilson_interval",
]

__getattr__ = lazy_names(
    __name__,
    {
        "detection": [
            "DetectionMetric",
            "AveragePrecision",
            "RocAuc",
            "TprAtFpr",
            "bootstrap_interval",
            "detection_metrics",
            "looks_swapped",
            "rank_auc",
            "threshold_at_fpr",
            "too_few_real",
            "wilson_interval",
        ],
        "selective": ["risk_and_coverage", "uncertainty"],
    },
)
