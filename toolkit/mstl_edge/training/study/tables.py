"""Rows of a study's tables: one arm in one scheme over all folds, and what going from one to another did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import (
    Interval,
    auc_interval,
    expected_calibration_error,
    mcnemar_exact,
    paired_difference,
    roc_auc,
    wilson,
)
from mstl_edge.training.study.contenders import Contender
from mstl_edge.training.study.plan import StudyPlan
from mstl_edge.training.study.predictions import FoldAnswers
from mstl_edge.training.study.statistics import (
    PairedTest,
    bootstrap_interval,
    images_needed,
    in_words,
    judge,
    resampled_interval,
    resampled_paired_test,
)

LEAST_PROBABILITY = 1 / 512
"""Half a step of an int8 output, whose 0 stands for anything up to it: the least that a log-loss takes, in every scheme."""


@dataclass(frozen=True)
class Table:
    """Makes the rows of the tables.

    Attributes:
        plan: Folds and repeats.
        positive: Number of the class that sensitivity speaks of.
    """

    plan: StudyPlan
    positive: int

    def entry(self, contender: Contender) -> dict[str, Any]:
        """Return one arm in one scheme, measured over folds."""
        pooled = contender.pooled(self.plan.repeats)
        by_fold = [_measured(answers, self.positive) for answers in contender.answers]
        intervals = {
            name: self._interval(contender, name, np.array([fold[name] for fold in by_fold]), pooled[0])
            for name in by_fold[0]
        }
        intervals["calibration_error"] = intervals["pooled_calibration_error"] = _calibration_error(pooled)
        classes = pooled[0].probabilities.shape[1]
        confusion = np.zeros((classes, classes), dtype=np.int64)
        for answers in contender.answers:
            np.add.at(confusion, (answers.classes, answers.answers), 1)
        return {
            "name": contender.name,
            "scheme": contender.scheme,
            "n": len(pooled[0].images),
            **{name: msgspec.to_builtins(interval) for name, interval in intervals.items()},
            "confusion": confusion.tolist(),
            "per_fold": [self._fold(number, row, contender) for number, row in enumerate(by_fold)],
        }

    def _fold(self, number: int, measured: dict[str, float], contender: Contender) -> dict[str, Any]:
        repeat, fold = divmod(number, self.plan.folds)
        answers = contender.answers[number]
        decision = answers.decision
        fitted = {"threshold": decision.threshold, "temperature": decision.temperature, "epoch": answers.epoch}
        return {"repeat": repeat + 1, "fold": fold + 1, "n": len(answers.images), **measured, **fitted}

    def _interval(self, contender: Contender, name: str, values: NDArray[Any], pooled: FoldAnswers) -> Interval:
        """Return the corrected resampled t interval, or one from the number of images where no fold differs from another."""
        found = resampled_interval(values, contender.test_to_train, highest=math.inf if name == "log_loss" else 1.0)
        if found is not None:
            return found
        value = float(values[0])
        positives = int((pooled.classes == self.positive).sum())
        negatives = len(pooled.classes) - positives
        if name == "auc":
            return auc_interval(value, positives, negatives)
        if name == "log_loss":
            return Interval(value, value, value)
        n = {"accuracy": positives + negatives, "sensitivity": positives, "specificity": negatives}[name]
        return wilson(round(value * n), n)

    def comparison(self, a: Contender, b: Contender) -> dict[str, Any]:
        """Return what going from `a` to `b` did to accuracy, on the same images in the same folds."""
        accuracies = [np.array([fold.correct.mean() for fold in one.answers]) for one in (a, b)]
        by_repeat = list(zip(a.pooled(self.plan.repeats), b.pooled(self.plan.repeats), strict=True))
        exact = [mcnemar_exact(first.correct, second.correct) for first, second in by_repeat]
        test = resampled_paired_test(accuracies[1] - accuracies[0], a.test_to_train)
        method = "corrected resampled paired t"
        if test is None:
            method = "Newcombe on the images of repeat 1, since no fold differs from another"
            first, second = by_repeat[0]
            interval = paired_difference(second.correct, first.correct)
            test = PairedTest(interval.value, interval.low, interval.high, exact[0].p)
        images = len(by_repeat[0][0].images)
        discordant = float(np.mean([(one.a_only + one.b_only) / images for one in exact]))
        needed, verdict = images_needed(test.difference, discordant), judge(test.low, test.high)
        return {
            "a": a.title,
            "b": b.title,
            **msgspec.to_builtins(test),
            "verdict": verdict,
            "words": in_words(verdict, a.title, b.title, test, images, needed),
            "n": images,
            "method": method,
            "discordant": discordant,
            "images_needed": needed,
            "mcnemar": [{"repeat": number, **msgspec.to_builtins(one)} for number, one in enumerate(exact, start=1)],
        }


def _calibration_error(pooled: Sequence[FoldAnswers]) -> Interval:
    """Return the error over all images of a repeat, averaged over repeats: a fold's few images would bias it upwards."""

    def measure(positions: NDArray[np.int64]) -> float:
        errors = [expected_calibration_error(one.classes[positions], one.probabilities[positions]) for one in pooled]
        return float(np.mean(errors))

    return bootstrap_interval(measure, len(pooled[0].images))


def _measured(answers: FoldAnswers, positive: int) -> dict[str, float]:
    is_positive = answers.classes == positive
    return {
        "accuracy": float(answers.correct.mean()),
        "sensitivity": float((answers.answers[is_positive] == positive).mean()),
        "specificity": float((answers.answers[~is_positive] != positive).mean()),
        "auc": roc_auc(np.asarray(is_positive), answers.probabilities[:, positive]),
        "log_loss": _log_loss(answers),
    }


def _log_loss(answers: FoldAnswers) -> float:
    """Return the mean −ln of the true class's probability, in nats."""
    of_truth = answers.probabilities[np.arange(len(answers.classes)), answers.classes]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())
