"""The picture of a map: the network's view of an image, the same with the evidence over it, scale, label and probability."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PANEL_PIXELS = 320
"""Side of each of the two panels, at least; images are enlarged by whole numbers."""
_MARGIN, _LINE, _BAR = 12, 20, 10
_GREY = "#555555"
_STRONGEST = 0.7
"""Opacity of the strongest evidence; the faintest is not seen, so that no edge is drawn where there is none."""
_VIRIDIS = np.array(
    [
        (68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142), (31, 158, 137), (53, 183, 121),
        (110, 206, 88), (181, 222, 43), (253, 231, 37),
    ],
    np.float32,
)  # fmt: skip
"""Ten of its 256 colours, evenly spaced: perceptually uniform, also for colour-blind readers (van der Walt and Smith 2015)."""


def coloured(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the colours of numbers from 0 to 1, `(…, 3) float32` in [0, 255]."""
    places = np.clip(shares, 0, 1) * (len(_VIRIDIS) - 1)
    lower = np.minimum(places.astype(np.int64), len(_VIRIDIS) - 2)
    part = (places - lower)[..., None].astype(np.float32)
    return np.asarray(_VIRIDIS[lower] * (1 - part) + _VIRIDIS[lower + 1] * part, np.float32)


def overlaid(pixels: NDArray[np.uint8], grid: NDArray[np.float32], side: int) -> Image.Image:
    """Return an image with the evidence over it; where nothing speaks for the class it stays as it is.

    Args:
        pixels: `(height, width, 3) uint8`, what the network saw.
        grid: `(rows, columns)` evidence; colours run from 0 to its largest number.
        side: Of the result, in pixels.
    """
    picture = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC), np.float32)
    shares = np.asarray(Image.fromarray(_shares(grid)).resize((side, side), Image.Resampling.BILINEAR))
    opacity = _STRONGEST * shares[..., None]
    return Image.fromarray(np.rint(picture * (1 - opacity) + coloured(shares) * opacity).astype(np.uint8))


def overlay_png(
    pixels: NDArray[np.uint8], grid: NDArray[np.float32], *, label: str, probability: float, method: str
) -> bytes:
    """Return the picture of an explanation as PNG: view, overlay, scale and caption.

    Args:
        pixels: `(size, size, 3) uint8`, what the network saw.
        grid: `(rows, columns)` evidence for `label`, in units of the logits.
        label: What was answered.
        probability: Its calibrated probability.
        method: See `Evidence.method`.
    """
    side = pixels.shape[0] * max(1, -(-PANEL_PIXELS // pixels.shape[0]))
    canvas = Image.new("RGB", (2 * side + 3 * _MARGIN, side + 2 * _MARGIN + 3 * _LINE), "white")
    view = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    canvas.paste(view, (_MARGIN, _MARGIN))
    canvas.paste(overlaid(pixels, grid, side), (side + 2 * _MARGIN, _MARGIN))
    pen = _Pen(canvas, ImageDraw.Draw(canvas), _font())
    below, right = side + 2 * _MARGIN, side + 2 * _MARGIN
    pen.write((_MARGIN, below), f"{_shortened(label)} {100 * probability:.1f} %, {method}")
    pen.write((_MARGIN, below + _LINE), "Research software; no medical device.", _GREY)
    _draw_scale(pen, (right, below), side, grid, label)
    target = io.BytesIO()
    canvas.save(target, "PNG", optimize=True)
    return target.getvalue()


@dataclass(frozen=True)
class _Pen:
    """What is drawn on, and written with."""

    canvas: Image.Image
    draw: ImageDraw.ImageDraw
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont

    def write(self, corner: tuple[float, float], text: str, colour: str = "black") -> None:
        self.draw.text(corner, text, colour, self.font)


def _draw_scale(pen: _Pen, corner: tuple[int, int], side: int, grid: NDArray[np.float32], label: str) -> None:
    left, top = corner
    largest = float(grid.max())
    if largest <= 0:
        pen.write(corner, f"no part of it speaks for {_shortened(label)}")
        return
    bar = np.broadcast_to(coloured(np.linspace(0, 1, side, dtype=np.float32)), (_BAR, side, 3))
    pen.canvas.paste(Image.fromarray(bar.astype(np.uint8)), (left, top + 4))
    pen.write((left, top + _LINE), "0")
    end = f"{largest:.2g}"
    pen.write((left + side - pen.draw.textlength(end, pen.font), top + _LINE), end)
    pen.write((left, top + 2 * _LINE), f"evidence for {_shortened(label)}, logits", _GREY)


def _shares(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return evidence as a share of its largest number, none below 0."""
    largest = max(float(grid.max()), 1e-12)
    return np.asarray(np.clip(grid / largest, 0, 1), np.float32)


def _shortened(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:23]}…"


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(14)
    except (ImportError, OSError):  # a Pillow that was built without FreeType has the small one
        return ImageFont.load_default()
