"""What is bright in a head CT without being a bleed: calcifications, falx and sinus, partial volume; and old infarcts."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mstl_edge.data.phantom.anatomy import Head, blend, cosine_towards, spot
from mstl_edge.data.phantom.drawing import (
    Picture,
    below,
    between,
    chance,
    ellipse,
    line,
    posed,
    radius,
    smooth_noise,
)


def add_mimics(head: Head, rng: Generator) -> None:
    """Add what a reader must not mistake for a bleed."""
    inside = below(head.r, 1.0, head.soft)
    midline = head.u + np.float32(between(rng, -0.05, 0.05)) * head.v * head.v
    far = below(-np.abs(head.v), -between(rng, 0.45, 0.7), 0.1)
    blend(head.density, inside * line(midline, 0.02) * far, between(rng, 38, 52))
    if chance(rng, 0.4):
        sinus = ellipse(head.u, head.v, (0, between(rng, 0.9, 0.97)), (0.09, 0.07), 0, 0.05)
        blend(head.density, inside * sinus, between(rng, 42, 55))
    for _ in range(int(rng.integers(0, 3))):
        _add_calcification(head, rng)
    if chance(rng, 0.2):
        _add_partial_volume(head, rng, inside)
    if chance(rng, 0.3):
        _add_old_infarct(head, rng)
    if chance(rng, 0.15):
        tangle = ellipse(head.u, head.v, spot(rng, 0.55), (0.2, 0.2), 0, 0.2) * line(smooth_noise(rng, 10), 0.2)
        blend(head.density, head.brain * tangle, between(rng, 42, 55))


def _add_calcification(head: Head, rng: Generator) -> None:
    """Pineal gland, both choroid plexus, or anywhere: small, sharp, dense."""
    size = between(rng, 0.02, 0.045)
    value = between(rng, 70, 220)
    kind = rng.random()
    if kind < 0.35:
        spots = ellipse(head.u, head.v, (between(rng, -0.02, 0.02), 0.2), (size, size), 0, 0.02)
    elif kind < 0.7:
        spots = ellipse(np.abs(head.u), head.v, (0.22, 0.36), (size, 1.4 * size), 0, 0.02)
        spots = spots * (1 - below(head.u * np.float32(rng.choice([-1, 1])), 0.0, 0.02) * float(chance(rng, 0.4)))
    else:
        spots = ellipse(head.u, head.v, spot(rng, 0.8), (size, size), 0, 0.02)
    blend(head.density, head.brain * spots, value)


def _add_partial_volume(head: Head, rng: Generator, inside: Picture) -> None:
    """The skull curves through the slice: a bright veil along a part of the inner table, without a sharp inner border."""
    towards = cosine_towards(head, between(rng, 0, 360))
    depth = between(rng, 0.1, 0.25)
    veil = np.clip((head.r - np.float32(1 - depth)) * np.float32(1 / depth), 0, 1) * below(-towards, -0.7, 0.4)
    head.density += inside * veil * veil * np.float32(between(rng, 10, 30))


def _add_old_infarct(head: Head, rng: Generator) -> None:
    size = (between(rng, 0.1, 0.28), between(rng, 0.1, 0.28))
    ragged = radius(*posed(head.u, head.v, spot(rng, 0.7), between(rng, 0, 180)), *size) + 0.25 * smooth_noise(rng, 8)
    blend(head.density, head.brain * below(ragged, 1.0, 0.3) * np.float32(between(rng, 0.3, 0.9)), 14.0)
