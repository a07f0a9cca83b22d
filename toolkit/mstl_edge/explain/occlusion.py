"""Maps of any classifier: a patch of the image is covered, and the answer asked for again (Zeiler and Fergus 2014)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CELLS = 8
"""Along each side of a map; as many squared inferences an image."""
PATCH_CELLS = 2
"""Along each side of a patch. One cell of a 224-pixel image, 28 pixels, is less than what the last layers look at once."""
_SMALLEST = 1 / 512
"""Half a step of an int8 answer: what a probability of 0 stands for."""


def occlusion_maps(
    answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    probabilities: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    cells: int = CELLS,
) -> NDArray[np.float32]:
    """Return how far the logarithm of each class's probability falls where a patch has the image's mean colour.

    Args:
        answer: `(height, width, 3) uint8` → `(classes,)` probabilities.
        probabilities: Those of the image as it is.
        pixels: The image.
        cells: Along each side of the map.

    Returns:
        `(classes, cells, cells) float32`; of a cell, the mean over the patches that cover it.
    """
    height, width = pixels.shape[:2]
    whole = _logarithm(probabilities)
    fill = np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
    sums, counts = np.zeros((len(whole), cells, cells)), np.zeros((cells, cells))
    for top in range(1 - PATCH_CELLS, cells):
        for left in range(1 - PATCH_CELLS, cells):
            rows, columns = _reach(top, cells), _reach(left, cells)
            covered = pixels.copy()
            covered[_scaled(rows, height, cells), _scaled(columns, width, cells)] = fill
            fall = whole - _logarithm(answer(covered))
            sums[:, rows, columns] += fall[:, None, None]
            counts[rows, columns] += 1
    return np.asarray(sums / counts, np.float32)


def _reach(first: int, cells: int) -> slice:
    return slice(max(0, first), min(cells, first + PATCH_CELLS))


def _scaled(part: slice, extent: int, cells: int) -> slice:
    return slice(round(part.start * extent / cells), round(part.stop * extent / cells))


def _logarithm(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
