"""Grey of more than eight bits → eight bits: which levels become 0 and 255, and pixels that stray far from all others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.preprocess.hearing import remark
from mstl_edge.preprocess.tiff import is_min_is_white, is_unsigned, sample_bits
from mstl_edge.recipe import PreprocessSpec, Window, windows_of

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
_Read = Callable[[], Iterable[_Levels]]
"""Gives the levels of an image, band after band."""


def windowed(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Return grey of 16 or 32 bits as `L`, of three windows as `RGB`: a window's ends become 0 and 255, the rest is clipped.

    Without a `spec.window` the image's own least and greatest level are taken. Where at most a thousandth of the pixels lies so far
    from all others that these would share a quarter of the grey levels (a 12-bit picture with a dead pixel of 65,535), those strays
    are left out of the range and clipped; it is said (`hearing.remark`). An image without such a gap is not touched by this rule.

    A TIFF whose least level is white is turned over at its full depth (16 bits: `65535 − level`) before the window is applied, so
    that it gives the pixels of its MinIsBlack twin; floating point, which has no depth, within the window.
    NaN and infinities count as 0. Works in bands, so that a large image costs its stored levels and one byte a pixel.
    """
    kept = list(_bands(image)) if image.width * image.height <= _BAND_PIXELS else None
    windows = windows_of(spec.window) or (own_range(lambda: _bands(image) if kept is None else kept),)
    turned = image.mode == "F" and is_min_is_white(image)
    channels = [np.empty((image.height, image.width), np.uint8) for _ in windows]
    top = 0
    for levels in _bands(image) if kept is None else kept:
        for (low, high), pixels in zip(windows, channels, strict=True):
            floats = levels.astype(np.float32)
            band = scaled(np.negative(floats, out=floats), -high, -low) if turned else scaled(floats, low, high)
            pixels[top : top + len(band)] = band
        top += len(levels)
    return as_image(channels)


def as_image(channels: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Return one channel as `L`, three as `RGB`."""
    images = [Image.fromarray(pixels) for pixels in channels]
    return images[0] if len(images) == 1 else Image.merge("RGB", images)


def scaled(levels: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Return levels as eight bits; `levels` are overwritten."""
    with np.errstate(over="ignore"):
        levels -= np.float32(low)
        levels *= np.float32(255.0 / max(high - low, 1e-6))
    np.rint(levels, out=levels)
    np.clip(levels, 0, 255, out=levels)
    return levels.astype(np.uint8)


def _bands(image: Image.Image) -> Iterator[_Levels]:
    """Yield the levels `(rows, width)` of one band after the other, black being the least level."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        if rows >= image.height:
            yield _levels(image, image)
        else:
            yield _levels(image.crop((0, top, image.width, min(top + rows, image.height))), image)


def _levels(part: Image.Image, image: Image.Image) -> _Levels:
    levels: _Levels = np.asarray(part)
    if image.mode == "F":
        # Asked first: replacing takes fifty times as long as asking.
        return levels if np.isfinite(levels).all() else np.nan_to_num(levels, nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode == "I" and is_unsigned(image):
        levels = levels.view(np.uint32)
    if is_min_is_white(image):
        levels = np.invert(levels)
        return levels & 0xFFF if sample_bits(image) == 12 else levels
    return levels


def own_range(read: _Read) -> Window:
    """Return the least and the greatest level without strays."""
    sums = [
        (float(levels.min()), float(levels.max()), float(levels.mean(dtype=np.float64)), levels.size)
        for levels in read()
    ]
    low, high = min(each[0] for each in sums), max(each[1] for each in sums)
    pixels = sum(each[3] for each in sums)
    strays = pixels // STRAYS_PER
    if not strays or not _may_stray(read, low, high, sum(each[2] * each[3] for each in sums) / pixels, 2 * strays):
        return low, high
    lowest, highest, whole_numbers = _ends(read, strays)
    smallest = SMALLEST_RANGE if whole_numbers else 0
    above = _stray_count(highest, lowest[-1], smallest)
    below = _stray_count(-lowest, -highest[-1], smallest)
    for count, where, stray, end in (
        (above, "above", high, highest[above]),
        (below, "below", low, lowest[below]),
    ):
        if count:
            which = f"{count:,} pixel{'s' * (count > 1)} far {where} all others ({stray:,.6g}, the others end at {end:,.6g})"
            remark(f"{which} left out of the grey range; preprocess.window states a range")
    return float(lowest[below]), float(highest[above])


def _may_stray(read: _Read, low: float, high: float, mean: float, most: int) -> bool:
    """Say, at little cost, whether at most `most` pixels lie outside what all others would share with the mean if they strayed."""
    reach = (high - low) * (1 / (1 + STRAY_GAP) + 2 / STRAYS_PER)
    upper, lower = min(high, mean + reach), max(low, mean - reach)
    far = 0
    for levels in read():
        # In the levels' own type, which spares a conversion of the whole band.
        whole = levels.dtype.kind != "f"
        kind = levels.dtype.type
        far += int(np.count_nonzero(levels > kind(math.floor(upper) if whole else upper)))
        far += int(np.count_nonzero(levels < kind(math.ceil(lower) if whole else lower)))
    return 0 < far <= most


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


def _ends(read: _Read, strays: int) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Return the `strays + 1` least levels, rising, as many greatest, falling, and whether levels are whole numbers."""
    wanted = strays + 1
    lowest: list[_Levels] = []
    highest: list[_Levels] = []
    for levels in read():
        flat = levels.ravel()
        few = min(wanted, flat.size)
        parted = np.partition(flat, sorted({few - 1, flat.size - few}))
        lowest = [np.partition(np.concatenate([*lowest, parted[:few]]), few - 1)[:wanted]]
        highest = [np.sort(np.concatenate([*highest, parted[-few:]]))[-wanted:]]
    whole = lowest[0].dtype.kind != "f"
    return np.sort(lowest[0])[:wanted].astype(np.float64), highest[0][::-1].astype(np.float64), whole
