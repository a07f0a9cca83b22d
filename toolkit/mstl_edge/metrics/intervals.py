"""95 % intervals that stay inside [0, 1] and stay honest at 0 and at 1."""

from __future__ import annotations

import math

from msgspec import Struct

from mstl_edge.errors import MstlEdgeError

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Interval(Struct, frozen=True):
    """A value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int) -> Interval:
    """Return the share `successes / n` with Wilson's score interval (Wilson 1927; Newcombe 1998, method 3).

    Raises:
        MstlEdgeError: `n` is not positive, or `successes` lies outside 0 … n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise MstlEdgeError("0 ≤ successes ≤ n and n ≥ 1 for an interval", received=f"{successes} of {n}")
    return wilson_of_share(successes / n, n)


def wilson_of_share(share: float, n: float, z: float = Z_95) -> Interval:
    """Return a share with Wilson's score interval for a number of images that need not be whole: an effective one."""
    square = z**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    # The exact bounds at 0 and 1 are 0 and 1; rounding would miss them by 1e-17.
    low = 0.0 if share == 0 else middle - half
    high = 1.0 if share == 1 else middle + half
    return Interval(share, low, high)


def auc_interval(auc: float, positives: int, negatives: int) -> Interval:
    """Return an area under the ROC curve with a score interval.

    Newcombe 2006 (Statistics in Medicine 25:559, method 5): the bounds are the areas θ for which
    |θ − auc| = z · √V(θ), with Hanley and McNeil's variance. Unlike DeLong's it does not shrink to a point
    when a small test set happens to be separated perfectly.

    Raises:
        MstlEdgeError: One of the two classes is empty.
    """
    if positives < 1 or negatives < 1:
        raise MstlEdgeError("images of both classes for an AUC", received=f"{positives} and {negatives}")
    low = _bound(auc, 0.0, positives, negatives)
    high = _bound(auc, 1.0, positives, negatives)
    return Interval(auc, low, high)


def _bound(auc: float, end: float, positives: int, negatives: int) -> float:
    """Find by bisection where the score statistic crosses z between `auc` and `end`."""
    inside, outside = auc, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(middle - auc) <= Z_95 * math.sqrt(_auc_variance(middle, positives, negatives)):
            inside = middle
        else:
            outside = middle
    return inside


def _auc_variance(area: float, positives: int, negatives: int) -> float:
    mean_count = (positives + negatives) / 2 - 1
    spread = 1 + mean_count * (1 - area) / (2 - area) + mean_count * area / (1 + area)
    return area * (1 - area) * spread / (positives * negatives)
