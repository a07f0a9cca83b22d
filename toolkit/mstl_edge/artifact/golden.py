"""Golden samples: drawn images that travel in a model file, so that any device can check its answers.

No patient's image is among them. They are colour images, although medical ones are mostly grey, so that a swapped
channel order shows.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.artifact.card import bad_card
from mstl_edge.errors import DataError
from mstl_edge.preprocess import decode
from mstl_edge.recipe import PreprocessSpec

LSB = 1 / 256
"""What one step means where outputs are floats; the quantum of an int8 softmax output."""
_BAND = 64
"""Rows that are drawn at once."""


@dataclass(frozen=True)
class GoldenSample:
    """One drawn image, `(height, width, 3) uint8`, and what the model answered; see `card.GoldenRecord`."""

    image: NDArray[np.uint8]
    outputs: tuple[float, ...]
    tolerance_lsb: dict[str, float]
    margin_lsb: float
    answers: dict[str, tuple[float, ...]] = field(default_factory=dict)
    map_lsb: dict[str, float] = field(default_factory=dict)


def draw_golden_images(size: int, count: int = 3) -> list[NDArray[np.uint8]]:
    """Draw images of overlapping ellipses and stripes over a gradient; the same ones each time.

    Args:
        size: Height and width in pixels.
        count: How many.

    Returns:
        Arrays `(size, size, 3) uint8`.
    """
    return [_drawn(np.random.default_rng([2020, number]), size) for number in range(count)]


def _drawn(draw: np.random.Generator, size: int) -> NDArray[np.uint8]:
    slopes = draw.uniform(-1, 1, (2, 3))
    ellipses = [
        (draw.uniform(0.15, 0.85, 2), draw.uniform(0.05, 0.4, 2), draw.uniform(0, 255) * 0.5, draw.uniform(-25, 25, 3))
        for _ in range(int(draw.integers(4, 9)))
    ]
    waves, strength = draw.integers(2, 9), draw.uniform(0, 12)
    pixels = np.empty((size, size, 3), np.uint8)
    # In bands: in doubles, a whole image of 512 pixels takes 25 MB, which is much on a small board.
    for top in range(0, size, _BAND):
        down, across = np.mgrid[top : min(top + _BAND, size), 0:size] / size
        canvas = 90 + 70 * (down[..., None] * slopes[0] + across[..., None] * slopes[1])
        for middle, radii, grey, tint in ellipses:
            inside = ((down - middle[0]) / radii[0]) ** 2 + ((across - middle[1]) / radii[1]) ** 2 < 1
            canvas[inside] = canvas[inside] * 0.4 + grey + tint
        canvas += strength * np.sin(2 * np.pi * (down + across) * waves)[..., None]
        # Few grey levels keep the stored PNG small.
        pixels[top : top + _BAND] = np.clip(np.rint(canvas / 8) * 8, 0, 255)
    return pixels


def encode_image(pixels: NDArray[np.uint8]) -> bytes:
    """Return `(height, width, 3) uint8` as PNG."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG", optimize=True)
    return target.getvalue()


def decode_image(content: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Return the pixels of a stored golden image.

    Raises:
        ArtifactError: It is no image, or not of the model's input size.
    """
    try:
        pixels = np.asarray(decode(content, PreprocessSpec(max_pixels=height * width)), dtype=np.uint8)
    except DataError as error:
        raise bad_card(f"a golden image that does not decode ({error.received or error.expected})") from error
    if pixels.shape != (height, width, 3):
        raise bad_card(f"a golden image of {pixels.shape[1]}×{pixels.shape[0]} for an input of {width}×{height}")
    return pixels
