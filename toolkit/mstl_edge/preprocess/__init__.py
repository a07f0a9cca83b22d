"""Image file → `(height, width, 3) uint8`: the only definition, used by training and by the device alike.

The network's own scaling is `(p − 128) / 128`, so that an int8 model with input scale 1/128 and zero point 0 reads `p − 128`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mstl_edge.preprocess.hearing import heard
from mstl_edge.preprocess.opening import (
    Opened,
    Source,
    Stored,
    file_name,
    frame_name,
    frame_of,
    open_image,
    read_stored,
)
from mstl_edge.preprocess.picture import upright
from mstl_edge.preprocess.unreadable import UnreadableImageError, readable
from mstl_edge.recipe import PreprocessSpec, in_numbers
from mstl_edge.storage import digest

__all__ = [
    "PIXEL_OFFSET",
    "PIXEL_SCALE",
    "VERSION",
    "Opened",
    "Source",
    "Stored",
    "UnreadableImageError",
    "decode",
    "frame_name",
    "frame_of",
    "heard",
    "load_image",
    "normalize",
    "open_image",
    "read_stored",
    "resize",
    "spec_digest",
    "upright",
]

PIXEL_OFFSET = 128.0
PIXEL_SCALE = 128.0
VERSION = 2
"""Raised whenever the same file and the same spec would give other pixels; part of every cache key."""

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def load_image(source: Source, size: int, spec: PreprocessSpec, *, name: str = "") -> NDArray[np.uint8]:
    """Decode, make RGB and resize one image.

    Grey becomes three equal channels; transparency is put over black; palettes, CMYK and EXIF orientation are resolved; nothing
    else in EXIF matters, however damaged. Grey of 16 and 32 bits is windowed as `levels.windowed` says, which minds MinIsWhite and
    stray pixels; DICOM as `dicom.DicomPicture.rendered` does. Resizing is antialiased (Pillow).
    What a decoder remarks goes to whoever listens (`heard`), never to the terminal.

    Args:
        source: A file (`scan.dcm#7` is a frame of one), its bytes, or one frame of it.
        size: Height and width of the result in pixels.
        spec: Resize method, aspect policy, window and pixel limit.
        name: What to call the image in an error; the file's own name by default.

    Returns:
        `(size, size, 3) uint8`.

    Raises:
        UnreadableImageError: The file is missing, empty, truncated, no image, several images (an animation, a stack; a pyramid
            is one), larger than `spec.max_pixels`, or takes more memory than there is.
    """
    name = name or file_name(source)
    with readable(name):
        return resize(upright(open_image(source, spec, name=name), spec, name=name), size, spec)


def decode(source: Source, spec: PreprocessSpec) -> Image.Image:
    """Return one image as upright RGB, in its own size.

    Raises:
        UnreadableImageError: See `load_image`.
    """
    name = file_name(source)
    with readable(name):
        return upright(open_image(source, spec), spec, name=name).convert("RGB")


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


def spec_digest(size: int, spec: PreprocessSpec) -> bytes:
    """Return a key for everything but the file that decides the pixels of `load_image`."""
    window = ",".join(repr(level) for level in in_numbers(spec.window))
    return digest("preprocess", str(VERSION), str(size), spec.resize, spec.aspect, window)


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return `(p − 128) / 128` as float32 in [−1, 1)."""
    return (pixels.astype(np.float32) - np.float32(PIXEL_OFFSET)) / np.float32(PIXEL_SCALE)
