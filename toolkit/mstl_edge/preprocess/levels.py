"""Grey of more than eight bits → eight bits: which levels become 0 and 255, and pixels that stray far from all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.preprocess.hearing import remark
from mstl_edge.preprocess.tiff import is_min_is_white, is_unsigned, sample_bits
from mstl_edge.recipe import PreprocessSpec

MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes that hold such grey."""

STRAYS_PER = 1000
"""At most one pixel in so many may stray: dead and hot pixels, a burned-in letter. Fewer pixels than this have no strays."""
STRAY_GAP = 3.0
"""How many times the range of all others lies empty before a stray, so that they would share a quarter of the grey levels."""
SMALLEST_RANGE = 256
"""Whole-numbered levels that fit into eight bits are left as they are: few bright pixels may be what the picture shows."""

_BAND_PIXELS = 1 << 20
_Levels = NDArray[Any]


def windowed(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Return grey of 16 or 32 bits as `L`: the window's ends become 0 and 255, what lies outside is clipped.

    An empty `spec.window` takes the image's own least and greatest level. Where at most a thousandth of the pixels lies so far from
    all others that these would share a quarter of the grey levels (a 12-bit picture with one dead pixel of 65,535), those strays
    are left out of the range and clipped; it is said (`hearing.remark`). An image without such a gap is not touched by this rule.

    A TIFF whose least level is white is turned over at its full depth (16 bits: `65535 − level`) before the window is applied, so
    that it gives the pixels of its MinIsBlack twin; floating point, which has no depth, within the window.
    NaN and infinities count as 0. Works in bands, so that a large image costs its stored levels and one byte a pixel.
    """
    low, high = spec.window or _own_range(image)
    height, width = image.height, image.width
    pixels = np.empty((height, width), np.uint8)
    over = image.mode == "F" and is_min_is_white(image)
    table = _scaled(np.arange(65536, dtype=np.float32), low, high) if _has_16_bits(image) else None
    for top, levels in _bands(image):
        band = pixels[top : top + len(levels)]
        if table is not None:
            band[...] = table[levels]
        else:
            floats = levels.astype(np.float32, copy=False)
            band[...] = _scaled(-floats, -high, -low) if over else _scaled(floats, low, high)
    return Image.fromarray(pixels)


def _scaled(levels: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    with np.errstate(over="ignore"):
        scaled = (levels - low) * (255.0 / max(high - low, 1e-6))
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    return scaled.astype(np.uint8)


def _bands(image: Image.Image) -> Iterator[tuple[int, _Levels]]:
    """Yield the first row and the levels `(rows, width)` of one band after the other, black being the least level."""
    rows = max(1, _BAND_PIXELS // image.width)
    over = is_min_is_white(image)
    for top in range(0, image.height, rows):
        whole = rows >= image.height
        band = image if whole else image.crop((0, top, image.width, min(top + rows, image.height)))
        levels: _Levels = np.asarray(band)
        if image.mode == "F":
            levels = np.nan_to_num(levels, nan=0.0, posinf=0.0, neginf=0.0)
        else:
            if image.mode == "I" and is_unsigned(image):
                levels = levels.view(np.uint32)
            if over:
                levels = np.invert(levels) & 0xFFF if sample_bits(image) == 12 else np.invert(levels)
        yield top, levels


def _has_16_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")


def _own_range(image: Image.Image) -> tuple[float, float]:
    """Return the least and the greatest level without strays."""
    strays = image.width * image.height // STRAYS_PER
    lowest, highest = _ends(image, strays)
    smallest = 0 if image.mode == "F" else SMALLEST_RANGE
    above = _stray_count(highest, lowest[-1], smallest)
    below = _stray_count(-lowest, -highest[-1], smallest)
    low, high = float(lowest[below]), float(highest[above])
    for count, which, stray, end in ((above, "above", highest[0], high), (below, "below", lowest[0], low)):
        if count:
            far = f"{count:,} pixel{'s' * (count > 1)} far {which} all others (up to {stray:,.6g}, the others to {end:,.6g})"
            remark(f"{far} left out of the grey range; preprocess.window states a range")
    return low, high


def _stray_count(end: NDArray[np.float64], other_end: float, smallest: int) -> int:
    """Return how many of the outermost levels stray.

    Args:
        end: The greatest levels, falling; the last one counts as one that doesn't stray.
        other_end: The level at the same rank from below.
        smallest: A range of the rest that is too small to ask.
    """
    rest = end[1:] - other_end
    gaps = end[:-1] - end[1:]
    found = np.flatnonzero((rest > 0) & (rest >= smallest) & (gaps >= STRAY_GAP * rest))
    return int(found[-1]) + 1 if found.size else 0


def _ends(image: Image.Image, strays: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the `strays + 1` least levels, rising, and as many greatest, falling."""
    wanted = strays + 1
    if _has_16_bits(image):
        counts = sum(np.bincount(levels.ravel(), minlength=65536) for _, levels in _bands(image))
        present = np.flatnonzero(counts)
        few = np.minimum(np.asarray(counts)[present], wanted)
        return (
            np.repeat(present[:wanted], few[:wanted])[:wanted].astype(np.float64),
            np.repeat(present[::-1][:wanted], few[::-1][:wanted])[:wanted].astype(np.float64),
        )
    lowest = highest = np.empty(0, np.float32)
    for _, levels in _bands(image):
        flat = levels.ravel().astype(np.float32, copy=False)
        lowest = np.concatenate([lowest, flat])
        highest = np.concatenate([highest, flat])
        if lowest.size > wanted:
            lowest = np.partition(lowest, wanted - 1)[:wanted]
        if highest.size > wanted:
            highest = np.partition(highest, highest.size - wanted)[-wanted:]
    return np.sort(lowest).astype(np.float64), np.sort(highest)[::-1].astype(np.float64)
