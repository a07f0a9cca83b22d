"""Image file → `(height, width, 3) uint8`: the only definition, used by training and by the device alike.

The network's own scaling is `(p − 128) / 128`, so that an int8 model with input scale 1/128 and zero point 0 reads `p − 128`.
"""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec
from mstl_edge.storage import digest

PIXEL_OFFSET = 128.0
PIXEL_SCALE = 128.0
VERSION = 1
"""Raised whenever the same file and the same spec would give other pixels; part of every cache key."""

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
_PILLOW_LIMIT = threading.Lock()
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


class UnreadableImageError(DataError):
    """A file that gives no image; `reason` says why in a few words."""

    def __init__(self, expected: str, name: str, reason: str, hint: str = "") -> None:
        super().__init__(expected, received=f"{name} ({reason})", hint=hint)
        self.reason = reason


def load_image(source: Path | bytes, size: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Decode, make RGB and resize one image.

    Grey becomes three equal channels; transparency is put over black; palettes, CMYK and EXIF orientation are resolved;
    16-bit grey is windowed by `spec.window` (its own range where that is empty). Resizing is antialiased (Pillow).

    Args:
        source: A file or its bytes.
        size: Height and width of the result in pixels.
        spec: Resize method, aspect policy, window and pixel limit.

    Returns:
        `(size, size, 3) uint8`.

    Raises:
        UnreadableImageError: The file is missing, empty, truncated, no image, or larger than `spec.max_pixels`.
    """
    return resize(upright(open_image(source, spec), spec, name=_name(source)), size, spec)


def decode(source: Path | bytes, spec: PreprocessSpec) -> Image.Image:
    """Return one image as upright RGB, in its own size.

    Raises:
        UnreadableImageError: See `load_image`.
    """
    return upright(open_image(source, spec), spec, name=_name(source)).convert("RGB")


def open_image(source: Path | bytes, spec: PreprocessSpec, *, name: str = "") -> Image.Image:
    """Read the header of one image and hold it against the pixel limit; nothing is decoded yet.

    Args:
        source: A file or its bytes.
        spec: Its `max_pixels` is the limit.
        name: What to call the image in an error; the file's own name by default.

    Raises:
        UnreadableImageError: The file is missing, empty, no image, or larger than `spec.max_pixels`.
    """
    name = name or _name(source)
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise UnreadableImageError("an image file that can be read", name, error.strerror or str(error)) from error
    if not content:
        raise UnreadableImageError("an image file with content", name, "0 bytes")
    with _readable(name), _own_pixel_limit():
        image = Image.open(io.BytesIO(content))
    width, height = image.size
    if width * height > spec.max_pixels:
        raise UnreadableImageError(
            f"an image of at most {spec.max_pixels:,} pixels",
            name,
            f"{width}×{height} pixels, above the limit of {spec.max_pixels:,}",
            "Raise preprocess.max_pixels if you trust it.",
        )
    return image


def upright(image: Image.Image, spec: PreprocessSpec, *, name: str = "image") -> Image.Image:
    """Decode an opened image into `L` or `RGB`, turned as its EXIF orientation says.

    Grey stays one channel here, since resizing one channel and then copying it costs a third of resizing three.

    Raises:
        UnreadableImageError: The file is truncated or damaged.
    """
    with _readable(name):
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _as_grey_or_rgb(image, spec)


def _name(source: Path | bytes) -> str:
    return source.name if isinstance(source, Path) else "image"


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn what Pillow raises for foreign and damaged files into one error."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise UnreadableImageError("an image file", name, "not an image") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        OverflowError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        reason = str(error) or type(error).__name__
        raise UnreadableImageError("an image file that is whole", name, reason) from error


@contextmanager
def _own_pixel_limit() -> Iterator[None]:
    """Switch off Pillow's own limit, which is global, cannot be raised per image and warns; ours follows from the header."""
    with _PILLOW_LIMIT:
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = kept


def resize(image: Image.Image, size: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return an `L` or `RGB` image as `(size, size, 3) uint8` by the aspect policy and method of `spec`."""
    method = _RESAMPLING[spec.resize]
    if spec.aspect == "pad":
        image = ImageOps.pad(image, (size, size), method=method, color=0)
    elif spec.aspect == "crop":
        image = ImageOps.fit(image, (size, size), method=method)
    elif image.size != (size, size):
        image = image.resize((size, size), method)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _as_grey_or_rgb(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _windowed(image, spec)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        over = image.convert("RGBA")
        black = Image.new("RGBA", over.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, over).convert("RGB")
    return image if image.mode == "L" else image.convert("RGB")


def _windowed(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    levels = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = spec.window or (float(levels.min()), float(levels.max()))
    scaled = (levels - low) * (255.0 / max(high - low, 1e-6))
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def spec_digest(size: int, spec: PreprocessSpec) -> bytes:
    """Return a key for everything but the file that decides the pixels of `load_image`."""
    window = ",".join(repr(float(level)) for level in spec.window)
    return digest("preprocess", str(VERSION), str(size), spec.resize, spec.aspect, window)


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return `(p − 128) / 128` as float32 in [−1, 1)."""
    return (pixels.astype(np.float32) - np.float32(PIXEL_OFFSET)) / np.float32(PIXEL_SCALE)
