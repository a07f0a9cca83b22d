"""DICOM: what a file says of its picture, and that picture as grey or RGB; pydicom parses and decodes.

Nothing of a file's own text goes into a message: it may name a patient.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.errors import MissingExtraError
from mstl_edge.installing import install_extra
from mstl_edge.preprocess.dicom.decoding import decoded
from mstl_edge.preprocess.dicom.elsewhere import DecoderError, decoded_elsewhere
from mstl_edge.preprocess.dicom.levels import PLAIN_BITS, Levels
from mstl_edge.preprocess.dicom.values import hush, text_of, whole_of
from mstl_edge.preprocess.levels import as_image
from mstl_edge.preprocess.unreadable import UnreadableImageError
from mstl_edge.recipe import PreprocessSpec, windows_of

EXTRA = "dicom"
NOT_INSTALLED = f"a DICOM file, which the extra [{EXTRA}] reads"
MOST_FRAMES = 100_000
_TYPES = (b"CS", b"UI", b"UL", b"LO", b"OB", b"DA", b"TM", b"SH")
_FIRST_ELEMENTS = (b"\0\0", b"\x05\0", b"\x08\0", b"\x12\0", b"\x16\0", b"\x18\0")
"""Of group 8, which begins a file without a preamble."""
_LONGEST_FIRST = 256
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True)
class Belonging:
    """What identifiers of a file say that it belongs to; they are a patient's and go nowhere. Empty: not said."""

    patient: str
    study: str
    series: str


@dataclass(frozen=True)
class DicomPicture:
    """One picture of a DICOM file, not decoded yet; `frame` counts from 0.

    Attributes:
        size: Width and height.
        mode: What is decoded, in Pillow's words: `L`, `I;16`, `F` or `RGB`.
        frames: Pictures in the file.
    """

    dataset: Any
    content: bytes
    size: tuple[int, int]
    mode: str
    frames: int
    frame: int = 0
    format: str = "DICOM"

    @property
    def width(self) -> int:
        """Columns."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.size[1]

    @property
    def belonging(self) -> Belonging:
        """Whose picture it is."""
        names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
        return Belonging(*(text_of(self.dataset, name) for name in names))

    def _stored(self) -> NDArray[Any]:
        """Return the picture as it is stored; compressed ones are decoded on other cores, where there are many."""
        # Of several frames the whole file would go there for each.
        if self.frames == 1 and self.dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            elsewhere = decoded_elsewhere(self.content, self.frame)
            if elsewhere is not None:
                return elsewhere
        return decoded(self.dataset, self.frame)

    def rendered(self, spec: PreprocessSpec) -> Image.Image:
        """Decode into `L`, or `RGB` where the file is in colour or `spec` has three windows.

        Levels are rescaled as the file says (slope and intercept, or a lookup table). Without a `spec.window` the first window of
        the file, or its VOI lookup table, decides; else all levels that eight stored bits can hold; else the image's own range, and
        that is said (`hearing.remark`). MONOCHROME1 is turned over; what the file calls padding becomes black, and is no part of
        the image's own range.

        Raises:
            UnreadableImageError: It cannot be decoded.
        """
        with _decoding(self.dataset):
            stored = self._stored()
            if stored.ndim == 3:
                return Image.fromarray(_eight_bits(stored, self.dataset))
            levels = Levels(self.dataset, self.frame, stored)
            channels = [levels.through(window) for window in windows_of(spec.window)] or [levels.as_the_file_says()]
            turned = text_of(self.dataset, "PhotometricInterpretation") == "MONOCHROME1"
            padding = levels.padding()
            for pixels in channels:
                if turned:
                    np.invert(pixels, out=pixels)
                if padding is not None:
                    pixels[padding] = 0
            return as_image(channels)


def is_dicom(content: bytes) -> bool:
    """Say whether `content` begins as DICOM, with its preamble or, as old programs write it, without."""
    if content[128:132] == b"DICM" or (content[:2] in (b"\x08\0", b"\x02\0") and content[4:6] in _TYPES):
        return True
    implicit = content[:2] == b"\x08\0" and content[2:4] in _FIRST_ELEMENTS and len(content) > _LONGEST_FIRST
    return implicit and int.from_bytes(content[4:8], "little") < _LONGEST_FIRST


@cache
def reads_dicom() -> bool:
    """Say whether pydicom is installed."""
    return importlib.util.find_spec("pydicom") is not None


def missing_reader(files: int, example: str) -> MissingExtraError:
    """Return the error of a data set with DICOM files where nothing reads them."""
    return MissingExtraError(
        "pydicom, which reads DICOM files",
        received=f"{files:,} of them, such as {example}, and no pydicom",
        hint=f"Install the extra [{EXTRA}]: {install_extra(EXTRA)}",
    )


def open_dicom(content: bytes, name: str, frame: int | None, read: Callable[[], Any]) -> DicomPicture:
    """Read what a file says of its picture.

    Args:
        content: The file's bytes.
        name: What to call it in an error.
        frame: Which picture of several, counted from 0; None where there may be one alone.
        read: Gives the file's elements, `parsed` or kept.

    Raises:
        UnreadableImageError: pydicom is not installed, the file is damaged, holds no picture, or several and `frame` names none.
    """
    if not reads_dicom():
        raise UnreadableImageError("an image file", name, NOT_INSTALLED, f"Install it: {install_extra(EXTRA)}")
    with _quiet(name):
        dataset = read()
        samples, bits = whole_of(dataset, "SamplesPerPixel", 1), whole_of(dataset, "BitsAllocated", 0)
        size = (whole_of(dataset, "Columns", 0), whole_of(dataset, "Rows", 0))
        frames = max(1, whole_of(dataset, "NumberOfFrames", 1))
        if not any(tag in dataset for tag in _PIXELS):
            raise UnreadableImageError("an image file", name, "a DICOM file without a picture")
        if min(size) < 1 or samples not in (1, 3) or not 1 <= bits <= 64 or frames > MOST_FRAMES:
            raise UnreadableImageError(
                "an image file that is whole", name, "a DICOM file whose picture has no possible size"
            )
        if frame is None and frames > 1:
            raise UnreadableImageError(
                "one picture in a file, since an answer is about one",
                name,
                f"{frames:,} frames",
                f"Name one of them: {name}#1 to {name}#{frames}."
                if name != "image"
                else f"Which one? From 1 to {frames}.",
            )
        if frame is not None and not 0 <= frame < frames:
            raise UnreadableImageError(f"a frame from 1 to {frames:,}", name, f"frame {frame + 1:,}")
        colour = samples == 3 or text_of(dataset, "PhotometricInterpretation") == "PALETTE COLOR"
        mode = "RGB" if colour else "L" if bits <= PLAIN_BITS else "I;16" if bits <= 2 * PLAIN_BITS else "F"
        return DicomPicture(dataset, content, size, mode, frames, frame or 0)


def _eight_bits(colours: NDArray[Any], dataset: Any) -> NDArray[np.uint8]:
    """Return `(rows, columns, 3)` of any depth as eight bits."""
    if colours.dtype == np.uint8:
        return np.ascontiguousarray(colours)
    bits = (
        16 if text_of(dataset, "PhotometricInterpretation") == "PALETTE COLOR" else whole_of(dataset, "BitsStored", 16)
    )
    return (colours >> max(0, bits - PLAIN_BITS)).astype(np.uint8)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Turn what pydicom raises over a damaged file into one error that quotes nothing of the file."""
    hush()
    try:
        yield
    except (UnreadableImageError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableImageError(
            "an image file that is whole",
            name,
            f"a DICOM file that is damaged ({type(error).__name__})",
            "Fetch or export it again.",
        ) from error


@contextmanager
def _decoding(dataset: Any) -> Iterator[None]:
    hush()
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        from pydicom.uid import UID_dictionary

        syntax = UID_dictionary.get(str(dataset.file_meta.TransferSyntaxUID), ("an unknown transfer syntax",))[0]
        raised = str(error) if isinstance(error, DecoderError) else type(error).__name__
        raise _NotDecodedError(f"a DICOM file whose picture cannot be decoded ({syntax}; {raised})") from error


class _NotDecodedError(ValueError):
    """Says which transfer syntax; whoever reads the file puts its name in front."""
