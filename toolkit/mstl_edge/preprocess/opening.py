"""A file → one opened picture within the pixel limit; nothing is decoded yet."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mstl_edge.preprocess.exif import jpeg_without_exif
from mstl_edge.preprocess.foreign import UNKNOWN, identify, unusual_jpeg
from mstl_edge.preprocess.pixel_limit import own_pixel_limit
from mstl_edge.preprocess.tiff import find_pages, is_tiff, open_mended
from mstl_edge.preprocess.unreadable import UnreadableImageError, readable
from mstl_edge.recipe import PreprocessSpec

MOST_BYTES_PER_PIXEL = 16
"""A file with more of them than this per allowed pixel holds something else than one picture, and isn't read into memory."""
_SPARE_BYTES = 64 << 20
_HEAD_BYTES = 1 << 16
_FIRST_IS_THE_PICTURE = frozenset({"MPO", "PSD", "ICO", "ICNS", "CUR"})
"""Formats whose further frames are previews, other sizes, layers, or a second view."""
_NOT_PICTURES = frozenset({"EPS", "WMF", "PDF", "MPEG", "HDF5", "BUFR", "GRIB"})
"""What Pillow names without decoding it, or hands to another program."""


def file_name(source: Path | bytes) -> str:
    """Return what an error calls `source`: a file's own name, without its folder."""
    return source.name if isinstance(source, Path) else "image"


def open_image(source: Path | bytes, spec: PreprocessSpec, *, name: str = "") -> Image.Image:
    """Read the header of one image and hold it against the pixel limit; nothing is decoded yet.

    Args:
        source: A file or its bytes.
        spec: Its `max_pixels` is the limit.
        name: What to call the image in an error; the file's own name by default.

    Raises:
        UnreadableImageError: The file is missing, empty, no image, several images, or larger than `spec.max_pixels`.
    """
    name = name or file_name(source)
    with readable(name):
        content = read_content(source, spec, name=name) if isinstance(source, Path) else source
        if not content:
            raise UnreadableImageError("an image file with content", name, "0 bytes")
        image = _opened(content, name)
        _check_single(image, content, name)
    width, height = image.size
    if width * height > spec.max_pixels:
        raise UnreadableImageError(
            f"an image of at most {spec.max_pixels:,} pixels",
            name,
            f"{width}×{height} pixels, above the limit of {spec.max_pixels:,}",
            "Raise preprocess.max_pixels if you trust it.",
        )
    return image


def read_content(path: Path, spec: PreprocessSpec, *, name: str = "") -> bytes:
    """Return a file's bytes, if it can hold one picture of at most `spec.max_pixels`.

    Raises:
        UnreadableImageError: The file is missing, may not be read, is a device, far too large, or takes more memory than there is.
    """
    name = name or path.name
    with readable(name):
        return _read(path, spec, name)


def _read(path: Path, spec: PreprocessSpec, name: str) -> bytes:
    most = spec.max_pixels * MOST_BYTES_PER_PIXEL + _SPARE_BYTES
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode):
                raise UnreadableImageError("an image file", name, "a device")
            # A pipe tells no size; it ends with whoever writes it.
            size = facts.st_size
            if size <= most:
                return file.read()
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UnreadableImageError("an image file that can be read", name, error.strerror or str(error)) from error
    kind = identify(head)
    reason = f"{size:,} bytes" if kind is UNKNOWN else f"{size:,} bytes, {kind.reason}"
    raise UnreadableImageError(f"an image file of at most {most:,} bytes", name, reason)


def _opened(content: bytes, name: str) -> Image.Image:
    try:
        with own_pixel_limit():
            return _open_tolerantly(content)
    except MemoryError:
        raise
    except Exception as error:
        kind = identify(content)
        if kind is UNKNOWN and not isinstance(error, UnidentifiedImageError):
            raise
        raise UnreadableImageError("an image file", name, kind.reason) from error


def _open_tolerantly(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception:
        mended = _open_mended(content)
        if mended is None:
            raise
        return mended
    if image.format in _NOT_PICTURES or (image.format in ("JPEG", "MPO") and unusual_jpeg(content)):
        raise UnidentifiedImageError(f"a {image.format} that Pillow only names")
    return image


def _open_mended(content: bytes) -> Image.Image | None:
    if is_tiff(content):
        return open_mended(content)
    if not content.startswith(b"\xff\xd8"):
        return None
    plain, exif = jpeg_without_exif(content)
    if not exif:
        return None
    image = Image.open(io.BytesIO(plain), formats=("JPEG", "MPO"))
    image.info["exif"] = exif
    return image


def _check_single(image: Image.Image, content: bytes, name: str) -> None:
    """Refuse a file of several pictures, since one answer would be about one of them; leave a pyramid at its full picture."""
    if image.format == "TIFF":
        pages = find_pages(content)
        count, word = pages.pictures, "pages"
        if count == 1 and pages.first > 0:
            image.seek(pages.first)
    else:
        count = 1 if image.format in _FIRST_IS_THE_PICTURE else int(getattr(image, "n_frames", 1))
        word = "frames"
    if count > 1:
        raise UnreadableImageError(
            "one picture in a file, since an answer is about one",
            name,
            f"{count:,} {word}",
            f"Save the {word} that matter as files of their own.",
        )
