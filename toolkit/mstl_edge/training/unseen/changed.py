"""Images after something was done to them that no scanner does: what a network should not take for its own kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_BLUR = 1 / 45
"""Of the side: 5 of 224 pixels."""
_NOISE = 40.0
_Pixels = NDArray[np.uint8]


def changed(pixels: _Pixels, seed: int) -> _Pixels:
    """Return every image turned by 90°, 180° and 270°, inverted, blurred and under noise.

    Args:
        pixels: `(n, side, side, 3) uint8`.
        seed: Draws the noise.

    Returns:
        `(6 n, side, side, 3) uint8`.
    """
    draw = np.random.default_rng(seed)
    ways: tuple[Callable[[_Pixels], _Pixels], ...] = (
        *((lambda image, turns=turns: np.rot90(image, turns)) for turns in (1, 2, 3)),
        lambda image: 255 - image,
        _blurred,
        lambda image: np.clip(image + draw.normal(0, _NOISE, image.shape), 0, 255).astype(np.uint8),
    )
    return np.stack([way(image) for way in ways for image in pixels])


def _blurred(image: _Pixels) -> _Pixels:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(_BLUR * len(image))))
