"""Accuracy, intervals, paired tests and calibration, in numpy alone: a device has neither scipy nor scikit-learn."""

from __future__ import annotations

from mstl_edge.metrics.calibration import (
    choose_threshold,
    expected_calibration_error,
    fit_temperature,
    softmax,
)
from mstl_edge.metrics.classification import ClassificationMetrics, classification_metrics, decide, roc_auc
from mstl_edge.metrics.intervals import Interval, auc_interval, wilson
from mstl_edge.metrics.pairs import (
    Agreement,
    McNemar,
    mcnemar_exact,
    paired_agreement,
    paired_difference,
)

__all__ = [
    "Agreement",
    "ClassificationMetrics",
    "Interval",
    "McNemar",
    "auc_interval",
    "choose_threshold",
    "classification_metrics",
    "decide",
    "expected_calibration_error",
    "fit_temperature",
    "mcnemar_exact",
    "paired_agreement",
    "paired_difference",
    "roc_auc",
    "softmax",
    "wilson",
]
