"""Accuracy, intervals, paired tests and calibration, in numpy alone: a device has neither scipy nor scikit-learn."""

from __future__ import annotations

from mstl_edge.metrics.calibration import (
    choose_threshold,
    class_calibration_error,
    expected_calibration_error,
    fit_temperature,
    softmax,
)
from mstl_edge.metrics.classification import ClassificationMetrics, classification_metrics, decide
from mstl_edge.metrics.f1 import macro_f1
from mstl_edge.metrics.intervals import Interval, auc_interval, wilson
from mstl_edge.metrics.pairs import (
    Agreement,
    ClassAgreement,
    McNemar,
    class_agreement,
    mcnemar_exact,
    paired_agreement,
    paired_difference,
)
from mstl_edge.metrics.per_class import ClassScores, counted_scores, roc_auc

__all__ = [
    "Agreement",
    "ClassAgreement",
    "ClassScores",
    "ClassificationMetrics",
    "Interval",
    "McNemar",
    "auc_interval",
    "choose_threshold",
    "class_agreement",
    "class_calibration_error",
    "classification_metrics",
    "counted_scores",
    "decide",
    "expected_calibration_error",
    "fit_temperature",
    "macro_f1",
    "mcnemar_exact",
    "paired_agreement",
    "paired_difference",
    "roc_auc",
    "softmax",
    "wilson",
]
