"""Each class by itself: how much of it is found, how often its name is right, and it against all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.metrics.calibration import class_calibration_error
from mstl_edge.metrics.intervals import Interval, auc_interval, wilson


class ClassScores(Struct, frozen=True):
    """One class of several; intervals are Wilson's, that of the AUC Newcombe's.

    `n` counts its images. `recall` is the share of them that is answered so, None without images; `precision` the share of such
    answers that is right, None without answers; `auc` that of its probability, this class against all others, None without both.
    `calibration_error` is that of its probability (`metrics.class_calibration_error`), None where it was not measured.
    """

    n: int
    recall: Interval | None
    precision: Interval | None
    auc: Interval | None = None
    calibration_error: float | None = None


def class_scores(
    labels: NDArray[Any], probabilities: NDArray[Any], confusion: NDArray[np.int64], names: Sequence[str]
) -> dict[str, ClassScores]:
    """Return every class's scores by its name.

    Args:
        labels: `(n,)` class indices.
        probabilities: `(n, classes)`.
        confusion: `[truth][answer]` counts images.
        names: Of the classes.
    """
    found = {}
    for number, (name, counted) in enumerate(counted_scores(confusion, names).items()):
        is_class = labels == number
        others = len(labels) - counted.n
        area = roc_auc(is_class, probabilities[:, number]) if counted.n and others else None
        found[name] = ClassScores(
            counted.n,
            counted.recall,
            counted.precision,
            auc_interval(area, counted.n, others) if area is not None else None,
            class_calibration_error(is_class, probabilities[:, number]),
        )
    return found


def counted_scores(
    confusion: Sequence[Sequence[int]] | NDArray[np.int64], names: Sequence[str]
) -> dict[str, ClassScores]:
    """Return what the confusion matrix alone says of every class: recall and precision."""
    counts = np.asarray(confusion, dtype=np.int64)
    scores = {}
    for number, name in enumerate(names):
        right, true, given = int(counts[number, number]), int(counts[number].sum()), int(counts[:, number].sum())
        scores[name] = ClassScores(true, wilson(right, true) if true else None, wilson(right, given) if given else None)
    return scores


def roc_auc(is_positive: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Return the area under the ROC curve: the share of (positive, negative) pairs in the right order, ties half.

    Args:
        is_positive: `(n,)`, with at least one of each.
        scores: `(n,)`, higher for positive.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2
    positives = int(is_positive.sum())
    rank_sum = float(middle_rank[place][is_positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (len(scores) - positives))
