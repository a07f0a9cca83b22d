"""The textured grounds that figures lie on: zero mean, about one unit strong (grain half, since it hides figures most).

A whole batch is drawn at once; arrays are `(batch, size, size) float32`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float32]


def column(rng: Generator, count: int, low: float, high: float) -> Array:
    """Return one uniform draw per image, as `(count, 1, 1)`."""
    return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)


def draw_grounds(grounds: NDArray[np.int64], x: Array, y: Array, rng: Generator) -> Array:
    """Return one ground for each number in `grounds`, which count in `GROUNDS`; `x` and `y` are every pixel's coordinates."""
    canvas = np.empty((len(grounds), *x.shape), dtype=np.float32)
    for number, draw in enumerate(_DRAWN.values()):
        chosen = grounds == number
        canvas[chosen] = draw(int(chosen.sum()), x, y, rng)
    return canvas


def _ramp(count: int, x: Array, y: Array, rng: Generator) -> Array:
    turn = column(rng, count, 0, 2 * np.pi)
    slope = np.cos(turn) * x + np.sin(turn) * y
    return 3 * slope + column(rng, count, -6, 6) * (x * x + y * y - 0.17)


def _noise(count: int, size: int, power: Array, rng: Generator) -> Array:
    """Return noise whose amplitude falls with frequency to the `power`."""
    spectrum = np.fft.rfft2(rng.standard_normal((count, size, size), dtype=np.float32))
    across, down = np.fft.rfftfreq(size), np.fft.fftfreq(size)[:, None]
    frequency = np.hypot(across, down)
    frequency[0, 0] = 1
    spectrum *= frequency**-power
    spectrum[:, 0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    return noise / (noise.std(axis=(1, 2), keepdims=True) + np.float32(1e-6))


def _cloud(count: int, x: Array, y: Array, rng: Generator) -> Array:
    return _noise(count, len(x), column(rng, count, 1.5, 2.5), rng)


def _grain(count: int, x: Array, y: Array, rng: Generator) -> Array:
    return 0.5 * _noise(count, len(x), column(rng, count, 0.4, 1.1), rng)


def _stripes(count: int, x: Array, y: Array, rng: Generator) -> Array:
    turn = column(rng, count, 0, np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y
    across = np.cos(turn) * y - np.sin(turn) * x
    bend = column(rng, count, -1, 1) * across * across
    return np.sin(column(rng, count, 15, 90) * (along + bend) + column(rng, count, 0, 6.3))


def _patches(count: int, x: Array, y: Array, rng: Generator) -> Array:
    """Overlapping ovals, each with its own level: edges of every length that are not the figure's."""
    canvas = np.zeros((count, *x.shape), dtype=np.float32)
    for reach in (0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15):
        across, down = x - column(rng, count, -0.5, 0.5), y - column(rng, count, -0.5, 0.5)
        turn = column(rng, count, 0, np.pi)
        along = np.cos(turn) * across + np.sin(turn) * down
        aside = (np.cos(turn) * down - np.sin(turn) * across) * column(rng, count, 1, 2.5)
        edge = 0.5 - 0.5 * np.tanh((np.hypot(along, aside) - reach) / column(rng, count, 0.006, 0.03))
        canvas += edge * (column(rng, count, -1.8, 1.8) - canvas)
    return canvas


def _strokes(count: int, x: Array, y: Array, rng: Generator) -> Array:
    """Bright and dark lines, straight or curved, across the image."""
    canvas = np.zeros((count, *x.shape), dtype=np.float32)
    for _ in range(6):
        turn = column(rng, count, 0, 2 * np.pi)
        along = np.cos(turn) * x + np.sin(turn) * y
        across = np.cos(turn) * y - np.sin(turn) * x + column(rng, count, -2, 2) * along * along
        width = column(rng, count, 0.006, 0.03)
        canvas += column(rng, count, -2, 2) * np.exp(-(((across - column(rng, count, -0.4, 0.4)) / width) ** 2))
    return canvas


_DRAWN: dict[str, Callable[[int, Array, Array, Generator], Array]] = {
    "ramp": _ramp,
    "cloud": _cloud,
    "grain": _grain,
    "stripes": _stripes,
    "patches": _patches,
    "strokes": _strokes,
}

GROUNDS = tuple(_DRAWN)
