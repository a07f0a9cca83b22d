"""The decision of a fold: temperature and threshold, fitted on the validation part of its training part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import choose_threshold, fit_temperature, softmax


@dataclass(frozen=True)
class Decision:
    """How logits become an answer.

    Attributes:
        temperature: Divides the logits.
        threshold: Smallest probability of the positive class that counts as positive; None where there are more than two classes.
    """

    temperature: float
    threshold: float | None


def fit_decision(
    logits: NDArray[np.float32], classes: NDArray[np.int64], *, positive: int | None, sensitivity: float
) -> Decision:
    """Fit temperature and threshold.

    Args:
        logits: `(n, classes)` of validation images.
        classes: `(n,)` class numbers.
        positive: Number of the positive class; None with more than two classes.
        sensitivity: What the threshold must reach on these images; 0 takes Youden's rule instead.
    """
    temperature = fit_temperature(logits, classes)
    if positive is None or logits.shape[1] != 2:
        return Decision(temperature, None)
    p_positive = softmax(logits, temperature)[:, positive]
    rule = threshold_for_sensitivity(classes == positive, p_positive, sensitivity) if sensitivity else None
    return Decision(temperature, choose_threshold(classes == positive, p_positive) if rule is None else rule)


def threshold_for_sensitivity(
    is_positive: NDArray[np.bool_], p_positive: NDArray[np.float64], required: float
) -> float:
    """Return the highest threshold that finds at least `required` of the positive images.

    It lies halfway between the last positive image that must be found and the next lower probability, so that a step of an int8
    output does not flip an answer.

    Args:
        is_positive: `(n,)`; without a positive image the answer is 0.5.
        p_positive: `(n,)` probability of the positive class.
        required: Share in (0, 1].
    """
    if not is_positive.any():
        return 0.5
    ordered = np.sort(p_positive[is_positive].astype(np.float64))[::-1]
    needed = int(np.ceil(required * len(ordered) - 1e-9))
    lowest = float(ordered[max(needed, 1) - 1])
    below = p_positive[p_positive < lowest]
    return (lowest + (float(below.max()) if len(below) else 0.0)) / 2
