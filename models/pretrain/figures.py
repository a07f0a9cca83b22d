"""Procedural grey images of geometric figures on textured grounds, and where which figure lies.

Nothing here knows what a radiograph looks like, and no code is shared with `mstl_edge.data.phantom`: what the bundled
backbone learns from these images is edges, shapes, textures and contrast against a busy ground.

A whole batch is drawn at once; arrays are `(batch, size, size) float32` unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from grounds import GROUNDS, Array, column, draw_grounds
from numpy.random import Generator
from numpy.typing import NDArray

SURFACES = ("brighter", "darker", "striped", "speckled", "outlined", "shaded")

OBJECTS = 3
"""Most figures that lie in one image."""

CELLS = 12
"""Coverage is told for `CELLS × CELLS` cells of an image."""


@dataclass(frozen=True)
class Batch:
    """Images and what is in them.

    Attributes:
        images: `(batch, size, size) uint8`.
        coverage: `(batch, OBJECTS, CELLS, CELLS) uint8`: how much of a cell an object fills, 255 all of it.
        figures: `(batch, OBJECTS)`, numbers in `FIGURES`.
        surfaces: `(batch, OBJECTS)`, numbers in `SURFACES`.
        grounds: `(batch,)`, numbers in `GROUNDS`.
    """

    images: NDArray[np.uint8]
    coverage: NDArray[np.uint8]
    figures: NDArray[np.int64]
    surfaces: NDArray[np.int64]
    grounds: NDArray[np.int64]


def draw_batch(count: int, size: int, rng: Generator) -> Batch:
    """Draw `count` images of random figures, surfaces and grounds, `size` pixels (a multiple of `CELLS`) wide and high."""
    figures = rng.integers(0, len(FIGURES), (count, OBJECTS))
    surfaces = rng.integers(0, len(SURFACES), (count, OBJECTS))
    grounds = rng.integers(0, len(GROUNDS), count)
    y, x = _grid(size)
    # Easy images among the hard ones: a network with random weights finds nothing to hold on to in hard ones alone.
    hard = column(rng, count, 0, 1)
    canvas = draw_grounds(grounds, x, y, rng) * (0.03 + 0.14 * hard)
    coverage = np.empty((count, OBJECTS, CELLS, CELLS), dtype=np.uint8)
    for number in range(OBJECTS):
        present = (rng.random((count, 1, 1)) < 0.6).astype(np.float32)
        distance, u, v = _figures(figures[:, number], x, y, rng)
        canvas += present * _surface(surfaces[:, number], distance, u, v, rng) * (0.6 - 0.45 * hard)
        coverage[:, number] = _cells((distance < 0) * present)
    pixels = np.clip(np.rint(_exposed(canvas, hard, rng) * 255.0), 0, 255).astype(np.uint8)
    return Batch(pixels, coverage, figures, surfaces, grounds)


def _cells(inside: Array) -> NDArray[np.uint8]:
    count, size, _ = inside.shape
    blocks = inside.reshape(count, CELLS, size // CELLS, CELLS, size // CELLS)
    return np.rint(blocks.mean(axis=(2, 4)) * 255).astype(np.uint8)


# Figures: signed distances (negative inside) in coordinates where the figure is about one unit large.


def _disc(u: Array, v: Array, p: Array) -> Array:
    return np.hypot(u, v) - 1


def _oval(u: Array, v: Array, p: Array) -> Array:
    return (np.hypot(u, v * (2 + p)) - 1) / (1.5 + p)


def _ring(u: Array, v: Array, p: Array) -> Array:
    return np.abs(np.hypot(u, v) - 0.85) - (0.1 + 0.12 * p)


def _arc(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(_ring(u, v, p), -u + 0.3 * p)


def _crescent(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(_disc(u, v, p), 0.95 - np.hypot(u + 0.3 + 0.3 * p, v))


def _lens(u: Array, v: Array, p: Array) -> Array:
    shift = 0.6 + 0.3 * p
    return np.maximum(np.hypot(u - shift, v), np.hypot(u + shift, v)) - 1.25


def _half_disc(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(_disc(u, v, p), u)


def _square(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(np.abs(u), np.abs(v)) - 0.8


def _slab(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(np.abs(u) - 1.2, np.abs(v) - 0.12 - 0.15 * p)


def _cross(u: Array, v: Array, p: Array) -> Array:
    return np.minimum(_slab(u, v, p), _slab(v, u, p))


def _triangle(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(np.abs(u) * 0.87 + v * 0.5, -v) - 0.5


def _star(u: Array, v: Array, p: Array) -> Array:
    points = 5 + np.floor(2 * p)
    return np.hypot(u, v) - (0.7 + 0.3 * np.cos(points * np.arctan2(v, u)))


def _wave(u: Array, v: Array, p: Array) -> Array:
    return np.maximum(np.abs(v - 0.35 * np.sin((4 + 3 * p) * u)) - 0.16, np.abs(u) - 1.3)


def _blob(u: Array, v: Array, p: Array) -> Array:
    angle = np.arctan2(v, u) + 6.3 * p
    return np.hypot(u, v) - (0.8 + 0.16 * np.cos(2 * angle + 1) + 0.14 * np.cos(3 * angle) + 0.08 * np.cos(7 * angle))


def _pair(u: Array, v: Array, p: Array) -> Array:
    return np.hypot(np.abs(u) - 0.75, v) - (0.35 + 0.25 * p)


def _dots(u: Array, v: Array, p: Array) -> Array:
    near = np.hypot((u + 0.25) % 0.5 - 0.25, (v + 0.25) % 0.5 - 0.25) - 0.11 - 0.04 * p
    return np.maximum(near, np.hypot(u, v) - 1.1)


def _fork(u: Array, v: Array, p: Array) -> Array:
    arm = np.abs(np.abs(v) - (0.3 + 0.5 * p) * np.maximum(u, 0)) - 0.12
    return np.maximum(arm, np.abs(u) - 1)


FIGURES: tuple[tuple[str, Callable[[Array, Array, Array], Array]], ...] = (
    ("disc", _disc),
    ("oval", _oval),
    ("ring", _ring),
    ("arc", _arc),
    ("crescent", _crescent),
    ("lens", _lens),
    ("half disc", _half_disc),
    ("square", _square),
    ("slab", _slab),
    ("cross", _cross),
    ("triangle", _triangle),
    ("star", _star),
    ("wave", _wave),
    ("blob", _blob),
    ("pair", _pair),
    ("dots", _dots),
    ("fork", _fork),
)


def _figures(figures: NDArray[np.int64], x: Array, y: Array, rng: Generator) -> tuple[Array, Array, Array]:
    """Return the distance to the figure's edge (in shares of the image's side) and the figure's own coordinates."""
    count = len(figures)
    radius = np.exp(column(rng, count, np.log(0.08), np.log(0.33)))
    turn = column(rng, count, 0, 2 * np.pi)
    across = x - column(rng, count, -0.32, 0.32)
    down = y - column(rng, count, -0.32, 0.32)
    u = (np.cos(turn) * across + np.sin(turn) * down) / radius
    v = (np.cos(turn) * down - np.sin(turn) * across) / (radius * column(rng, count, 0.75, 1.3))
    # A gentle bend, so that no edge is ever quite straight or round.
    v += column(rng, count, -0.15, 0.15) * u * u
    p = column(rng, count, 0, 1)
    distance = np.empty_like(u)
    for number, (_, shape) in enumerate(FIGURES):
        chosen = figures == number
        distance[chosen] = shape(u[chosen], v[chosen], p[chosen])
    return distance * radius, u, v


def _surface(surfaces: NDArray[np.int64], distance: Array, u: Array, v: Array, rng: Generator) -> Array:
    """Return what the figure adds to the ground, about one unit strong."""
    count, size, _ = distance.shape
    softness = np.exp(column(rng, count, np.log(0.004), np.log(0.03)))
    inside = 0.5 - 0.5 * np.tanh(distance / softness)
    added = np.empty_like(distance)
    for number, name in enumerate(SURFACES):
        chosen = surfaces == number
        some = int(chosen.sum())
        if name == "brighter":
            added[chosen] = inside[chosen]
        elif name == "darker":
            added[chosen] = -inside[chosen]
        elif name == "striped":
            stripes = np.sin(column(rng, some, 6, 14) * u[chosen] + column(rng, some, 0, 6.3))
            added[chosen] = inside[chosen] * stripes
        elif name == "speckled":
            added[chosen] = inside[chosen] * rng.standard_normal((some, size, size), dtype=np.float32)
        elif name == "outlined":
            width = column(rng, some, 0.008, 0.02)
            added[chosen] = np.exp(-((distance[chosen] / width) ** 2)) * rng.choice(
                np.float32([-1, 1]), size=(some, 1, 1)
            )
        else:
            added[chosen] = inside[chosen] * np.clip(v[chosen], -1.5, 1.5)
    return added


def _exposed(canvas: Array, hard: Array, rng: Generator) -> Array:
    """Add what makes every picture of the same thing differ: exposure and grain."""
    count, size, _ = canvas.shape
    level = 0.5 + hard * column(rng, count, -0.3, 0.3)
    sensor = 0.07 * hard * rng.standard_normal((count, size, size), dtype=np.float32)
    return level + canvas + sensor


def _grid(size: int) -> tuple[Array, Array]:
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5).astype(np.float32)
    down, across = np.meshgrid(line, line, indexing="ij")
    return down, across
