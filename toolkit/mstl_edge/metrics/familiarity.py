"""How far an image lies from those that a network was trained on, by the features that its head pools.

The distance is a Mahalanobis distance (Lee et al. 2018, arXiv:1807.03888) under a covariance of few directions and one variance for
all the rest (probabilistic principal components, Tipping and Bishop 1999): what few images can tell. Square roots of the features
are compared, whose spread hangs less on their size.

Beside it stands how much an image looks like the training images after something was done to them: turned, inverted, blurred, made
noisy. Such pictures lie near the training images, and in one direction (outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606).
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
_LEAST = 1e-9
IMAGES_A_COMPONENT = 4
PENALTY = 100.0
"""Of the ridge regression that finds the direction of changed images, features having a spread of one."""
SHRUNK = 0.1
"""Towards the mean of the variances that are kept."""
LEVEL = 0.95
"""Share of unseen images of the same kind that pass."""


@dataclass(frozen=True)
class Changed:
    """In which direction changed images lie.

    Attributes:
        direction: `(channels,) float16` of length one, for square roots of pooled features.
        offset: Where the training images lie on it, each told by the others.
        spread: How far they are spread there.
    """

    direction: NDArray[np.float16]
    offset: float
    spread: float


@dataclass(frozen=True)
class Usual:
    """How images that a network was not trained on look to it: middle and spread of the columns of `Familiar.looks`."""

    middle: tuple[float, float]
    spread: tuple[float, float]

    def scores(self, looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far beyond the usual `(n, 2)` looks lie, both together; 0 where neither does."""
        beyond = (looks - np.asarray(self.middle)) / np.asarray(self.spread)
        return np.asarray(np.maximum(beyond, 0).sum(axis=1))


@dataclass(frozen=True)
class Familiar:
    """What training images look like to a network.

    Attributes:
        mean: `(channels,) float16`, of square roots of pooled features.
        components: `(k, channels) float16`, orthonormal.
        variances: `(k,)` along them.
        rest: Variance along every other direction.
        changed: Where changed ones lie; None in files of before, and where there are too few images.
    """

    mean: NDArray[np.float16]
    components: NDArray[np.float16]
    variances: NDArray[np.float64]
    rest: float
    changed: Changed | None = None

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

    def looks(self, pooled: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, 2)`: the logarithm of the distance, and how far an image lies towards changed ones (else 0)."""
        towards = np.zeros(len(pooled))
        if self.changed is not None:
            along = _rooted(pooled) @ self.changed.direction.astype(np.float64)
            towards = (along - self.changed.offset) / self.changed.spread
        return np.stack([np.log(np.maximum(self.distance(pooled), _LEAST)), towards], axis=1)


def fit_familiar(pooled: NDArray[np.floating]) -> Familiar | None:
    """Return what images look like; None where they are fewer than two components need, or all alike.

    Args:
        pooled: `(n, channels)` means of their feature maps.
    """
    rooted = _rooted(pooled)
    channels = rooted.shape[1]
    count = min(MOST_COMPONENTS, len(rooted) // IMAGES_A_COMPONENT, MOST_BYTES // (2 * channels) - 2, channels - 1)
    mean = rooted.mean(axis=0)
    _, lengths, directions = np.linalg.svd(rooted - mean, full_matrices=False)
    variances = lengths**2 / max(len(rooted) - 1, 1)
    rest = float(variances[count:].sum() / max(channels - count, 1)) if count >= 2 else 0.0
    if rest <= 0:
        return None
    kept = (1 - SHRUNK) * variances[:count] + SHRUNK * variances[:count].mean()
    return Familiar(mean.astype(np.float16), directions[:count].astype(np.float16), kept, rest)


def fit_changed(pooled: NDArray[np.floating], changed: NDArray[np.floating]) -> Changed | None:
    """Return in which direction changed images lie, by ridge regression, both kinds weighted alike; None where they lie alike.

    Args:
        pooled: `(n, channels)` of images as they are; `offset` and `spread` are those of answers that left the image out.
        changed: `(m, channels)` of images after something was done to them.
    """
    rows = _rooted(np.concatenate([pooled, changed]))
    own = np.arange(len(rows)) < len(pooled)
    middle, apart = rows.mean(axis=0), rows.std(axis=0)
    known = apart > 1e-6 * max(float(apart.max(initial=0.0)), 1e-12)
    if min(own.sum(), (~own).sum()) < 2 * IMAGES_A_COMPONENT or not known.any():
        return None
    weights = np.sqrt(np.where(own, 0.5 / own.sum(), 0.5 / (~own).sum()) * len(rows))
    targets = np.where(own, -1.0, 1.0) * weights
    left, lengths, right = np.linalg.svd(
        (rows - middle)[:, known] / apart[known] * weights[:, None], full_matrices=False
    )
    shrunk = lengths**2 / (lengths**2 + PENALTY)
    reach = (left**2) @ shrunk
    unseen = (targets - (targets - left @ (shrunk * (left.T @ targets))) / np.maximum(1 - reach, 1e-9)) / weights
    slopes = np.zeros(rows.shape[1])
    slopes[known] = (right.T @ (lengths / (lengths**2 + PENALTY) * (left.T @ targets))) / apart[known]
    length, spread = float(np.linalg.norm(slopes)), float(unseen[own].std())
    if length <= 0 or spread <= 0:
        return None
    direction = (slopes / length).astype(np.float16)
    # From the direction as it is stored, with what it loses by that.
    base = float(middle @ direction.astype(np.float64))
    return Changed(direction, base + float(unseen[own].mean()) / length, spread / length)


def fit_usual(looks: NDArray[np.float64]) -> Usual:
    """Return what is usual among `(n, 2)` looks of images that a network was not trained on."""
    middle, spread = looks.mean(axis=0), np.maximum(looks.std(axis=0), _LEAST)
    return Usual((float(middle[0]), float(middle[1])), (float(spread[0]), float(spread[1])))


def fit_bound(distances: NDArray[np.float64], level: float = LEVEL) -> float | None:
    """Return the distance that a share `level` of unseen images does not exceed, one more counted in; None of too few."""
    rank = math.ceil(round((len(distances) + 1) * level, 9))
    return float(np.sort(distances)[rank - 1]) if rank <= len(distances) else None


def _rooted(pooled: NDArray[np.floating]) -> NDArray[np.float64]:
    real = np.asarray(pooled, np.float64)
    return np.asarray(np.sign(real) * np.sqrt(np.abs(real)))
