"""Intervals and tests for repeated cross-validation, whose folds share training images and so are not independent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from mstl_edge import bounded
from mstl_edge.metrics import Interval

Verdict = Literal["helped", "hurt", "cannot tell"]
LEVEL = 0.95
POWER = 0.8
DRAWS = 2000
"""Of a bootstrap; its bounds move by a few per cent of the interval with another seed."""
DRAW_SEED = 0


class PairedTest(Struct, frozen=True):
    """A mean difference over folds with its 95 % interval, and the two-sided p of no difference."""

    difference: float
    low: float
    high: float
    p: float


def resampled_interval(values: NDArray[Any], test_to_train: float, *, highest: float = 1.0) -> Interval | None:
    """Return the mean over folds with the corrected resampled t interval.

    Nadeau and Bengio 2003 (Machine Learning 52:239, section 3): folds are correlated, so the variance of the mean over J of them
    is not s²/J; it is estimated by (1/J + ρ/(1 − ρ)) s². Their ρ is the correlation of two splits that comes from images which
    both test, n_test/n of all n images. With every other image to train on, ρ/(1 − ρ) is the well-known n_test/n_train. A fold
    that trains on a subset tests as many images and shares fewer to train on, so ρ stays: n_train of the subset in that formula
    would give intervals of 95 % that always hold.

    The bounds are cut off at 0 and at the highest possible value.

    Args:
        values: One share per fold and repeat, at least two.
        test_to_train: ρ/(1 − ρ): number of images that a fold tests over number of all others.
        highest: What a value can be at most.

    Returns:
        None where all values are equal: no spread, no t interval.
    """
    spread = _standard_error(values, test_to_train)
    if spread == 0.0:
        return None
    mean, reach = float(np.mean(values)), float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread
    return Interval(mean, max(0.0, mean - reach), min(highest, mean + reach))


def bootstrap_interval(measure: Callable[[NDArray[np.int64]], float], n: int) -> Interval:
    """Return what `measure` says of `n` images, with the percentile interval of a seeded bootstrap over them.

    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. A measure that grows with noise, such as a
    calibration error, is larger on redrawn images than on the images themselves; where that puts a bound beyond the value, the
    value is the bound.

    Args:
        measure: Takes `(n,)` positions of images, drawn with replacement.
        n: Number of images.
    """
    rng, value = np.random.default_rng(DRAW_SEED), measure(np.arange(n))
    drawn = [measure(rng.integers(n, size=n)) for _ in range(DRAWS)]
    low, high = (float(bound) for bound in np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Interval(value, min(low, value), max(high, value))


def resampled_paired_test(differences: NDArray[Any], test_to_train: float) -> PairedTest | None:
    """Return the corrected resampled paired t-test (Nadeau and Bengio 2003; see `resampled_interval`).

    Args:
        differences: One difference of shares per fold and repeat: both arms on the same images.
        test_to_train: ρ/(1 − ρ): number of images that a fold tests over number of all others.

    Returns:
        None where all differences are equal: no spread, no t-test.
    """
    spread = _standard_error(differences, test_to_train)
    if spread == 0.0:
        return None
    mean, freedom = float(np.mean(differences)), len(differences) - 1
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * spread
    p = float(2 * stats.t.sf(abs(mean) / spread, freedom))
    return PairedTest(mean, max(-1.0, mean - reach), min(1.0, mean + reach), p)


def _standard_error(values: NDArray[Any], test_to_train: float) -> float:
    if np.ptp(values) < 1e-12:
        return 0.0
    return math.sqrt((1 / len(values) + test_to_train) * float(np.var(values, ddof=1)))


def judge(low: float, high: float) -> Verdict:
    """Return what the interval of a difference allows to say."""
    return "helped" if low > 0 else "hurt" if high < 0 else "cannot tell"


def images_needed(difference: float, discordant: float) -> int | None:
    """Return how many paired images would show a difference of this size at 5 % with 80 % power.

    Connor 1987 (Biometrics 43:207), for McNemar's test: n = (z₀.₉₇₅ √ψ + z₀.₈ √(ψ − δ²))² / δ².

    Args:
        difference: δ, difference of the two accuracies.
        discordant: ψ, share of images that only one of the two gets right; at least |δ|.

    Returns:
        None where there is no difference to show.
    """
    if abs(difference) < 1e-12:
        return None
    discordant = max(discordant, abs(difference))
    z_level, z_power = float(stats.norm.ppf((1 + LEVEL) / 2)), float(stats.norm.ppf(POWER))
    reach = z_level * math.sqrt(discordant) + z_power * math.sqrt(max(discordant - difference**2, 0.0))
    return math.ceil((reach / difference) ** 2)


def in_words(verdict: Verdict, a: str, b: str, test: PairedTest, images: int, needed: int | None) -> str:
    """Return the verdict on going from `a` to `b` as a sentence."""
    points = bounded.points(test.difference, test.low, test.high)
    if verdict != "cannot tell":
        return f"{b} {verdict} against {a}: {points}"
    if needed is None:
        return f"cannot tell with n = {images:,}: no difference was seen ({points})"
    if needed <= images:
        return f"cannot tell with n = {images:,}: {points}; the folds differ more than the images alone explain"
    return f"cannot tell with n = {images:,}: {points}; to show a difference of this size takes about {needed:,} images"
