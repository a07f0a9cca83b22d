"""Drawn axial slices of a head CT in a brain window: skull, brain, ventricles, and in half of the patients a bleed.

Densities are Hounsfield units. Slices without a bleed carry what a reader must not mistake for one: calcifications, a
bright falx and sinus, partial volume of the skull, asymmetry; and those with one carry the same.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mstl_edge.data.phantom.anatomy import Head, laid_out
from mstl_edge.data.phantom.bleeds import add_bleed
from mstl_edge.data.phantom.drawing import Picture, below, between, chance, detected, grid, line, posed, smooth_noise
from mstl_edge.data.phantom.mimics import add_mimics

LABELS = ("hemorrhage", "normal")

_BLEED_SHOWS = 5.0
"""Hounsfield units above what lay there before, from which on a pixel counts as bleed; fresh blood is 25 to 60 above brain."""


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


def _drawn(label: str, anatomy: Generator, exposure: Generator) -> tuple[Head, Picture]:
    """Return a head, and its densities before the bleed."""
    head = laid_out(anatomy, exposure)
    add_mimics(head, anatomy)
    before = head.density.copy()
    if label == "hemorrhage":
        add_bleed(head, anatomy)
    return head, before


def _scanned(head: Head, rng: Generator) -> NDArray[np.uint8]:
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
