"""Image file → `(height, width, 3) uint8`: the only definition, used by training and by the device alike.

The network's own scaling is `(p − 128) / 128`, so that an int8 model with input scale 1/128 and zero point 0 reads `p − 128`.
"""

from __future__ import annotations

import io
import warnings
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
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


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
        DataError: The file is missing, empty, truncated, no image, or larger than `spec.max_pixels`.
    """
    return resize(decode(source, spec), size, spec)


def decode(source: Path | bytes, spec: PreprocessSpec) -> Image.Image:
    """Return one image as upright RGB, in its own size.

    Raises:
        DataError: See `load_image`.
    """
    name = source.name if isinstance(source, Path) else "image"
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise DataError(f"an image file that can be read ({error.strerror})", received=name) from error
    if not content:
        raise DataError("an image file with content", received=f"{name} (0 bytes)")
    try:
        with warnings.catch_warnings():
            # The limit below is ours, checked before a pixel is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
            width, height = image.size
            if width * height > spec.max_pixels:
                raise DataError(
                    f"an image of at most {spec.max_pixels:,} pixels",
                    received=f"{name} ({width}×{height})",
                    hint="Raise preprocess.max_pixels if you trust it.",
                )
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image), spec)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"an image of at most {spec.max_pixels:,} pixels", received=f"{name} ({error})") from error
    except UnidentifiedImageError as error:
        raise DataError("an image file", received=f"{name} (no known image format)") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError("an image file that is whole", received=f"{name} ({error})") from error


def resize(image: Image.Image, size: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return `image` as `(size, size, 3) uint8` by the aspect policy and method of `spec`."""
    method = _RESAMPLING[spec.resize]
    if spec.aspect == "pad":
        image = ImageOps.pad(image, (size, size), method=method, color=(0, 0, 0))
    elif spec.aspect == "crop":
        image = ImageOps.fit(image, (size, size), method=method)
    elif image.size != (size, size):
        image = image.resize((size, size), method)
    return np.asarray(image, dtype=np.uint8)


def _as_rgb(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _windowed(image, spec)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        over = image.convert("RGBA")
        black = Image.new("RGBA", over.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, over).convert("RGB")
    return image.convert("RGB")


def _windowed(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    levels = np.asarray(image, dtype=np.float32)
    low, high = spec.window or (float(levels.min()), float(levels.max()))
    scaled = (levels - low) * (255.0 / max(high - low, 1e-6))
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8)).convert("RGB")


def spec_digest(size: int, spec: PreprocessSpec) -> bytes:
    """Return a key for everything but the file that decides the pixels of `load_image`."""
    window = ",".join(repr(float(level)) for level in spec.window)
    return digest("preprocess", str(VERSION), str(size), spec.resize, spec.aspect, window)


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return `(p − 128) / 128` as float32 in [−1, 1)."""
    return (pixels.astype(np.float32) - np.float32(PIXEL_OFFSET)) / np.float32(PIXEL_SCALE)
