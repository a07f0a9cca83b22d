"""Temperature, decision threshold and calibration error, fitted and measured on validation images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError

TEMPERATURE_RANGE = (0.05, 20.0)
_GOLDEN = (math.sqrt(5) - 1) / 2

STANDARD_ERRORS = 2.0
"""How many of its own standard errors a gain in sensitivity + specificity must exceed to move the threshold from 0.5."""


def softmax(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return `exp(logits / temperature)`, each row divided by its sum; `(n, classes) float64`."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the temperature whose softmax is the most likely one for `labels` (Guo et al. 2017).

    The targets are smoothed as Platt (1999) does, `(n_c + 1) / (n_c + classes)` for an image of class c, so that a
    small validation set that is separated perfectly doesn't ask for certainty. Golden section search over the
    logarithm of the temperature; the likelihood has one optimum, since it is concave in 1 / temperature.

    Args:
        logits: `(n, classes)` before the softmax.
        labels: `(n,)` class indices.

    Returns:
        A temperature inside `TEMPERATURE_RANGE`.

    Raises:
        MstlEdgeError: No images, or shapes that do not match.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise MstlEdgeError("logits (n, classes) and labels (n,)", received=f"{logits.shape} and {labels.shape}")
    targets = smoothed_targets(labels, logits.shape[1])

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, math.exp(log_temperature))
        return float(-(targets * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1).mean())

    low, high = (math.log(bound) for bound in TEMPERATURE_RANGE)
    return math.exp(_minimum(loss, low, high))


def smoothed_targets(labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return Platt's targets, `(n, classes)`; each row sums to 1."""
    counts = np.bincount(labels, minlength=classes)[labels].astype(np.float64)
    targets = np.repeat((1 / (counts + classes))[:, None], classes, axis=1)
    targets[np.arange(len(labels)), labels] = (counts + 1) / (counts + classes)
    return targets


def _minimum(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-6) -> float:
    """Golden section search for the minimum of a function with one valley."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > tolerance:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2


def choose_threshold(labels: NDArray[Any], p_positive: NDArray[Any]) -> float:
    """Return the decision threshold by Youden's rule (1950), where these images are enough to leave 0.5 for it.

    The rule maximizes sensitivity + specificity. On a few dozen images its maximum mostly follows chance, and calibrated
    probabilities have their natural threshold at 0.5: that is left only for a gain above `STANDARD_ERRORS` of its own.
    The candidates lie halfway between neighbouring probabilities, far from any image's own, so that a step of an int8
    output doesn't flip an answer; of equally good ones the nearest to 0.5 is taken.

    Args:
        labels: `(n,)`, true or 1 for the positive class.
        p_positive: `(n,)` probability of the positive class.

    Returns:
        A threshold in (0, 1); 0.5 where only one class is present.
    """
    positive = labels.astype(bool)
    if positive.all() or not positive.any():
        return 0.5
    levels = np.unique(p_positive.astype(np.float64))
    candidates = np.append((levels[1:] + levels[:-1]) / 2, 0.5)
    ordered_positive, ordered_negative = np.sort(p_positive[positive]), np.sort(p_positive[~positive])
    sensitivity = 1.0 - np.searchsorted(ordered_positive, candidates, side="left") / len(ordered_positive)
    specificity = np.searchsorted(ordered_negative, candidates, side="left") / len(ordered_negative)
    gain = (sensitivity - sensitivity[-1]) + (specificity - specificity[-1])
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    nearest = best[np.argmin(np.abs(candidates[best] - 0.5))]
    variance = sum(
        moved * (1.0 - moved) / n
        for moved, n in (
            (abs(sensitivity[nearest] - sensitivity[-1]), len(ordered_positive)),
            (abs(specificity[nearest] - specificity[-1]), len(ordered_negative)),
        )
    )
    if gain[nearest] <= STANDARD_ERRORS * math.sqrt(variance):
        return 0.5
    return float(np.clip(candidates[nearest], 1e-6, 1 - 1e-6))


def expected_calibration_error(labels: NDArray[Any], probabilities: NDArray[Any], bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over equal bins of confidence (Naeini et al. 2015).

    Args:
        labels: `(n,)` class indices.
        probabilities: `(n, classes)`.
        bins: Number of bins between 0 and 1.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def class_calibration_error(is_class: NDArray[np.bool_], probabilities: NDArray[Any], bins: int = 15) -> float:
    """Return the mean gap between one class's probability and its share, over equal bins of that probability.

    Kull et al. 2019 (arXiv:1910.12656, section 2): the part of the classwise calibration error that is this class's.

    Args:
        is_class: `(n,)` whether an image is of the class.
        probabilities: `(n,)` that were given to it.
        bins: Number of bins between 0 and 1.
    """
    given = probabilities.astype(np.float64)
    place = np.minimum((given * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=is_class.astype(np.float64) - given, minlength=bins)
    return float(np.abs(gaps).sum() / len(given))
