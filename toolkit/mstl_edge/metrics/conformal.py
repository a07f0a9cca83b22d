"""Sets of labels that hold the true one as often as promised (split conformal prediction, Vovk et al. 2005).

A class is in the set of an image unless its probability is lower than that of nearly all images of the class that the model has not
seen (Sadinle et al. 2019, arXiv:1609.00451). The promise holds for images of the same kind, on average over them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.9


@dataclass(frozen=True)
class SetBounds:
    """What decides which labels are in a set.

    Attributes:
        level: Share of images whose set is promised to hold the true label.
        kind: `class-conditional` where the promise holds for each class by itself, `marginal` where over all images alone.
        lowest: `(classes,)` probabilities from which on a class is in the set.
        images: `(classes,)` numbers of images that the bounds rest on.
    """

    level: float
    kind: Literal["class-conditional", "marginal"]
    lowest: tuple[float, ...]
    images: tuple[int, ...]


def images_needed(level: float) -> int:
    """Return how many images a bound at `level` needs: 9 for 90 %, 19 for 95 %."""
    return math.ceil(round(level / (1 - level), 9))


def fit_sets(classes: NDArray[np.int64], probabilities: NDArray[np.floating], level: float = LEVEL) -> SetBounds | None:
    """Return the bounds that unseen images give; None where they are fewer than `images_needed`.

    Args:
        classes: `(n,)` true class numbers.
        probabilities: `(n, classes)` of images that the model was not trained on.
        level: Between 0 and 1.
    """
    given = np.asarray(probabilities, np.float64)[np.arange(len(classes)), classes]
    counts = np.bincount(classes, minlength=probabilities.shape[1])
    images = tuple(int(count) for count in counts)
    needed = images_needed(level)
    if len(classes) < needed:
        return None
    if counts.min() >= needed:
        lowest = tuple(_lowest(given[classes == number], level) for number in range(len(counts)))
        return SetBounds(level, "class-conditional", lowest, images)
    return SetBounds(level, "marginal", (_lowest(given, level),) * len(counts), images)


def _lowest(given: NDArray[np.float64], level: float) -> float:
    """Return the probability of the truth that all but the allowed share of images reach, one more image counted in."""
    rank = math.ceil(round((len(given) + 1) * level, 9))
    return float(np.sort(given)[::-1][rank - 1])


def label_sets(
    probabilities: NDArray[np.floating], decided: NDArray[np.int64], lowest: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Return `(n, classes)`: which classes are in the set of each image; the one that was decided on always is.

    Args:
        probabilities: `(n, classes)`.
        decided: `(n,)` class numbers.
        lowest: See `SetBounds`.
    """
    held = np.asarray(probabilities, np.float64) >= np.asarray(lowest)
    held[np.arange(len(held)), decided] = True
    return np.asarray(held)
