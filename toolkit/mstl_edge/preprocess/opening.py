"""A file, or one frame of it → one opened picture within the pixel limit; nothing is decoded yet."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from mstl_edge.preprocess.dicom import DicomPicture, is_dicom, open_dicom
from mstl_edge.preprocess.dicom.decoding import parsed
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


_last = threading.local()
"""The file of several frames that a thread has read last."""
_FRAME = re.compile(r"(.+)#([1-9]\d{0,8})")
Opened = Image.Image | DicomPicture
"""An opened picture: `size`, `width`, `height`, `mode` and `format`; `picture.upright` decodes it."""


class Whole:
    """A file of several frames, hashed and parsed once for all of them."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @cached_property
    def hashed(self) -> Any:
        """SHA-256 of the content, to which a frame's number may be added."""
        return hashlib.sha256(self.content)

    @cached_property
    def elements(self) -> Any:
        """What pydicom reads of it."""
        return parsed(self.content, "image")


@dataclass(frozen=True)
class Stored:
    """A file's bytes, and which of its frames is meant, counted from 0; None: it holds one picture.

    `whole` is the file where further frames of it were, or will be, read.
    """

    content: bytes
    frame: int | None = None
    whole: Whole | None = None

    @cached_property
    def sha256(self) -> str:
        """What stands for exactly this picture, in hexadecimal: the file's hash, of a frame with its number."""
        found = hashlib.sha256(self.content) if self.whole is None else self.whole.hashed.copy()
        if self.frame is not None:
            found.update(f"#{self.frame + 1}".encode())
        return str(found.hexdigest())


Source = Path | bytes | Stored
"""A file, where `scan.dcm#7` is its seventh frame; its bytes; or both."""


def file_name(source: Source) -> str:
    """Return what an error calls `source`: a file's own name, without its folder."""
    return source.name if isinstance(source, Path) else "image"


def frame_of(path: Path, frame: int, read: Callable[[], bytes]) -> Stored:
    """Return one frame of a file, which is read once by a thread that asks for its frames one after the other.

    Args:
        path: The file.
        frame: Counted from 0.
        read: Gives its bytes.
    """
    facts = path.stat()
    key = (path, facts.st_mtime_ns, facts.st_size)
    known, whole = getattr(_last, "file", (None, None))
    if whole is None or known != key:
        whole = Whole(read())
        _last.file = (key, whole)
    return Stored(whole.content, frame, whole)


def frame_name(name: str, frame: int) -> str:
    """Return what a frame of a file is called, `scan.dcm#7`; `frame` counts from 0."""
    return f"{name}#{frame + 1}"


def open_image(source: Source, spec: PreprocessSpec, *, name: str = "") -> Opened:
    """Read the header of one image and hold it against the pixel limit; nothing is decoded yet.

    Args:
        source: A file, its bytes, or one frame of it.
        spec: Its `max_pixels` is the limit.
        name: What to call the image in an error; the file's own name by default.

    Raises:
        UnreadableImageError: The file is missing, empty, no image, several images, or larger than `spec.max_pixels`.
    """
    name = name or file_name(source)
    with readable(name):
        stored = read_stored(source, spec, name=name) if isinstance(source, Path) else _stored(source)
        if not stored.content:
            raise UnreadableImageError("an image file with content", name, "0 bytes")
        image = _one_picture(stored, name)
    width, height = image.size
    if width * height > spec.max_pixels:
        raise UnreadableImageError(
            f"an image of at most {spec.max_pixels:,} pixels",
            name,
            f"{width}×{height} pixels, above the limit of {spec.max_pixels:,}",
            "Raise preprocess.max_pixels if you trust it.",
        )
    return image


def read_stored(path: Path, spec: PreprocessSpec, *, name: str = "") -> Stored:
    """Return a file's bytes, if it can hold one picture of at most `spec.max_pixels`.

    `scan.dcm#7`, where no file is called so, is the seventh frame of `scan.dcm`.

    Raises:
        UnreadableImageError: The file is missing, may not be read, is a device, far too large, or takes more memory than there is.
    """
    name = name or path.name
    with readable(name):
        framed = _FRAME.fullmatch(path.name)
        if framed and not path.exists():
            file = path.with_name(framed[1])
            return frame_of(file, int(framed[2]) - 1, lambda: _read(file, spec, name))
        return Stored(_read(path, spec, name))


def _stored(source: bytes | Stored) -> Stored:
    return source if isinstance(source, Stored) else Stored(source)


def _one_picture(stored: Stored, name: str) -> Opened:
    if is_dicom(stored.content):
        return open_dicom(
            stored.content,
            name,
            stored.frame,
            lambda: stored.whole.elements if stored.whole else parsed(stored.content, name),
        )
    if stored.frame is not None:
        raise UnreadableImageError("a DICOM file where a frame is named", name, "another one")
    image = _opened(stored.content, name)
    _check_single(image, stored.content, name)
    return image


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
