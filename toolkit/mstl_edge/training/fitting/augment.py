"""Stored views: random variants of a training image, each drawn once from its own seed, so that features can be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.recipe import AugmentSpec
from mstl_edge.storage import digest


class PixelRows(Protocol):
    """Images by position, `(n, height, width, 3) uint8` in all, wherever they are kept."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, height, width, 3)`."""

    def __len__(self) -> int:
        """Return n."""

    def __getitem__(self, positions: Any) -> NDArray[Any]:
        """Return one image, or a block of them."""

    def select(self, positions: Any) -> PixelRows:
        """Return the images at some positions without reading them."""


def view_key(image_key: bytes, view: int, spec: AugmentSpec) -> bytes:
    """Return the key of one view of one image; view 0 is the image itself, whatever `spec` says."""
    if view == 0:
        return image_key
    bounds = msgspec.structs.replace(spec, views=1)  # how many views there are changes none of them
    return digest(image_key, str(view), msgspec.json.encode(bounds))


def draw_view(pixels: NDArray[np.uint8], view: int, spec: AugmentSpec, image_key: bytes) -> NDArray[np.uint8]:
    """Return view number `view` of an image.

    Args:
        pixels: `(height, width, 3) uint8`.
        view: 0 is the image itself.
        spec: Bounds of the uniform draws.
        image_key: Seeds the draw together with the other two.

    Returns:
        `(height, width, 3) uint8`; what the motion uncovers is black.
    """
    if view == 0:
        return pixels
    rng = np.random.default_rng(np.frombuffer(view_key(image_key, view, spec), dtype=np.uint32))
    height, width = pixels.shape[:2]
    angle = math.radians(rng.uniform(-spec.rotate, spec.rotate))
    scale = 1.0 / (1.0 + rng.uniform(-spec.zoom, spec.zoom))
    mirror = -1.0 if spec.flip and rng.random() < 0.5 else 1.0
    shift_x, shift_y = rng.uniform(-spec.shift, spec.shift, 2) * (width, height)
    gain = 1.0 + rng.uniform(-spec.contrast, spec.contrast)
    offset = 255.0 * rng.uniform(-spec.brightness, spec.brightness)

    # Pillow maps output to input: (x, y) → (a·x + b·y + c, d·x + e·y + f), about the centre; pixel 0 lies at 0.5.
    a, b = mirror * scale * math.cos(angle), mirror * scale * math.sin(angle)
    d, e = -scale * math.sin(angle), scale * math.cos(angle)
    centre_x, centre_y = width / 2, height / 2
    c = centre_x + shift_x - a * centre_x - b * centre_y
    f = centre_y + shift_y - d * centre_x - e * centre_y
    moved = Image.fromarray(pixels).transform(
        (width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    levels = (np.arange(256, dtype=np.float32) - 127.5) * gain + 127.5 + offset
    # Uncovered and background black stays black: brightness is the tissue's, not the frame's.
    levels[0] = 0.0
    table: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(table[np.asarray(moved)])


class DrawnViews:
    """Views as rows that are drawn when they are read, so that none has to be kept.

    Args:
        pixels: `(n, height, width, 3) uint8`, the images.
        keys: One per image.
        spec: Bounds of the draws.
        wanted: Image and view of each row.
    """

    def __init__(
        self, pixels: PixelRows, keys: Sequence[bytes], spec: AugmentSpec, wanted: Sequence[tuple[int, int]]
    ) -> None:
        self._pixels = pixels
        self._keys = keys
        self._spec = spec
        self._wanted = wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __getitem__(self, positions: Any) -> NDArray[np.uint8]:
        if np.ndim(positions) == 0 and not isinstance(positions, slice):
            image, view = self._wanted[int(positions)]
            pixels = np.asarray(self._pixels[image], dtype=np.uint8)
            return draw_view(pixels, view, self._spec, self._keys[image])
        return np.stack([self[int(position)] for position in np.arange(len(self))[positions]])

    def select(self, positions: Any) -> DrawnViews:
        """Return the rows at `positions` without drawing them."""
        return DrawnViews(self._pixels, self._keys, self._spec, [self._wanted[int(i)] for i in positions])

    @property
    def shape(self) -> tuple[int, ...]:
        """`(rows, height, width, 3)`."""
        return (len(self), *self._pixels.shape[1:])
