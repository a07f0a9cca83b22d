"""Each class of an arm by itself, measured over folds, and how often an int8 file answers it as the float model does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import (
    ClassAgreement,
    Interval,
    auc_interval,
    class_agreement,
    class_calibration_error,
    macro_f1,
    roc_auc,
    wilson,
)
from mstl_edge.schemas.study import ClassResult
from mstl_edge.study.predictions import FoldAnswers
from mstl_edge.study.results.contenders import Contender
from mstl_edge.study.results.statistics import bootstrap_interval, resampled_interval


def class_results(contender: Contender, pooled: Sequence[FoldAnswers], labels: Sequence[str]) -> dict[str, ClassResult]:
    """Return every class's result by its name.

    Args:
        contender: An arm in one scheme.
        pooled: Its answers of each repeat, all folds together.
        labels: The classes in the order of their numbers.
    """
    return {label: _result(contender, pooled, number) for number, label in enumerate(labels)}


def _result(contender: Contender, pooled: Sequence[FoldAnswers], number: int) -> ClassResult:
    first = pooled[0]
    true, given = int((first.classes == number).sum()), int((first.answers == number).sum())
    folds = contender.answers

    def over_folds(measure: Callable[[FoldAnswers, int], float | None], n: int) -> Interval | None:
        values = [value for value in (measure(fold, number) for fold in folds) if value is not None]
        if not values:
            return None
        found = resampled_interval(np.array(values), contender.test_to_train)
        return found or wilson(round(values[0] * max(n, 1)), max(n, 1))

    areas = np.array([value for value in (_area(fold, number) for fold in folds) if value is not None])
    auc = None
    if len(areas):
        auc = resampled_interval(areas, contender.test_to_train)
        auc = auc or auc_interval(float(areas[0]), true, len(first.classes) - true)
    return ClassResult(
        n=true,
        recall=over_folds(_recall, true),
        precision=over_folds(_precision, given),
        auc=auc,
        calibration_error=_calibration_error(pooled, number),
    )


def _recall(answers: FoldAnswers, number: int) -> float | None:
    true = answers.classes == number
    return float((answers.answers[true] == number).mean()) if true.any() else None


def _precision(answers: FoldAnswers, number: int) -> float | None:
    given = answers.answers == number
    return float((answers.classes[given] == number).mean()) if given.any() else None


def _area(answers: FoldAnswers, number: int) -> float | None:
    true = np.asarray(answers.classes == number)
    return roc_auc(true, answers.probabilities[:, number]) if true.any() and not true.all() else None


def _calibration_error(pooled: Sequence[FoldAnswers], number: int) -> Interval:
    """Return the error of the class's probability over the images of a repeat, averaged over repeats."""
    parts = [(one.classes == number, one.probabilities[:, number]) for one in pooled]

    def measure(positions: NDArray[np.int64]) -> float:
        return float(np.mean([class_calibration_error(true[positions], given[positions]) for true, given in parts]))

    return bootstrap_interval(measure, len(pooled[0].images))


def fold_macro_f1(answers: FoldAnswers) -> float:
    """Return the macro F1 of one fold."""
    return macro_f1(confusion_of([answers])).value


def pooled_macro_f1(pooled: FoldAnswers) -> Interval:
    """Return the macro F1 of a repeat, with the interval of its images."""
    return macro_f1(confusion_of([pooled]))


def confusion_of(several: Sequence[FoldAnswers]) -> NDArray[np.int64]:
    """Return all answers counted as `[truth][answer]`."""
    classes = several[0].probabilities.shape[1]
    counts = np.zeros((classes, classes), dtype=np.int64)
    for answers in several:
        np.add.at(counts, (answers.classes, answers.answers), 1)
    return counts


def float_agreement(floating: FoldAnswers, quantized: FoldAnswers) -> tuple[ClassAgreement, ...]:
    """Return, by the class that the float model answers, how often an int8 file answers it too; both of one repeat."""
    return class_agreement(floating.answers, quantized.answers, floating.probabilities.shape[1])
