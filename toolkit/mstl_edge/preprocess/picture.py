"""An opened image → upright grey or RGB in its own size, in as little memory as its decoder allows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps

from mstl_edge.preprocess.dicom import DicomPicture
from mstl_edge.preprocess.exif import keep_only_orientation
from mstl_edge.preprocess.levels import MODES, windowed
from mstl_edge.preprocess.pixel_limit import own_pixel_limit
from mstl_edge.preprocess.unreadable import readable
from mstl_edge.recipe import PreprocessSpec

LARGE_PIXELS = 8_000_000
"""From this size on, images are decoded one at a time: each takes up to eight bytes a pixel."""

_BAND_PIXELS = 1 << 20
_SEE_THROUGH = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_ONE_LARGE = threading.Lock()


def upright(image: Image.Image | DicomPicture, spec: PreprocessSpec, *, name: str = "image") -> Image.Image:
    """Decode an opened image into `L` or `RGB`, turned as its EXIF orientation says.

    Grey stays one channel here, since resizing one channel and then copying it costs a third of resizing three.

    Raises:
        UnreadableImageError: The file is truncated or damaged, or takes more memory than there is.
    """
    with readable(name), _one_if_large(image):
        if isinstance(image, DicomPicture):
            return image.rendered(spec)
        if image.format == "TIFF":
            # Pillow turns a TIFF by itself at the end of loading; of other formats loading may find the EXIF first.
            keep_only_orientation(image)
        image.load()
        keep_only_orientation(image)
        ImageOps.exif_transpose(image, in_place=True)
        return _as_grey_or_rgb(image, spec)


@contextmanager
def _one_if_large(image: Image.Image | DicomPicture) -> Iterator[None]:
    if image.width * image.height < LARGE_PIXELS:
        yield
    else:
        # Pillow asks for its own limit once more when it loads a TIFF.
        with _ONE_LARGE, own_pixel_limit():
            yield


def _as_grey_or_rgb(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    if image.mode in MODES:
        return windowed(image, spec)
    if image.mode in _SEE_THROUGH or "transparency" in image.info:
        return _over_black(image)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _over_black(image: Image.Image) -> Image.Image:
    """Return an image with transparency as RGB over black, in bands: at once it would take the memory of four images beside it."""
    rows = max(1, _BAND_PIXELS // image.width)
    if rows >= image.height:
        return _composed(image)
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        whole.paste(_composed(image.crop(box)), box)
    return whole


def _composed(image: Image.Image) -> Image.Image:
    over = image.convert("RGBA")
    black = Image.new("RGBA", over.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, over).convert("RGB")
