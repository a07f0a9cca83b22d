"""Drawn frontal chest radiographs: body, lungs, ribs, heart, and in half of the patients the opacities of a pneumonia.

Grey levels are 0 (air, black) to 1 (bone, white). Films without pneumonia carry what a reader must not mistake for one: breast
shadows, a large heart, cables, crowded vessels, poor inspiration; and those with one carry the same.
"""

from __future__ import annotations

from dataclasses import dataclass

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

LABELS = ("normal", "pneumonia")


@dataclass
class _Chest:
    """One patient's chest: its own coordinates, the lungs (left and right in the picture), and the film so far."""

    u: Picture
    v: Picture
    lungs: tuple[Picture, Picture]
    film: Picture


def draw(label: str, anatomy: Generator, exposure: Generator) -> NDArray[np.uint8]:
    """Draw one film.

    Args:
        label: `normal` or `pneumonia`.
        anatomy: Decides the patient and the pneumonia; the same for every image of a patient.
        exposure: Decides position, exposure, noise and markers of this image.

    Returns:
        `(SIDE, SIDE) uint8`.
    """
    chest = _chest(anatomy, exposure)
    if label == "pneumonia":
        _OPACITIES[int(anatomy.choice(len(_OPACITIES), p=_OPACITY_SHARES))](chest, anatomy)
    _add_bones(chest, anatomy)
    _add_mimics(chest, anatomy)
    return _exposed(chest, exposure)


def _chest(anatomy: Generator, exposure: Generator) -> _Chest:
    """Lay out body, lungs, heart and vessels; the patient decides the form, the image where and how it lies."""
    size = between(anatomy, 0.85, 1.1) * between(exposure, 0.95, 1.05)
    x, y = grid()
    center = (between(exposure, -0.08, 0.08), between(exposure, -0.06, 0.1))
    u, v = posed(x, y, center, between(exposure, -5, 5))
    u, v = u * np.float32(1 / size), v * np.float32(1 / size)

    body = below(np.abs(u) + 0.12 * wobble(anatomy, u, v, 0.2), 0.92 - 0.35 * np.clip(-0.6 - v, 0, 1), 0.06)
    film = body * np.float32(between(anatomy, 0.58, 0.72))
    lungs = (_lung(-u, v, anatomy), _lung(u, v, anatomy))
    air = np.maximum(*lungs)
    film -= air * np.float32(between(anatomy, 0.3, 0.45))
    heart = ellipse(
        u,
        v,
        (between(anatomy, 0.08, 0.16), 0.3),
        (between(anatomy, 0.26, 0.42), between(anatomy, 0.26, 0.36)),
        -35,
        0.07,
    )
    film += air * heart * np.float32(between(anatomy, 0.25, 0.4))
    for center_u in (-0.17, 0.2):
        hilum = ellipse(u, v, (center_u, between(anatomy, -0.08, 0.08)), (0.12, 0.17), 10, 0.2)
        film += air * hilum * np.float32(between(anatomy, 0.05, 0.14))
    vessels = line(smooth_noise(anatomy, 22), 0.35) * np.clip(1 - np.abs(u) * 1.3, 0, 1)
    film += air * vessels * np.float32(between(anatomy, 0.04, 0.13))
    film += body * below(np.abs(u), 0.09, 0.06) * np.float32(between(anatomy, 0.04, 0.14))
    windpipe = below(np.abs(u - np.float32(between(anatomy, -0.03, 0.03))), 0.045, 0.04) * below(v, -0.25, 0.15)
    film -= body * windpipe * np.float32(between(anatomy, 0.06, 0.14))
    return _Chest(u, v, lungs, film)


def _lung(u: Picture, v: Picture, rng: Generator) -> Picture:
    """Return one lung, at positive `u`: a tall oval, cut by the mediastinum and by the dome of the diaphragm."""
    middle, floor = between(rng, 0.4, 0.46), between(rng, 0.42, 0.68)
    tall = ellipse(
        u, v, (middle, between(rng, -0.05, 0.02)), (between(rng, 0.32, 0.38), between(rng, 0.75, 0.85)), -4, 0.05
    )
    dome = np.float32(floor) + np.float32(between(rng, 0.9, 1.6)) * (u - np.float32(middle - 0.08)) ** 2
    lung: Picture = tall * below(v, dome, 0.05) * below(-u, -between(rng, 0.1, 0.15), 0.06)
    return lung


def _add_bones(chest: _Chest, rng: Generator) -> None:
    """Ribs behind (falling outwards), fainter ribs in front (rising outwards), and the clavicles."""
    u, v = chest.u, chest.v
    cage = below(radius(u, v, 0.86, 0.95), 1.0, 0.08)
    out = np.abs(u)
    spacing, begin, steep = between(rng, 0.15, 0.2), between(rng, 0, 1), between(rng, 0.2, 0.6)
    fall = np.float32(steep) * out - np.float32(between(rng, 0.5, 0.8)) * out * (0.6 - out)
    for side, direction, strength in (
        (fall, 1.0, between(rng, 0.06, 0.15)),
        (-0.7 * out, 1.0, between(rng, 0.01, 0.06)),
    ):
        phase = ((v - direction * side) / np.float32(spacing) + np.float32(begin)) % 1 - np.float32(0.5)
        rib = below(np.abs(phase), 0.24, 0.14)
        border = line(np.abs(phase) - np.float32(0.24), 0.08)
        chest.film += cage * (rib + np.float32(0.4) * border) * np.float32(strength) * below(-out, -0.1, 0.08)
        begin += 0.4
    lift = between(rng, 0.05, 0.25)
    clavicle = line(
        v + np.float32(between(rng, 0.62, 0.75)) + np.float32(lift) * (out - np.float32(0.15)), 0.06
    ) * below(out, 0.7, 0.1)
    chest.film += clavicle * below(-out, -0.1, 0.06) * np.float32(between(rng, 0.08, 0.2))


def _add_mimics(chest: _Chest, rng: Generator) -> None:
    """Bright things in and over the lungs that are no pneumonia."""
    u, v, film = chest.u, chest.v, chest.film
    if chance(rng, 0.45):
        place, size = (between(rng, 0.38, 0.5), between(rng, 0.2, 0.45)), between(rng, 0.24, 0.36)
        film += ellipse(np.abs(u), v, place, (size, 0.9 * size), 0, 0.12) * np.float32(between(rng, 0.04, 0.15))
    if chance(rng, 0.35):
        cable = line(u - np.float32(between(rng, -0.5, 0.5)) + np.float32(between(rng, -0.6, 0.6)) * v * v, 0.025)
        film += cable * np.float32(between(rng, 0.1, 0.3))
    if chance(rng, 0.3):
        button = ellipse(u, v, (between(rng, -0.6, 0.6), between(rng, -0.6, 0.6)), (0.045, 0.045), 0, 0.02)
        film += button * np.float32(between(rng, 0.2, 0.4))
    if chance(rng, 0.3):
        scapula = line(posed(np.abs(u), v, (between(rng, 0.62, 0.75), -0.3), between(rng, -15, 15))[0], 0.16)
        film += scapula * below(np.abs(v + np.float32(0.3)), 0.35, 0.2) * np.float32(between(rng, 0.05, 0.12))


# Pneumonia: air gives way to fluid, in one lobe, in patches, or along the walls of the air spaces.


def _lobar(chest: _Chest, rng: Generator) -> None:
    """One large opacity, sharp on the side of a fissure, with dark air-filled bronchi in it."""
    lung, place = _place(chest, rng)
    u, v = posed(chest.u, chest.v, place, between(rng, -40, 40))
    ragged = radius(u, v, between(rng, 0.16, 0.34), between(rng, 0.14, 0.26)) + np.float32(0.2) * smooth_noise(rng, 8)
    opacity = below(ragged, 1.0, 0.6)
    if chance(rng, 0.5):
        opacity = opacity * below(v, between(rng, 0.0, 0.1), 0.05)
    opacity = opacity * (1 - np.float32(0.4) * line(smooth_noise(rng, 16), 0.2))
    chest.film += lung * opacity * np.float32(between(rng, 0.24, 0.4))


def _patchy(chest: _Chest, rng: Generator) -> None:
    """Several ill-defined opacities in one or both lungs."""
    for _ in range(int(rng.integers(2, 6))):
        lung, place = _place(chest, rng)
        size = between(rng, 0.1, 0.2)
        ragged = radius(chest.u - np.float32(place[0]), chest.v - np.float32(place[1]), size, size)
        opacity = below(ragged + np.float32(0.3) * smooth_noise(rng, 14), 1.0, 0.9)
        chest.film += lung * opacity * np.float32(between(rng, 0.22, 0.38))


def _interstitial(chest: _Chest, rng: Generator) -> None:
    """A coarse net over a large part of a lung, or of both."""
    net = line(smooth_noise(rng, 26), 0.4) + np.float32(0.6) * line(smooth_noise(rng, 18), 0.4)
    chosen = chest.lungs if chance(rng, 0.6) else (chest.lungs[int(rng.integers(2))],)
    for lung in chosen:
        fading = np.clip(np.float32(between(rng, 0.5, 0.9)) + np.float32(between(rng, -0.6, 0.9)) * chest.v, 0, 1)
        chest.film += lung * fading * net * np.float32(between(rng, 0.16, 0.26))


def _place(chest: _Chest, rng: Generator) -> tuple[Picture, tuple[float, float]]:
    """Return one lung and a place in it."""
    side = int(rng.integers(2))
    across = between(rng, 0.25, 0.6)
    return chest.lungs[side], (across if side else -across, between(rng, -0.4, 0.45))


_OPACITIES = (_lobar, _patchy, _interstitial)
_OPACITY_SHARES = (0.4, 0.35, 0.25)


def _exposed(chest: _Chest, rng: Generator) -> NDArray[np.uint8]:
    """Add scatter, exposure, contrast, a side marker and grain."""
    x, y = grid()
    tilt = np.float32(between(rng, -0.06, 0.06)) * x + np.float32(between(rng, -0.06, 0.06)) * y
    film = (chest.film + tilt - np.float32(0.4)) * np.float32(between(rng, 0.8, 1.3)) + np.float32(
        between(rng, 0.34, 0.5)
    )
    film += np.float32(between(rng, 0, 0.03)) * smooth_noise(rng, 6)
    if chance(rng, 0.4):
        corner = (float(rng.choice([-0.85, 0.85])), between(rng, -0.9, -0.7))
        film = np.maximum(film, np.float32(0.9) * ellipse(x, y, corner, (0.03, 0.06), between(rng, -20, 20), 0.02))
    return detected(np.clip(film, 0, 1), rng, noise=between(rng, 0.008, 0.025), blur_px=between(rng, 0.5, 1.1))
