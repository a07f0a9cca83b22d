"""Macro-averaged F1: one number in which every class counts alike, however few its images are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics.intervals import Interval, wilson_of_share

PSEUDO_COUNT = 0.5
"""Added to every cell of the confusion matrix for the variance alone, as Jeffreys' prior does."""


def macro_f1(confusion: Sequence[Sequence[int]] | NDArray[Any]) -> Interval:
    """Return the mean of the classes' F1 with its 95 % interval.

    The variance is that of the delta method over a multinomial confusion matrix (Takahashi, Yamamoto, Kuchiba and Koyama 2022,
    Applied Intelligence 52:4961, section 3). Their interval is a point where every answer is right. So the variance is taken
    at the matrix with half an image in every cell, gives the number of images that a share would need for it,
    F (1 − F) / variance, and that number goes into Wilson's interval (Kott and Carr 1997, for shares of surveys).

    F1 of a class is 0 where it is answered and never true, or true and never answered; a class that occurs in neither is left out.

    Args:
        confusion: `[truth][answer]` counts images, `(classes, classes)`.

    Raises:
        MstlEdgeError: No images, or no square.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() <= 0:
        raise MstlEdgeError("a square confusion matrix of at least one image", received=f"{counts.shape}")
    occurs = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    kept = counts[np.ix_(occurs, occurs)]
    smoothed = kept + PSEUDO_COUNT
    middle = _value(smoothed)
    variance = _variance(smoothed, int(kept.sum()))
    enough = middle * (1 - middle) / variance if variance > 0 else kept.sum()
    return wilson_of_share(_value(kept), float(enough))


def _value(counts: NDArray[np.float64]) -> float:
    return float(np.mean(2 * counts.diagonal() / (counts.sum(axis=0) + counts.sum(axis=1))))


def _variance(counts: NDArray[np.float64], n: int) -> float:
    """Return the variance of the macro F1 of `n` images by the delta method: (Σ p g² − (Σ p g)²) / n."""
    shares = counts / counts.sum()
    right, spread = shares.diagonal(), shares.sum(axis=0) + shares.sum(axis=1)
    missed = 2 * right / spread**2
    gradient = (np.diag(2 / spread) - missed[:, None] - missed[None, :]) / len(counts)
    mean = float((shares * gradient).sum())
    return max(0.0, float((shares * gradient**2).sum()) - mean * mean) / n if math.isfinite(mean) else 0.0
