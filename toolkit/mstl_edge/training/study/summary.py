"""Saved answers → the tables of a study. Needs no TensorFlow: anyone who has the answers can recompute them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
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
from mstl_edge.training.study.folder import StudyFolder
from mstl_edge.training.study.folds import EVERYTHING
from mstl_edge.training.study.plan import Scheme, StudyPlan
from mstl_edge.training.study.predictions import FoldAnswers, read_answers
from mstl_edge.training.study.statistics import (
    PairedTest,
    images_needed,
    in_words,
    judge,
    resampled_interval,
    resampled_paired_test,
)

STUDY_SCHEMA = "mstl-edge/study/1"


@dataclass(frozen=True)
class Contender:
    """An arm in one scheme, with its answers in every fold.

    Attributes:
        name: The arm.
        scheme: How its files are quantized.
        answers: One per repeat and fold, repeats one after the other.
    """

    name: str
    scheme: Scheme
    answers: tuple[FoldAnswers, ...]

    @property
    def title(self) -> str:
        """What comparisons call it."""
        return f"{self.name}/{self.scheme}"

    def pooled(self, repeats: int) -> list[FoldAnswers]:
        """Return the answers of each repeat, all folds together: every image once."""
        folds = len(self.answers) // repeats
        return [_pooled(self.answers[start : start + folds]) for start in range(0, len(self.answers), folds)]


def _pooled(folds: Sequence[FoldAnswers]) -> FoldAnswers:
    order = np.argsort([image for fold in folds for image in fold.images])
    classes, answers, probabilities = (
        np.concatenate([getattr(fold, name) for fold in folds])[order]
        for name in ("classes", "answers", "probabilities")
    )
    images = tuple(sorted(image for fold in folds for image in fold.images))
    return FoldAnswers(images, classes, answers, probabilities, folds[0].decision, folds[0].epoch)


def summarize(study: StudyFolder) -> dict[str, Any]:
    """Return the tree of `study.json`.

    Raises:
        RunError: The answers of a fold are missing or damaged.
    """
    plan, manifest = study.plan(), study.manifest()
    positive = _positive(plan, manifest.labels)
    table = Table(plan, positive)
    whole = contenders(study, EVERYTHING)
    rule = (
        f"sensitivity of at least {plan.sensitivity:g}"
        if plan.sensitivity
        else "Youden, where its gain is above two standard errors; otherwise 0.5"
    )
    return {
        "schema": STUDY_SCHEMA,
        "recipe": plan.recipe.name,
        "n": len(manifest.rows),
        "labels": list(manifest.labels),
        "positive": manifest.labels[positive],
        "patients_known": manifest.patients_known,
        "folds": plan.folds,
        "repeats": plan.repeats,
        "fold_seed": plan.fold_seed,
        "threshold_rule": rule,
        "interval": "95 %, corrected resampled t (Nadeau and Bengio 2003)",
        "arms": [table.entry(contender) for contender in whole],
        "comparisons": [table.comparison(a, b) for a, b in _pairs(whole)],
        "learning_curve": _learning_curve(study, table, whole, len(manifest.rows)),
    }


def _positive(plan: StudyPlan, labels: tuple[str, ...]) -> int:
    folded = [label.casefold() for label in labels]
    return folded.index(plan.target.positive.casefold()) if plan.target.positive else len(labels) - 1


def contenders(study: StudyFolder, images: int) -> list[Contender]:
    """Return every arm in every scheme it was judged in; on subsets of the training parts that is float32 alone.

    Raises:
        RunError: The answers of a fold are missing or damaged.
    """
    plan, labels = study.plan(), study.manifest().labels
    places = [(repeat, fold) for repeat in range(1, plan.repeats + 1) for fold in range(1, plan.folds + 1)]
    return [
        Contender(
            arm.name,
            scheme,
            tuple(read_answers(study.answers(arm.name, scheme, *place, images), labels) for place in places),
        )
        for arm in plan.arms
        for scheme in (arm.schemes if images == EVERYTHING else ("float32",))
    ]


def _pairs(whole: Sequence[Contender]) -> Iterator[tuple[Contender, Contender]]:
    """Yield arms in one scheme, then schemes of one arm: other pairs differ in two things at once."""
    for shared in ("scheme", "name"):
        for a, b in combinations(whole, 2):
            if getattr(a, shared) == getattr(b, shared):
                yield a, b


def _learning_curve(study: StudyFolder, table: Table, whole: Sequence[Contender], n: int) -> dict[str, Any]:
    """Return arms and comparisons for each number of images that a fold trains and validates on."""
    plan = study.plan()
    if not plan.learning_curve:
        return {"arms": [], "comparisons": []}
    full = round(n * (plan.folds - 1) / plan.folds)
    points = [(images, contenders(study, images)) for images in plan.learning_curve]
    points.append((full, [contender for contender in whole if contender.scheme == "float32"]))
    return {
        "arms": [{"images": images, **table.entry(one)} for images, several in points for one in several],
        "comparisons": [
            {"images": images, **table.comparison(a, b)} for images, several in points for a, b in _pairs(several)
        ],
    }


@dataclass(frozen=True)
class Table:
    """Makes the rows of the tables.

    Attributes:
        plan: Folds and repeats.
        positive: Number of the class that sensitivity speaks of.
    """

    plan: StudyPlan
    positive: int

    @property
    def _test_to_train(self) -> float:
        """Test images over images of the training part that a fold was drawn from, also for subsets of that part."""
        return 1 / (self.plan.folds - 1)

    def entry(self, contender: Contender) -> dict[str, Any]:
        """Return one arm in one scheme, measured over folds."""
        pooled = contender.pooled(self.plan.repeats)
        by_fold = [_measured(answers, self.positive) for answers in contender.answers]
        intervals = {
            name: self._interval(name, np.array([fold[name] for fold in by_fold]), pooled[0]) for name in by_fold[0]
        }
        classes = pooled[0].probabilities.shape[1]
        confusion = np.zeros((classes, classes), dtype=np.int64)
        for answers in contender.answers:
            np.add.at(confusion, (answers.classes, answers.answers), 1)
        calibration = [expected_calibration_error(answers.classes, answers.probabilities) for answers in pooled]
        return {
            "name": contender.name,
            "scheme": contender.scheme,
            "n": len(pooled[0].images),
            **{name: msgspec.to_builtins(interval) for name, interval in intervals.items()},
            "pooled_calibration_error": float(np.mean(calibration)),
            "confusion": confusion.tolist(),
            "per_fold": [self._fold(number, row, contender) for number, row in enumerate(by_fold)],
        }

    def _fold(self, number: int, measured: dict[str, float], contender: Contender) -> dict[str, Any]:
        repeat, fold = divmod(number, self.plan.folds)
        answers = contender.answers[number]
        decision = answers.decision
        fitted = {"threshold": decision.threshold, "temperature": decision.temperature, "epoch": answers.epoch}
        return {"repeat": repeat + 1, "fold": fold + 1, "n": len(answers.images), **measured, **fitted}

    def _interval(self, name: str, values: NDArray[Any], pooled: FoldAnswers) -> Interval:
        """Return the corrected resampled t interval, or one from the number of images where no fold differs from another."""
        found = resampled_interval(values, self._test_to_train)
        if found is not None:
            return found
        value = float(values[0])
        positives = int((pooled.classes == self.positive).sum())
        negatives = len(pooled.classes) - positives
        if name == "auc":
            return auc_interval(value, positives, negatives)
        if name == "calibration_error":
            return Interval(value, value, value)
        n = {"accuracy": positives + negatives, "sensitivity": positives, "specificity": negatives}[name]
        return wilson(round(value * n), n)

    def comparison(self, a: Contender, b: Contender) -> dict[str, Any]:
        """Return what going from `a` to `b` did to accuracy, on the same images in the same folds."""
        accuracies = [np.array([fold.correct.mean() for fold in one.answers]) for one in (a, b)]
        by_repeat = list(zip(a.pooled(self.plan.repeats), b.pooled(self.plan.repeats), strict=True))
        exact = [mcnemar_exact(first.correct, second.correct) for first, second in by_repeat]
        test = resampled_paired_test(accuracies[1] - accuracies[0], self._test_to_train)
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


def _measured(answers: FoldAnswers, positive: int) -> dict[str, float]:
    is_positive = answers.classes == positive
    return {
        "accuracy": float(answers.correct.mean()),
        "sensitivity": float((answers.answers[is_positive] == positive).mean()),
        "specificity": float((answers.answers[~is_positive] != positive).mean()),
        "auc": roc_auc(np.asarray(is_positive), answers.probabilities[:, positive]),
        "calibration_error": expected_calibration_error(answers.classes, answers.probabilities),
    }
