"""ROC and reliability: the points that are drawn, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import Interval, wilson

DRAWS = 1000
"""Bootstrap samples; the band's bounds then move by less than a line's width from seed to seed."""
SEED = 20201
_LEAST_PER_BIN = 8
_MOST_BINS = 10

Floats = NDArray[np.float64]


def roc_curve(is_positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates for every threshold, from (0, 0) to (1, 1).

    Images with the same score change sides together, so that ties give a slope and not a stair.

    Args:
        is_positive: `(n,)`, with at least one of each.
        scores: `(n,)`, higher for positive.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, truths = scores[order], is_positive[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found, wrong = np.cumsum(truths)[ends], np.cumsum(~truths)[ends]
    return np.append(0.0, wrong / wrong[-1]), np.append(0.0, found / found[-1])


def roc_band(
    is_positive: NDArray[np.bool_], scores: Floats, *, draws: int = DRAWS, seed: int = SEED
) -> tuple[Floats, Floats, Floats]:
    """Return a pointwise 95 % interval of the ROC curve by the bootstrap over images, each class by itself (percentiles).

    Args:
        is_positive: `(n,)`, with at least one of each.
        scores: `(n,)`, or `(n, repeats)` where images were answered several times: an image is drawn with all its answers.
        draws: Bootstrap samples.
        seed: Decides them.

    Returns:
        False positive rates of every possible count, and the bounds of the true positive rate there.
    """
    repeated = scores.reshape(len(scores), -1)
    positives, negatives = repeated[is_positive], repeated[~is_positive]
    rng = np.random.default_rng(seed)
    rates = np.empty((draws, negatives.size + 1))
    for draw in range(draws):
        found = np.sort(rng.choice(positives, len(positives)), axis=None)
        wrong = np.sort(rng.choice(negatives, len(negatives)), axis=None)[::-1]
        # With k false positives allowed, the threshold lies just above the (k + 1)-th highest negative.
        rates[draw, :-1] = 1 - np.searchsorted(found, wrong, side="right") / len(found)
    rates[:, -1] = 1.0
    low, high = np.quantile(rates, (0.025, 0.975), axis=0)
    return np.arange(negatives.size + 1) / negatives.size, low, high


def stairs(xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Return the corners of a line that keeps each y until the next x."""
    return np.repeat(xs, 2)[1:], np.repeat(ys, 2)[:-1]


@dataclass(frozen=True)
class Bin:
    """`n` answers of similar probability: the mean of it, and the share that came true."""

    probability: float
    observed: Interval
    n: int


def reliability(came_true: NDArray[np.bool_], probabilities: Floats, repeats: int = 1) -> list[Bin]:
    """Return bins of equal numbers of answers, at least 8 images' worth in each where there are that many.

    Args:
        came_true: `(n,)` whether the event happened.
        probabilities: `(n,)` the probability that was given to it.
        repeats: How often each image was answered; the intervals count an image once.
    """
    n = len(probabilities)
    bins = min(_MOST_BINS, max(1, n // (repeats * _LEAST_PER_BIN)))
    order = np.argsort(probabilities, kind="stable")
    return [_bin(came_true[part], probabilities[part], repeats) for part in np.array_split(order, bins)]


def _bin(came_true: NDArray[np.bool_], probabilities: Floats, repeats: int) -> Bin:
    share, images = float(came_true.mean()), max(1, round(len(came_true) / repeats))
    bounds = wilson(round(share * images), images)
    return Bin(float(probabilities.mean()), Interval(share, bounds.low, bounds.high), len(came_true))
