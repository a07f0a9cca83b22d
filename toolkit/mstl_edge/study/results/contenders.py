"""Who is compared: every arm in every scheme it was judged in, with its saved answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mstl_edge.schemas.study_plan import Scheme
from mstl_edge.study.folder import StudyFolder
from mstl_edge.study.folds import EVERYTHING
from mstl_edge.study.predictions import FoldAnswers, read_answers


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

    @property
    def test_to_train(self) -> float:
        """Images that a fold tests over all others, both as means over folds, whatever part of the others it trains on."""
        n = len({image for fold in self.answers for image in fold.images})
        tested = sum(len(fold.images) for fold in self.answers)
        return tested / (n * len(self.answers) - tested)

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


def contenders(study: StudyFolder, images: int) -> list[Contender]:
    """Return every arm in every scheme it was judged in; on subsets of the training parts that is float32 alone.

    Raises:
        RunError: The answers of a fold are missing or damaged.
    """
    plan, labels = study.plan(), study.manifest().labels
    return [
        Contender(
            arm.name,
            scheme,
            tuple(read_answers(study.answers(arm.name, scheme, *place, images), labels) for place in plan.places),
        )
        for arm in plan.arms
        for scheme in (arm.schemes if images == EVERYTHING else ("float32",))
    ]


def pairs(whole: Sequence[Contender], against: str = "") -> Iterator[tuple[Contender, Contender]]:
    """Yield arms in one scheme, then schemes of one arm: other pairs differ in two things at once.

    Args:
        whole: All contenders.
        against: The arm that every pair of arms holds; empty yields all pairs.
    """
    first = sorted(whole, key=lambda one: one.name != against)
    for a, b in combinations(first, 2):
        if a.scheme == b.scheme and against in ("", a.name):
            yield a, b
    for a, b in combinations(whole, 2):
        if a.name == b.name:
            yield a, b
