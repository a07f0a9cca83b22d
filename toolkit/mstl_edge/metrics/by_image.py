"""What a set of images proves: one-sided bounds on agreement and on a drop in accuracy, in which all views of one image are one.

Views of an image are no images of their own. An image that was answered in several views counts once, with the share of its
views; such a share varies less than a yes or no does, so that the bounds stay on the safe side.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics.intervals import Z_95, Interval, wilson_of_share

Z_95_ONE_SIDED = 1.6448536269514722
"""The 95 % quantile of the normal distribution: of a bound that is stated alone, "at least" or "at most"."""
MOST_IMAGES = 100_000
"""Where more than these would be needed, no number is told."""


class Discordance(Struct, frozen=True):
    """Images (fractions of them, by their views) that only one of two models labels correctly, of `n`."""

    n: int
    a_only: float
    b_only: float


def mean_share(shares: NDArray[np.floating], z: float = Z_95) -> Interval:
    """Return the mean of per-image shares with a score interval (Wilson 1927) in which each image counts once.

    Args:
        shares: `(n,)` in [0, 1], such as the share of an image's views on which two models agree.
        z: Quantile of the normal distribution; two-sided 95 % unless said otherwise.

    Raises:
        MstlEdgeError: No images.
    """
    n = len(shares)
    if n == 0:
        raise MstlEdgeError("at least one image for an interval", received="none")
    return wilson_of_share(float(np.mean(shares)), n, z)


def at_least(shares: NDArray[np.floating]) -> float:
    """Return what the mean share is at least (one-sided, 95 %)."""
    return mean_share(shares, Z_95_ONE_SIDED).low


def discordance(a_correct: NDArray[np.bool_], b_correct: NDArray[np.bool_]) -> Discordance:
    """Count where only one of two models is right.

    Args:
        a_correct: `(n, views)` whether model a was right.
        b_correct: The same of model b.

    Raises:
        MstlEdgeError: No images, or shapes that differ.
    """
    if a_correct.shape != b_correct.shape or a_correct.ndim != 2 or a_correct.size == 0:
        raise MstlEdgeError(
            "two models on the same views (n, views)", received=f"{a_correct.shape} and {b_correct.shape}"
        )
    a_only = float((a_correct & ~b_correct).mean(axis=1).sum())
    b_only = float((~a_correct & b_correct).mean(axis=1).sum())
    return Discordance(len(a_correct), a_only, b_only)


def drop_interval(found: Discordance, z: float = Z_95) -> Interval:
    """Return accuracy of a minus accuracy of b with the score interval of Tango (1998, Statistics in Medicine 17:891).

    It stays honest where the two models hardly ever differ: without a discordant image the bound is z² / (n + z²), not 0.
    """
    difference = (found.a_only - found.b_only) / found.n
    high = _upper(found, z)
    low = -_upper(Discordance(found.n, found.b_only, found.a_only), z)
    return Interval(difference, low, high)


def drop_at_most(found: Discordance) -> float:
    """Return what the drop in accuracy is at most (one-sided, 95 %), as a share."""
    return drop_interval(found, Z_95_ONE_SIDED).high


def images_to_prove(found: Discordance, largest_drop: float) -> int | None:
    """Return how many images would prove a drop of at most `largest_drop`, were the models to differ as often as here.

    Returns:
        A number of images; None where the drop itself is not below the bound, or where it would take more than `MOST_IMAGES`.
    """

    def proves(n: int) -> bool:
        grown = Discordance(n, found.a_only * n / found.n, found.b_only * n / found.n)
        return drop_at_most(grown) <= largest_drop

    if not proves(MOST_IMAGES):
        return None
    enough, too_few = MOST_IMAGES, 1
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        enough, too_few = (middle, too_few) if proves(middle) else (enough, middle)
    return enough


def _upper(found: Discordance, z: float) -> float:
    """Find by bisection where the score statistic of a difference reaches −z."""
    inside, outside = (found.a_only - found.b_only) / found.n, 1.0
    for _ in range(60):
        middle = (inside + outside) / 2
        if _score(found, middle) >= -z:
            inside = middle
        else:
            outside = middle
    return inside


def _score(found: Discordance, difference: float) -> float:
    n, a_only, b_only = found.n, found.a_only, found.b_only
    linear = -a_only - b_only + (2 * n - a_only + b_only) * difference
    constant = -b_only * difference * (1 - difference)
    only_b = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * only_b + difference * (1 - difference))
    distance = a_only - b_only - n * difference
    if variance <= 0.0:
        return 0.0 if distance == 0.0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)
