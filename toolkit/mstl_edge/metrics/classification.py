"""What a set of answers is worth: accuracy, sensitivity, specificity, AUC, each class by itself, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics.f1 import macro_f1
from mstl_edge.metrics.intervals import Interval, auc_interval, wilson
from mstl_edge.metrics.per_class import ClassScores, class_scores, roc_auc


class ClassificationMetrics(Struct, frozen=True):
    """One set of answers, scored; `msgspec.to_builtins` gives the JSON of `metrics.json` and of the card.

    `sensitivity`, `specificity`, `auc` and `threshold` speak of the positive class of two; they are None with more classes, and
    the first three where the labels hold no image for them. `confusion[truth][answer]` counts images. `classes` and `macro_f1`
    are there for any number of classes; empty and None only in what an older version wrote.
    """

    n: int
    accuracy: Interval
    sensitivity: Interval | None
    specificity: Interval | None
    auc: Interval | None
    confusion: list[list[int]]
    threshold: float | None = None
    macro_f1: Interval | None = None
    classes: dict[str, ClassScores] = {}


def decide(
    probabilities: NDArray[Any], *, positive: int | None = None, threshold: float | None = 0.5
) -> NDArray[np.int64]:
    """Return the class of each row: by the threshold on the positive class where there are two, the largest otherwise.

    Args:
        probabilities: `(n, classes)`.
        positive: Column of the positive class; two classes only, None takes the largest.
        threshold: Smallest probability of the positive class that counts as positive; None takes the largest.

    Returns:
        `(n,) int64`.
    """
    if probabilities.shape[1] == 2 and positive is not None and threshold is not None:
        is_positive = probabilities[:, positive] >= threshold
        return np.asarray(np.where(is_positive, positive, 1 - positive), dtype=np.int64)
    return np.asarray(np.argmax(probabilities, axis=1), dtype=np.int64)


def classification_metrics(
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    *,
    positive: int | None = None,
    threshold: float | None = 0.5,
    names: Sequence[str] = (),
) -> ClassificationMetrics:
    """Score `probabilities` against `labels`.

    Args:
        labels: `(n,)` class indices.
        probabilities: `(n, classes)`, rows as the model gives them.
        positive: Index of the class that sensitivity and AUC speak of; more than two classes have none, whatever is said here.
        threshold: See `decide`.
        names: Of the classes; their numbers where there are none.

    Raises:
        MstlEdgeError: No images, shapes or names that do not match, a label without a column, or a value that is no number.
    """
    classes = probabilities.shape[1] if probabilities.ndim == 2 else 0
    if classes != 2:
        positive = None
    names = tuple(names) or tuple(map(str, range(classes)))
    _check(labels, probabilities, positive, names)
    answers = decide(probabilities, positive=positive, threshold=threshold)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, answers), 1)
    sensitivity, specificity, auc = (
        (None, None, None) if positive is None else _of_two(labels, probabilities[:, positive], confusion, positive)
    )
    return ClassificationMetrics(
        n=len(labels),
        accuracy=wilson(int((answers == labels).sum()), len(labels)),
        sensitivity=sensitivity,
        specificity=specificity,
        auc=auc,
        confusion=confusion.tolist(),
        threshold=None if positive is None else threshold,
        macro_f1=macro_f1(confusion),
        classes=class_scores(labels, probabilities, confusion, names),
    )


def _of_two(
    labels: NDArray[Any], scores: NDArray[Any], confusion: NDArray[np.int64], positive: int
) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Return sensitivity, specificity and AUC of the positive class of two."""
    positives, negatives = int(confusion[positive].sum()), int(confusion[1 - positive].sum())
    auc = roc_auc(labels == positive, scores) if positives and negatives else None
    return (
        wilson(int(confusion[positive, positive]), positives) if positives else None,
        wilson(int(confusion[1 - positive, 1 - positive]), negatives) if negatives else None,
        auc_interval(auc, positives, negatives) if auc is not None else None,
    )


def _check(labels: NDArray[Any], probabilities: NDArray[Any], positive: int | None, names: Sequence[str]) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or len(labels) == 0:
        raise MstlEdgeError(
            "labels (n,) and probabilities (n, classes) of at least one image",
            received=f"{labels.shape} and {probabilities.shape}",
        )
    classes = probabilities.shape[1]
    inside = positive is None or 0 <= positive < classes
    if classes < 2 or not inside or labels.min() < 0 or labels.max() >= classes:
        raise MstlEdgeError(
            f"labels and a positive class among the {classes} columns of the probabilities",
            received=f"labels {labels.min()} … {labels.max()}, positive {positive}",
        )
    if len(set(names)) != classes:
        raise MstlEdgeError(f"different names for {classes} classes", received=", ".join(names))
    if not np.isfinite(probabilities).all():
        raise MstlEdgeError(
            "probabilities that are numbers", received=f"{int((~np.isfinite(probabilities)).sum())} NaN or infinite"
        )
