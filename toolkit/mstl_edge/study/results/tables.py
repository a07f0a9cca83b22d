"""Rows of a study's tables: one arm in one scheme over all folds, and what going from one to another did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from mstl_edge.schemas.study import ArmResult, Comparison, FoldScores, RepeatMcNemar
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge.study.predictions import FoldAnswers
from mstl_edge.study.results.classes import (
    class_results,
    confusion_of,
    float_agreement,
    fold_macro_f1,
    pooled_macro_f1,
)
from mstl_edge.study.results.contenders import Contender
from mstl_edge.study.results.statistics import (
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
        labels: The classes in the order of their numbers.
        positive: Number of the class that sensitivity speaks of; None with more than two classes.
    """

    plan: StudyPlan
    labels: tuple[str, ...]
    positive: int | None

    def entry(self, contender: Contender, floating: Contender | None = None, *, images: int = 0) -> ArmResult:
        """Return one arm in one scheme, measured over folds.

        Args:
            contender: The arm.
            floating: The same arm in float32, where `contender` is quantized.
            images: Size of the part of a training part that was used; 0 for all.
        """
        pooled = contender.pooled(self.plan.repeats)
        by_fold = [_measured(answers, self.positive) for answers in contender.answers]
        intervals = {
            name: self._interval(contender, name, np.array([fold[name] for fold in by_fold]), pooled[0])
            for name in by_fold[0]
        }
        calibration = _calibration_error(pooled)
        alike = () if floating is None else float_agreement(floating.pooled(self.plan.repeats)[0], pooled[0])
        return ArmResult(
            images=images,
            name=contender.name,
            scheme=contender.scheme,
            n=len(pooled[0].images),
            **intervals,
            classes=class_results(contender, pooled, self.labels),
            calibration_error=calibration,
            pooled_calibration_error=calibration,
            float_agreement=alike,
            confusion=tuple(map(tuple, confusion_of(contender.answers).tolist())),
            per_fold=tuple(self._fold(number, row, contender) for number, row in enumerate(by_fold)),
        )

    def _fold(self, number: int, measured: dict[str, float], contender: Contender) -> FoldScores:
        repeat, fold = divmod(number, self.plan.folds)
        answers = contender.answers[number]
        decision = answers.decision
        return FoldScores(
            repeat=repeat + 1,
            fold=fold + 1,
            n=len(answers.images),
            **measured,
            threshold=decision.threshold,
            temperature=decision.temperature,
            epoch=answers.epoch,
        )

    def _interval(self, contender: Contender, name: str, values: NDArray[Any], pooled: FoldAnswers) -> Interval:
        """Return the corrected resampled t interval, or one from the number of images where no fold differs from another."""
        found = resampled_interval(values, contender.test_to_train, highest=math.inf if name == "log_loss" else 1.0)
        if found is not None:
            return found
        value = float(values[0])
        if name == "macro_f1":
            return pooled_macro_f1(pooled)
        if name == "log_loss":
            return Interval(value, value, value)
        positives = int((pooled.classes == self.positive).sum())
        negatives = len(pooled.classes) - positives
        if name == "auc":
            return auc_interval(value, positives, negatives)
        n = {"accuracy": positives + negatives, "sensitivity": positives, "specificity": negatives}[name]
        return wilson(round(value * n), n)

    def comparison(self, a: Contender, b: Contender, *, images: int = 0, primary: bool = False) -> Comparison:
        """Return what going from `a` to `b` did to accuracy, on the same images in the same folds.

        Args:
            a: The one.
            b: The other.
            images: See `entry`.
            primary: Whether it is the question of the study.
        """
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
        n = len(by_repeat[0][0].images)
        discordant = float(np.mean([(one.a_only + one.b_only) / n for one in exact]))
        needed, verdict = images_needed(test.difference, discordant), judge(test.low, test.high)
        return Comparison(
            images=images,
            primary=primary,
            a=a.title,
            b=b.title,
            difference=test.difference,
            low=test.low,
            high=test.high,
            p=test.p,
            verdict=verdict,
            words=in_words(verdict, a.title, b.title, test, n, needed),
            n=n,
            method=method,
            discordant=discordant,
            images_needed=needed,
            mcnemar=tuple(
                RepeatMcNemar(repeat=number, a_only=one.a_only, b_only=one.b_only, p=one.p)
                for number, one in enumerate(exact, start=1)
            ),
        )


def _calibration_error(pooled: Sequence[FoldAnswers]) -> Interval:
    """Return the error over all images of a repeat, averaged over repeats: a fold's few images would bias it upwards."""

    def measure(positions: NDArray[np.int64]) -> float:
        errors = [expected_calibration_error(one.classes[positions], one.probabilities[positions]) for one in pooled]
        return float(np.mean(errors))

    return bootstrap_interval(measure, len(pooled[0].images))


def _measured(answers: FoldAnswers, positive: int | None) -> dict[str, float]:
    """Return one fold's values by the names of `FoldScores`; those of a positive class only where there is one."""
    found = {"accuracy": float(answers.correct.mean()), "macro_f1": fold_macro_f1(answers)}
    if positive is not None:
        is_positive = answers.classes == positive
        found["sensitivity"] = float((answers.answers[is_positive] == positive).mean())
        found["specificity"] = float((answers.answers[~is_positive] != positive).mean())
        found["auc"] = roc_auc(np.asarray(is_positive), answers.probabilities[:, positive])
    return {**found, "log_loss": _log_loss(answers)}


def _log_loss(answers: FoldAnswers) -> float:
    """Return the mean −ln of the true class's probability, in nats."""
    of_truth = answers.probabilities[np.arange(len(answers.classes)), answers.classes]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())
