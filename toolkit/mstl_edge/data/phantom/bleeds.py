"""Five kinds of bleeds in a head CT, each with its share of the slices that have one."""

from __future__ import annotations

import math

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


def _blood(rng: Generator) -> float:
    """Fresh blood, or some days old and fading towards brain."""
    return between(rng, 62, 84)


def _clot(rng: Generator) -> Picture:
    return np.float32(_blood(rng)) + np.float32(between(rng, 1, 5)) * smooth_noise(rng, 24)


def _epidural(head: Head, rng: Generator) -> None:
    """A lens between skull and dura: sharp, bulging inwards."""
    angle = between(rng, 0, 360)
    long, deep = between(rng, 0.3, 0.5), between(rng, 0.16, 0.28)
    away = between(rng, 0.93, 1.0)
    center = (0.8 * away * math.cos(math.radians(angle)), away * math.sin(math.radians(angle)))
    lens = ellipse(head.u, head.v, center, (deep, long), angle, 0.03)
    blend(head.density, below(head.r, 1.0, head.soft) * lens, _clot(rng))


def _subdural(head: Head, rng: Generator) -> None:
    """A crescent along the inner table, thin and long, tapering at both ends; sometimes layered with older blood."""
    towards = cosine_towards(head, float(rng.choice([0, 180])) + between(rng, -50, 50))
    opening = between(rng, 0.0, 0.6)
    thickness = np.float32(between(rng, 0.13, 0.25)) * np.sqrt(np.clip((towards - opening) / (1 - opening), 0, 1))
    thickness = thickness * (1 + np.float32(0.15) * smooth_noise(rng, 6)) - np.float32(0.01)
    crescent = below(-head.r, -(1 - thickness), 0.03) * below(head.r, 1.0, head.soft)
    blend(head.density, crescent, _clot(rng))


def _intraparenchymal(head: Head, rng: Generator) -> None:
    """A clot within the brain, ragged, in a dark rim of oedema."""
    size = (between(rng, 0.13, 0.28), between(rng, 0.13, 0.28))
    u, v = posed(head.u, head.v, spot(rng, 0.65), between(rng, 0, 180))
    ragged = radius(u, v, *size) + np.float32(0.15) * smooth_noise(rng, 12)
    blend(head.density, head.brain * below(ragged, between(rng, 1.1, 1.6), 0.4) * np.float32(0.6), 17.0)
    blend(head.density, head.brain * below(ragged, 1.0, 0.03 / min(size)), _clot(rng))


def _subarachnoid(head: Head, rng: Generator) -> None:
    """Blood instead of fluid in the sulci of a region and in the basal cisterns."""
    region = below(radius(*posed(head.u, head.v, spot(rng, 0.9), 0), 0.8, 0.8), 1.0, 0.4)
    furrows = np.maximum(head.sulci, line(smooth_noise(rng, 12), 0.3) * head.brain * below(-head.r, -0.5, 0.3))
    blend(head.density, np.maximum(furrows * region, head.cisterns) * np.float32(between(rng, 0.75, 1.0)), _clot(rng))


def _intraventricular(head: Head, rng: Generator) -> None:
    """Blood that settled in the back of the ventricles, or a cast of one of them."""
    if float(head.ventricles.max()) < 0.5:
        _intraparenchymal(head, rng)
        return
    level = between(rng, -0.2, 0.25)
    where = below(-head.v, -level, 0.04) if chance(rng, 0.5) else below(head.u * float(rng.choice([-1, 1])), 0.0, 0.04)
    wider = np.clip(head.ventricles * 2, 0, 1)
    blend(head.density, wider * where, _clot(rng))
    if chance(rng, 0.4):
        _intraparenchymal(head, rng)


_BLEEDS = (_epidural, _subdural, _intraparenchymal, _subarachnoid, _intraventricular)
_BLEED_SHARES = (0.2, 0.25, 0.25, 0.15, 0.15)


def add_bleed(head: Head, rng: Generator) -> None:
    """Add a bleed of one kind to a head."""
    _BLEEDS[int(rng.choice(len(_BLEEDS), p=_BLEED_SHARES))](head, rng)
