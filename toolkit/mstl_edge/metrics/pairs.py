"""Two models on the same images: exact McNemar, agreement, and the difference in accuracy with its interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics.classification import decide
from mstl_edge.metrics.intervals import Interval, wilson


class McNemar(Struct, frozen=True):
    """Images that only one of two models got right, and how likely so uneven a split is by chance (two-sided)."""

    a_only: int
    b_only: int
    p: float


class ClassAgreement(Struct, frozen=True):
    """Of `n` images that the first model labels alike, the share that the second labels so too; None without such images."""

    n: int
    agreement: Interval | None


class Agreement(Struct, frozen=True):
    """How far two models' answers to the same images are apart; differences are in probability, over all classes.

    `by_class` holds an entry per class that the first model, which is the float one, may answer, in the order of the labels;
    it is empty in what an older version wrote.
    """

    n: int
    agreement: Interval
    largest_difference: float
    mean_difference: float
    by_class: tuple[ClassAgreement, ...] = ()


def mcnemar_exact(a_correct: NDArray[np.bool_], b_correct: NDArray[np.bool_]) -> McNemar:
    """Compare two models on the same images by the exact (binomial) McNemar test.

    Args:
        a_correct: `(n,)` whether model a was right.
        b_correct: `(n,)` whether model b was right, on the same images in the same order.
    """
    a_only, b_only = _discordant(a_correct, b_correct)
    total = a_only + b_only
    tail = sum(math.comb(total, k) for k in range(min(a_only, b_only) + 1))
    # Python's integers divide exactly, so that a thousand disagreements underflow nowhere.
    return McNemar(a_only, b_only, min(1.0, 2 * tail / 2**total))


def paired_agreement(
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    positive: int | None = None,
    thresholds: tuple[float | None, float | None] = (0.5, 0.5),
) -> Agreement:
    """Return how often two models decide alike, and how far their probabilities are apart.

    Args:
        a: `(n, classes)` probabilities of the first model, by whose answers the classes are told apart: the float one.
        b: `(n, classes)` of the second, same images in the same order.
        positive: See `metrics.decide`.
        thresholds: The decision threshold of each.

    Raises:
        MstlEdgeError: No images, or shapes that differ.
    """
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0:
        raise MstlEdgeError("answers of two models to the same images", received=f"{a.shape} and {b.shape}")
    first, second = (
        decide(rows, positive=positive, threshold=threshold) for rows, threshold in zip((a, b), thresholds, strict=True)
    )
    alike = first == second
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return Agreement(
        len(a),
        wilson(int(alike.sum()), len(a)),
        float(difference.max()),
        float(difference.mean()),
        class_agreement(first, second, a.shape[1]),
    )


def class_agreement(first: NDArray[np.int64], second: NDArray[np.int64], classes: int) -> tuple[ClassAgreement, ...]:
    """Return, for each class that the first model answers, how often the second answers it too.

    Args:
        first: `(n,)` class numbers.
        second: `(n,)` class numbers, same images in the same order.
        classes: How many there are.
    """
    found = []
    for number in range(classes):
        answered = first == number
        n = int(answered.sum())
        found.append(ClassAgreement(n, wilson(int((second[answered] == number).sum()), n) if n else None))
    return tuple(found)


def paired_difference(a_correct: NDArray[np.bool_], b_correct: NDArray[np.bool_]) -> Interval:
    """Return accuracy of a minus accuracy of b with the interval of Newcombe (1998, paired data, method 10).

    Args:
        a_correct: `(n,)` whether model a was right.
        b_correct: `(n,)` whether model b was right, on the same images in the same order.
    """
    a_only, b_only = _discordant(a_correct, b_correct)
    n = len(a_correct)
    both = int((a_correct & b_correct).sum())
    neither = n - both - a_only - b_only
    first, second = wilson(both + a_only, n), wilson(both + b_only, n)
    phi = _phi(both, a_only, b_only, neither)
    difference = first.value - second.value
    below = _hypotenuse(first.value - first.low, second.high - second.value, phi)
    above = _hypotenuse(first.high - first.value, second.value - second.low, phi)
    return Interval(difference, difference - below, difference + above)


def _hypotenuse(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _phi(both: int, a_only: int, b_only: int, neither: int) -> float:
    """Return the correlation of two correctness vectors, with Newcombe's continuity correction."""
    margins = (both + a_only) * (b_only + neither) * (both + b_only) * (a_only + neither)
    if margins == 0:
        return 0.0
    product = float(both * neither - a_only * b_only)
    if product > 0:
        product = max(product - (both + a_only + b_only + neither) / 2, 0.0)
    return product / math.sqrt(margins)


def _discordant(a_correct: NDArray[np.bool_], b_correct: NDArray[np.bool_]) -> tuple[int, int]:
    if a_correct.shape != b_correct.shape or a_correct.ndim != 1 or len(a_correct) == 0:
        raise MstlEdgeError("two models on the same images", received=f"{a_correct.shape} and {b_correct.shape}")
    a_right, b_right = a_correct.astype(bool), b_correct.astype(bool)
    return int((a_right & ~b_right).sum()), int((~a_right & b_right).sum())
