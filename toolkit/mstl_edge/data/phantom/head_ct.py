"""Drawn axial slices of a head CT in a brain window: skull, brain, ventricles, and in half of the patients a bleed.

Densities are Hounsfield units. Slices without a bleed carry what a reader must not mistake for one: calcifications, a
bright falx and sinus, partial volume of the skull, asymmetry; and those with one carry the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mstl_edge.data.phantom.drawing import (
    Picture,
    below,
    between,
    chance,
    detected,
    ellipse,
    grid,
    line,
    posed,
    radius,
    smooth_noise,
    wobble,
)

LABELS = ("hemorrhage", "normal")

_BLEED_SHOWS = 5.0
"""Hounsfield units above what lay there before, from which on a pixel counts as bleed; fresh blood is 25 to 60 above brain."""
_AIR, _FAT, _FLUID, _WHITE, _GREY, _BONE = -1000.0, -40.0, 7.0, 27.0, 37.0, 900.0


@dataclass
class _Head:
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


def draw(label: str, anatomy: Generator, exposure: Generator) -> NDArray[np.uint8]:
    """Draw one slice.

    Args:
        label: `hemorrhage` or `normal`.
        anatomy: Decides the patient and the bleed; the same for every image of a patient.
        exposure: Decides position, window, noise and artifacts of this image.

    Returns:
        `(SIDE, SIDE) uint8`.
    """
    head, _ = _drawn(label, anatomy, exposure)
    return _scanned(head, exposure)


def lesion(label: str, anatomy: Generator, exposure: Generator) -> NDArray[np.bool_]:
    """Return where the bleed of the slice that `draw` gives for the same arguments lies, `(SIDE, SIDE)`; all False without one."""
    head, before = _drawn(label, anatomy, exposure)
    return np.asarray(head.density - before > _BLEED_SHOWS)


def _drawn(label: str, anatomy: Generator, exposure: Generator) -> tuple[_Head, Picture]:
    """Return a head, and its densities before the bleed."""
    head = _head(anatomy, exposure)
    _add_mimics(head, anatomy)
    before = head.density.copy()
    if label == "hemorrhage":
        _BLEEDS[int(anatomy.choice(len(_BLEEDS), p=_BLEED_SHARES))](head, anatomy)
    return head, before


def _head(anatomy: Generator, exposure: Generator) -> _Head:
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
    _blend(density, below(r, 1 + scalp, soft), between(anatomy, _FAT, 40.0))
    _blend(density, below(r, 1 + bone, soft), _BONE * between(anatomy, 0.7, 1.2))
    _blend(density, below(r, 1.0, soft), _FLUID)
    brain = below(r, 1 - gap, soft)
    folds = smooth_noise(anatomy, 18)
    white = below(r + 0.07 * folds, between(anatomy, 0.76, 0.88), 0.1)
    _blend(density, brain, _GREY)
    _blend(density, brain * white, _WHITE)
    sulci = line(smooth_noise(anatomy, 14), between(anatomy, 0.1, 0.35)) * below(
        -r, -between(anatomy, 0.68, 0.82), 0.15
    )
    _blend(density, brain * sulci * np.float32(0.8), _FLUID)

    ventricles, cisterns = _fluid_spaces(u, v, anatomy)
    deep = ellipse(np.abs(u), v, (0.24, 0.05), (0.13, 0.22), 15, 0.1) * float(cisterns.max() < 0.5)
    _blend(density, brain * deep, _GREY - 1)
    _blend(density, brain * np.maximum(ventricles, cisterns), _FLUID)
    return _Head(u, v, r, density, brain, size, sulci * brain, ventricles * brain, cisterns * brain, soft)


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


def _blend(density: Picture, mask: Picture, value: float | Picture) -> None:
    """Replace `density` by `value` where `mask` is 1, in proportion where it is less."""
    density += mask * (np.asarray(value, dtype=np.float32) - density)


# What is bright without being a bleed.


def _add_mimics(head: _Head, rng: Generator) -> None:
    inside = below(head.r, 1.0, head.soft)
    midline = head.u + np.float32(between(rng, -0.05, 0.05)) * head.v * head.v
    far = below(-np.abs(head.v), -between(rng, 0.45, 0.7), 0.1)
    _blend(head.density, inside * line(midline, 0.02) * far, between(rng, 38, 52))
    if chance(rng, 0.4):
        sinus = ellipse(head.u, head.v, (0, between(rng, 0.9, 0.97)), (0.09, 0.07), 0, 0.05)
        _blend(head.density, inside * sinus, between(rng, 42, 55))
    for _ in range(int(rng.integers(0, 3))):
        _add_calcification(head, rng)
    if chance(rng, 0.2):
        _add_partial_volume(head, rng, inside)
    if chance(rng, 0.3):
        _add_old_infarct(head, rng)
    if chance(rng, 0.15):
        tangle = ellipse(head.u, head.v, _spot(rng, 0.55), (0.2, 0.2), 0, 0.2) * line(smooth_noise(rng, 10), 0.2)
        _blend(head.density, head.brain * tangle, between(rng, 42, 55))


def _spot(rng: Generator, reach: float) -> tuple[float, float]:
    """Return a place in the brain, at most `reach` from its centre."""
    distance, angle = reach * math.sqrt(rng.random()), between(rng, 0, 2 * math.pi)
    return 0.75 * distance * math.cos(angle), distance * math.sin(angle)


def _add_calcification(head: _Head, rng: Generator) -> None:
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
        spots = ellipse(head.u, head.v, _spot(rng, 0.8), (size, size), 0, 0.02)
    _blend(head.density, head.brain * spots, value)


def _add_partial_volume(head: _Head, rng: Generator, inside: Picture) -> None:
    """The skull curves through the slice: a bright veil along a part of the inner table, without a sharp inner border."""
    towards = _towards(head, between(rng, 0, 360))
    depth = between(rng, 0.1, 0.25)
    veil = np.clip((head.r - np.float32(1 - depth)) * np.float32(1 / depth), 0, 1) * below(-towards, -0.7, 0.4)
    head.density += inside * veil * veil * np.float32(between(rng, 10, 30))


def _add_old_infarct(head: _Head, rng: Generator) -> None:
    size = (between(rng, 0.1, 0.28), between(rng, 0.1, 0.28))
    ragged = radius(*posed(head.u, head.v, _spot(rng, 0.7), between(rng, 0, 180)), *size) + 0.25 * smooth_noise(rng, 8)
    _blend(head.density, head.brain * below(ragged, 1.0, 0.3) * np.float32(between(rng, 0.3, 0.9)), 14.0)


def _towards(head: _Head, degrees: float) -> Picture:
    """Return the cosine of the angle between each pixel and a direction, seen from the head's centre."""
    angle = math.radians(degrees)
    distance: Picture = np.sqrt(head.u * head.u + head.v * head.v) + np.float32(1e-3)
    along = np.float32(math.cos(angle)) * head.u + np.float32(math.sin(angle)) * head.v
    cosine: Picture = np.divide(along, distance)
    return cosine


# Bleeds.


def _blood(rng: Generator) -> float:
    """Fresh blood, or some days old and fading towards brain."""
    return between(rng, 62, 84)


def _clot(rng: Generator) -> Picture:
    return np.float32(_blood(rng)) + np.float32(between(rng, 1, 5)) * smooth_noise(rng, 24)


def _epidural(head: _Head, rng: Generator) -> None:
    """A lens between skull and dura: sharp, bulging inwards."""
    angle = between(rng, 0, 360)
    long, deep = between(rng, 0.3, 0.5), between(rng, 0.16, 0.28)
    away = between(rng, 0.93, 1.0)
    center = (0.8 * away * math.cos(math.radians(angle)), away * math.sin(math.radians(angle)))
    lens = ellipse(head.u, head.v, center, (deep, long), angle, 0.03)
    _blend(head.density, below(head.r, 1.0, head.soft) * lens, _clot(rng))


def _subdural(head: _Head, rng: Generator) -> None:
    """A crescent along the inner table, thin and long, tapering at both ends; sometimes layered with older blood."""
    towards = _towards(head, float(rng.choice([0, 180])) + between(rng, -50, 50))
    opening = between(rng, 0.0, 0.6)
    thickness = np.float32(between(rng, 0.13, 0.25)) * np.sqrt(np.clip((towards - opening) / (1 - opening), 0, 1))
    thickness = thickness * (1 + np.float32(0.15) * smooth_noise(rng, 6)) - np.float32(0.01)
    crescent = below(-head.r, -(1 - thickness), 0.03) * below(head.r, 1.0, head.soft)
    _blend(head.density, crescent, _clot(rng))


def _intraparenchymal(head: _Head, rng: Generator) -> None:
    """A clot within the brain, ragged, in a dark rim of oedema."""
    size = (between(rng, 0.13, 0.28), between(rng, 0.13, 0.28))
    u, v = posed(head.u, head.v, _spot(rng, 0.65), between(rng, 0, 180))
    ragged = radius(u, v, *size) + np.float32(0.15) * smooth_noise(rng, 12)
    _blend(head.density, head.brain * below(ragged, between(rng, 1.1, 1.6), 0.4) * np.float32(0.6), 17.0)
    _blend(head.density, head.brain * below(ragged, 1.0, 0.03 / min(size)), _clot(rng))


def _subarachnoid(head: _Head, rng: Generator) -> None:
    """Blood instead of fluid in the sulci of a region and in the basal cisterns."""
    region = below(radius(*posed(head.u, head.v, _spot(rng, 0.9), 0), 0.8, 0.8), 1.0, 0.4)
    furrows = np.maximum(head.sulci, line(smooth_noise(rng, 12), 0.3) * head.brain * below(-head.r, -0.5, 0.3))
    _blend(head.density, np.maximum(furrows * region, head.cisterns) * np.float32(between(rng, 0.75, 1.0)), _clot(rng))


def _intraventricular(head: _Head, rng: Generator) -> None:
    """Blood that settled in the back of the ventricles, or a cast of one of them."""
    if float(head.ventricles.max()) < 0.5:
        _intraparenchymal(head, rng)
        return
    level = between(rng, -0.2, 0.25)
    where = below(-head.v, -level, 0.04) if chance(rng, 0.5) else below(head.u * float(rng.choice([-1, 1])), 0.0, 0.04)
    wider = np.clip(head.ventricles * 2, 0, 1)
    _blend(head.density, wider * where, _clot(rng))
    if chance(rng, 0.4):
        _intraparenchymal(head, rng)


_BLEEDS = (_epidural, _subdural, _intraparenchymal, _subarachnoid, _intraventricular)
_BLEED_SHARES = (0.2, 0.25, 0.25, 0.15, 0.15)


# The scanner.


def _scanned(head: _Head, rng: Generator) -> NDArray[np.uint8]:
    """Add what the scanner adds, and look through a brain window."""
    x, y = grid()
    density = np.clip(head.density, -1000, 1400)
    inside = below(head.r, 1.0, head.soft)
    density += inside * np.float32(between(rng, 0, 4)) * smooth_noise(rng, 5)
    density += inside * np.float32(between(rng, 0, 14)) * np.clip(head.r - np.float32(0.6), 0, 1)  # cupping
    if chance(rng, 0.3):
        _, across = posed(x, y, (between(rng, -0.3, 0.3), between(rng, -0.3, 0.3)), between(rng, 0, 180))
        density += inside * line(across, between(rng, 0.03, 0.09)) * np.float32(between(rng, -14, 14))
    if chance(rng, 0.35):
        arc = np.sqrt(x * x + (y + 0.2) ** 2) - np.float32(between(rng, 1.1, 1.25))
        density = np.maximum(density, line(arc, 0.03) * below(-y, -0.3, 0.2) * 1100 - 1000)
    level, width = between(rng, 33, 45), between(rng, 75, 110)
    picture = np.clip((density - np.float32(level)) * np.float32(1 / width) + np.float32(0.5), 0, 1)
    return detected(picture, rng, noise=between(rng, 0.015, 0.045), blur_px=between(rng, 0.5, 1.1))
