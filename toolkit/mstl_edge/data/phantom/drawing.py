"""What both phantoms are drawn with: coordinates, soft edges, smooth noise, and what a detector does to a picture.

Pictures are `(SIDE, SIDE) float32`; coordinates run from −1 to 1, `x` to the right and `y` down. Edges are polynomials
and roots rather than exponentials, so that one seed gives the same bytes on every machine NumPy runs on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.float32]

SIDE = 128
"""Height and width of every phantom image in pixels."""


def grid() -> tuple[Picture, Picture]:
    """Return the coordinates `(x, y)` of every pixel's centre."""
    line = ((np.arange(SIDE) + 0.5) * (2.0 / SIDE) - 1.0).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def posed(x: Picture, y: Picture, center: tuple[float, float], degrees: float) -> tuple[Picture, Picture]:
    """Return the coordinates as seen from `center` with axes turned by `degrees`."""
    cosine, sine = _direction(degrees)
    across, down = x - np.float32(center[0]), y - np.float32(center[1])
    return cosine * across + sine * down, cosine * down - sine * across


def _direction(degrees: float) -> tuple[np.float32, np.float32]:
    angle = math.radians(degrees)
    return np.float32(math.cos(angle)), np.float32(math.sin(angle))


def radius(x: Picture, y: Picture, half_width: float, half_height: float) -> Picture:
    """Return the distance from the origin in units of an ellipse: 1 on its border."""
    across, down = x * np.float32(1.0 / half_width), y * np.float32(1.0 / half_height)
    distance: Picture = np.sqrt(across * across + down * down)
    return distance


def ellipse(
    x: Picture, y: Picture, center: tuple[float, float], size: tuple[float, float], degrees: float, edge: float
) -> Picture:
    """Return 1 inside an ellipse, 0 outside, with a border `edge` wide (in coordinates)."""
    u, v = posed(x, y, center, degrees)
    return below(radius(u, v, *size), 1.0, edge / min(size))


def below(values: Picture, bound: float | Picture, width: float) -> Picture:
    """Return 1 where `values` lie below `bound`, 0 above, and a smooth step of `width` between."""
    t = np.clip((np.asarray(bound, dtype=np.float32) - values) * np.float32(1.0 / width) + np.float32(0.5), 0, 1)
    smooth: Picture = t * t * (3 - 2 * t)
    return smooth


def line(values: Picture, width: float | Picture) -> Picture:
    """Return a bump of height 1 and half-width `width` along the zeros of `values`."""
    share: Picture = np.divide(np.abs(values), np.asarray(width, dtype=np.float32))
    t = np.clip(np.float32(1) - share, 0, 1)
    bump: Picture = t * t * (3 - 2 * t)
    return bump


def smooth_noise(rng: Generator, cells: int) -> Picture:
    """Return noise of about zero mean and unit spread whose grains are `SIDE / cells` pixels large."""
    coarse = rng.standard_normal((cells + 2, cells + 2), dtype=np.float32)
    fine = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(fine, dtype=np.float32) * np.float32(1.2)


def wobble(rng: Generator, x: Picture, y: Picture, strength: float) -> Picture:
    """Return a smooth random function of the direction alone, about `strength` large: what makes an outline irregular."""
    distance = np.sqrt(x * x + y * y) + np.float32(1e-3)
    c, s = x / distance, y / distance
    a = (rng.standard_normal(6) * strength).astype(np.float32)
    second, third = c * c - s * s, c * (c * c - 3 * s * s)
    waves: Picture = (
        a[0] * c + a[1] * s + a[2] * second + a[3] * 2 * c * s + a[4] * third + a[5] * s * (3 * c * c - s * s)
    )
    return waves * np.float32(0.5)


def blurred(picture: Picture, sigma_px: float) -> Picture:
    """Return the picture through a Gaussian of `sigma_px`, borders repeated."""
    reach = max(1, math.ceil(2.5 * sigma_px))
    weights = [math.exp(-0.5 * (step / sigma_px) ** 2) for step in range(-reach, reach + 1)]
    total = sum(weights)
    for axis in (0, 1):
        margins = [(reach, reach) if axis == other else (0, 0) for other in (0, 1)]
        padded = np.pad(picture, margins, mode="edge")
        shifted = (np.take(padded, range(start, start + SIDE), axis=axis) for start in range(2 * reach + 1))
        picture = sum(  # type: ignore[assignment]
            np.float32(weight / total) * part for weight, part in zip(weights, shifted, strict=True)
        )
    return picture


def detected(picture: Picture, rng: Generator, *, noise: float, blur_px: float) -> NDArray[np.uint8]:
    """Return the picture (0 black, 1 white) as 8-bit grey after blur and grain; half of the grain is blurred as well."""
    grain = rng.standard_normal((2, SIDE, SIDE), dtype=np.float32) * np.float32(noise)
    blurry = blurred(picture + np.float32(1.5) * grain[0], blur_px)
    pixels: NDArray[np.uint8] = np.clip(np.rint((blurry + np.float32(0.6) * grain[1]) * 255), 0, 255).astype(np.uint8)
    return pixels


def between(rng: Generator, low: float, high: float) -> float:
    """Return one uniform draw as a plain number."""
    return float(rng.uniform(low, high))


def chance(rng: Generator, probability: float) -> bool:
    """Return True with this probability."""
    return bool(rng.random() < probability)
