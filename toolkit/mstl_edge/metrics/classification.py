"""What a set of answers is worth: accuracy, sensitivity, specificity, AUC, confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics.intervals import Interval, auc_interval, wilson


class ClassificationMetrics(Struct, frozen=True):
    """One set of answers, scored; `msgspec.to_builtins` gives the JSON of `metrics.json` and of the card.

    `sensitivity` and `auc` speak of the positive class against all others; they are None where the labels hold no
    such image, `specificity` where they hold nothing else. `confusion[truth][answer]` counts images.
    """

    n: int
    accuracy: Interval
    sensitivity: Interval | None
    specificity: Interval | None
    auc: Interval | None
    confusion: list[list[int]]
    threshold: float


def decide(probabilities: NDArray[Any], *, positive: int, threshold: float = 0.5) -> NDArray[np.int64]:
    """Return the class of each row: by the threshold on the positive class where there are two, the largest otherwise.

    Args:
        probabilities: `(n, classes)`.
        positive: Column of the positive class.
        threshold: Smallest probability of the positive class that counts as positive; two classes only.

    Returns:
        `(n,) int64`.
    """
    if probabilities.shape[1] == 2:
        is_positive = probabilities[:, positive] >= threshold
        return np.asarray(np.where(is_positive, positive, 1 - positive), dtype=np.int64)
    return np.asarray(np.argmax(probabilities, axis=1), dtype=np.int64)


def classification_metrics(
    labels: NDArray[Any], probabilities: NDArray[Any], *, positive: int, threshold: float = 0.5
) -> ClassificationMetrics:
    """Score `probabilities` against `labels`.

    Args:
        labels: `(n,)` class indices.
        probabilities: `(n, classes)`, rows as the model gives them.
        positive: Index of the class that sensitivity and AUC speak of.
        threshold: See `decide`.

    Raises:
        MstlEdgeError: No images, shapes that do not match, a label without a column, or a value that is no number.
    """
    _check(labels, probabilities, positive)
    answers = decide(probabilities, positive=positive, threshold=threshold)
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, answers), 1)
    is_positive = labels == positive
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    found = int((answers[is_positive] == positive).sum())
    left_alone = int((answers[~is_positive] != positive).sum())
    auc = roc_auc(is_positive, probabilities[:, positive]) if positives and negatives else None
    return ClassificationMetrics(
        n=len(labels),
        accuracy=wilson(int((answers == labels).sum()), len(labels)),
        sensitivity=wilson(found, positives) if positives else None,
        specificity=wilson(left_alone, negatives) if negatives else None,
        auc=auc_interval(auc, positives, negatives) if auc is not None else None,
        confusion=confusion.tolist(),
        threshold=threshold,
    )


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


def _check(labels: NDArray[Any], probabilities: NDArray[Any], positive: int) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or len(labels) == 0:
        raise MstlEdgeError(
            "labels (n,) and probabilities (n, classes) of at least one image",
            received=f"{labels.shape} and {probabilities.shape}",
        )
    classes = probabilities.shape[1]
    if classes < 2 or not 0 <= positive < classes or labels.min() < 0 or labels.max() >= classes:
        raise MstlEdgeError(
            f"labels and a positive class among the {classes} columns of the probabilities",
            received=f"labels {labels.min()} … {labels.max()}, positive {positive}",
        )
    if not np.isfinite(probabilities).all():
        raise MstlEdgeError(
            "probabilities that are numbers", received=f"{int((~np.isfinite(probabilities)).sum())} NaN or infinite"
        )
