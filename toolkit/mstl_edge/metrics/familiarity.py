"""How far an image lies from those that a network was trained on, by the features that its head pools.

The distance is a Mahalanobis distance (Lee et al. 2018, arXiv:1807.03888) under a covariance of few directions and one variance for
all the rest (probabilistic principal components, Tipping and Bishop 1999): what few images can tell. Square roots of the features
are compared, whose spread hangs less on their size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 32_000
"""In a model file."""
MOST_COMPONENTS = 16
IMAGES_A_COMPONENT = 4
SHRUNK = 0.1
"""Towards the mean of the variances that are kept."""
LEVEL = 0.95
"""Share of unseen images of the same kind that pass."""


@dataclass(frozen=True)
class Familiar:
    """What training images look like to a network.

    Attributes:
        mean: `(channels,) float16`, of square roots of pooled features.
        components: `(k, channels) float16`, orthonormal.
        variances: `(k,)` along them.
        rest: Variance along every other direction.
    """

    mean: NDArray[np.float16]
    components: NDArray[np.float16]
    variances: NDArray[np.float64]
    rest: float

    @cached_property
    def _wide(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and transposed components as they are computed with."""
        return self.mean.astype(np.float64), np.ascontiguousarray(self.components.T.astype(np.float64))

    def distance(self, pooled: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the mean squared distance in standard deviations, about 1 for images like those.

        Args:
            pooled: `(n, channels)` means of feature maps.
        """
        mean, components = self._wide
        apart = _rooted(pooled) - mean
        along = apart @ components
        beside = np.maximum((apart**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        return np.asarray(((along**2 / self.variances).sum(axis=1) + beside / self.rest) / apart.shape[1])


def fit_familiar(pooled: NDArray[np.floating]) -> Familiar | None:
    """Return what images look like; None where they are fewer than two components need, or all alike.

    Args:
        pooled: `(n, channels)` means of their feature maps.
    """
    rooted = _rooted(pooled)
    channels = rooted.shape[1]
    count = min(MOST_COMPONENTS, len(rooted) // IMAGES_A_COMPONENT, MOST_BYTES // (2 * channels) - 1, channels - 1)
    mean = rooted.mean(axis=0)
    _, lengths, directions = np.linalg.svd(rooted - mean, full_matrices=False)
    variances = lengths**2 / max(len(rooted) - 1, 1)
    rest = float(variances[count:].sum() / max(channels - count, 1)) if count >= 2 else 0.0
    if rest <= 0:
        return None
    kept = (1 - SHRUNK) * variances[:count] + SHRUNK * variances[:count].mean()
    return Familiar(mean.astype(np.float16), directions[:count].astype(np.float16), kept, rest)


def fit_bound(distances: NDArray[np.float64], level: float = LEVEL) -> float | None:
    """Return the distance that a share `level` of unseen images does not exceed, one more counted in; None of too few."""
    rank = math.ceil(round((len(distances) + 1) * level, 9))
    return float(np.sort(distances)[rank - 1]) if rank <= len(distances) else None


def _rooted(pooled: NDArray[np.floating]) -> NDArray[np.float64]:
    real = np.asarray(pooled, np.float64)
    return np.asarray(np.sign(real) * np.sqrt(np.abs(real)))
