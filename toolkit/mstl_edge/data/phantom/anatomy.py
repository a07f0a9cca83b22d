"""A head in one axial slice: skull, brain, the spaces of fluid in it, and coordinates to draw further things by.

Densities are Hounsfield units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from mstl_edge.data.phantom.drawing import (
    Picture,
    below,
    between,
    chance,
    ellipse,
    grid,
    line,
    posed,
    radius,
    smooth_noise,
    wobble,
)

_AIR, _FAT, _FLUID, _WHITE, _GREY, _BONE = -1000.0, -40.0, 7.0, 27.0, 37.0, 900.0


@dataclass
class Head:
    """One patient's head: coordinates of its own, `r` (1 on the inner table of the skull), and what is drawn so far."""

    u: Picture
    v: Picture
    r: Picture
    density: Picture
    brain: Picture
    size: float
    sulci: Picture
    ventricles: Picture
    cisterns: Picture
    soft: float = field(default=0.02)


def laid_out(anatomy: Generator, exposure: Generator) -> Head:
    """Lay out skull and brain; the patient decides the form, the image where and how it lies."""
    size, slim = between(anatomy, 0.66, 0.86), between(anatomy, 0.74, 0.88)
    tilt = between(anatomy, -12, 12) + between(exposure, -6, 6)
    center = (between(exposure, -0.1, 0.1), between(exposure, -0.08, 0.08))
    x, y = grid()
    u, v = posed(x, y, center, tilt)
    u, v = u * np.float32(1 / size), v * np.float32(1 / size)
    if chance(anatomy, 0.5):
        u = -u
    outline = 1 + wobble(anatomy, u, v, 0.03)
    r = radius(u, v, slim, 1.0) / outline
    soft = 0.025 / size

    bone = between(anatomy, 0.06, 0.13) * (1 + 2 * wobble(anatomy, u, v, 0.15))
    scalp = bone + between(anatomy, 0.04, 0.12) * (1 + wobble(anatomy, u, v, 0.2))
    gap = between(anatomy, 0.0, 0.05) * (1 + wobble(anatomy, u, v, 0.3))
    density = np.full_like(u, _AIR)
    blend(density, below(r, 1 + scalp, soft), between(anatomy, _FAT, 40.0))
    blend(density, below(r, 1 + bone, soft), _BONE * between(anatomy, 0.7, 1.2))
    blend(density, below(r, 1.0, soft), _FLUID)
    brain = below(r, 1 - gap, soft)
    furrows = smooth_noise(anatomy, 18)
    white = below(r + 0.07 * furrows, between(anatomy, 0.76, 0.88), 0.1)
    blend(density, brain, _GREY)
    blend(density, brain * white, _WHITE)
    sulci = line(smooth_noise(anatomy, 14), between(anatomy, 0.1, 0.35)) * below(
        -r, -between(anatomy, 0.68, 0.82), 0.15
    )
    blend(density, brain * sulci * np.float32(0.8), _FLUID)

    ventricles, cisterns = _fluid_spaces(u, v, anatomy)
    deep = ellipse(np.abs(u), v, (0.24, 0.05), (0.13, 0.22), 15, 0.1) * float(cisterns.max() < 0.5)
    blend(density, brain * deep, _GREY - 1)
    blend(density, brain * np.maximum(ventricles, cisterns), _FLUID)
    return Head(u, v, r, density, brain, size, sulci * brain, ventricles * brain, cisterns * brain, soft)


def _fluid_spaces(u: Picture, v: Picture, rng: Generator) -> tuple[Picture, Picture]:
    """Return ventricles and basal cisterns of a low, a middle or a high slice."""
    nothing = np.zeros_like(u)
    level = rng.random()
    wide = between(rng, 0.6, 1.6)
    lean = between(rng, -0.02, 0.02)
    u = u - np.float32(lean)
    side = np.abs(u) * np.float32(1 + lean * 4) - np.float32(0.03) * (u > 0) * np.float32(between(rng, -1, 1))
    if level < 0.25:
        star = np.minimum(np.abs(v - 0.35 * np.abs(u) + 0.02), np.abs(np.abs(u) - 0.25 + 0.5 * v))
        reach = below(radius(u, v, 0.34, 0.3), 1.0, 0.3)
        fourth = ellipse(u, v, (0, 0.42), (0.07 * wide, 0.05 * wide), 0, 0.03)
        return fourth, line(star, 0.05 * wide) * reach
    if level > 0.85:
        return nothing, nothing
    front = ellipse(side, v, (0.11, -0.28), (0.05 * wide, 0.2), -22, 0.03)
    back = ellipse(side, v, (0.22, 0.36), (0.055 * wide, 0.19), 25, 0.03)
    third = ellipse(u, v, (0, 0.04), (0.022 * wide, 0.13), 0, 0.03)
    body = ellipse(side, v, (0.13, 0.05), (0.06 * wide, 0.38), 0, 0.03)
    if level < 0.65:
        return np.maximum(np.maximum(front, back), third), nothing
    return body, nothing


def blend(density: Picture, mask: Picture, value: float | Picture) -> None:
    """Replace `density` by `value` where `mask` is 1, in proportion where it is less."""
    density += mask * (np.asarray(value, dtype=np.float32) - density)


def spot(rng: Generator, reach: float) -> tuple[float, float]:
    """Return a place in the brain, at most `reach` from its centre."""
    distance, angle = reach * math.sqrt(rng.random()), between(rng, 0, 2 * math.pi)
    return 0.75 * distance * math.cos(angle), distance * math.sin(angle)


def cosine_towards(head: Head, degrees: float) -> Picture:
    """Return the cosine of the angle between each pixel and a direction, seen from the head's centre."""
    angle = math.radians(degrees)
    distance: Picture = np.sqrt(head.u * head.u + head.v * head.v) + np.float32(1e-3)
    along = np.float32(math.cos(angle)) * head.u + np.float32(math.sin(angle)) * head.v
    cosine: Picture = np.divide(along, distance)
    return cosine
