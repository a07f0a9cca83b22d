"""One pass over every file of a source: content hash, size, mode, fingerprint, and what cannot be read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mstl_edge.data.duplicates import SIDE, fingerprint
from mstl_edge.data.labelled import DataSource, LabelledImage
from mstl_edge.data.walk import LeftOut, Unreadable, kind_of
from mstl_edge.data.workers import in_order
from mstl_edge.preprocess import UnreadableImageError, heard, open_image, upright
from mstl_edge.recipe import PreprocessSpec

TWO_LEVELS = "two grey levels alone, as masks have and pictures have not"
LARGEST_BYTES = 10**9
"""A larger file is read by nobody here: several are read at once, and one picture of the pixel limit takes far less."""
_TINT = 12
"""Steps between the channels of a thumbnail that no eye takes for a colour."""
_FAR = 32
"""Grey levels that JPEG may move a pixel beside an edge."""


@dataclass(frozen=True)
class ImageFacts:
    """What one readable file is: SHA-256 in hexadecimal, stored size and Pillow mode, thumbnail for near-duplicates.

    `two_valued`: it has two grey levels or colours and no more. `grey`: it shows no colour, in however many channels.
    """

    sha256: str
    width: int
    height: int
    mode: str
    fingerprint: bytes
    two_valued: bool = False
    grey: bool = False


@dataclass(frozen=True)
class Scan:
    """Facts by image name, the files that could not be read, and those that are no pictures, sorted by name.

    `remarks` are what decoders said of files that they did read.
    """

    facts: Mapping[str, ImageFacts]
    unreadable: tuple[Unreadable, ...]
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[Unreadable, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Say of how many files a decoder made a remark, and the first of them."""
        if not self.remarks:
            return ()
        first = self.remarks[0]
        return (f"files with a remark of their decoder: {len(self.remarks)}, the first {first.name}: {first.reason}",)


def scan_source(
    source: DataSource, preprocess: PreprocessSpec, *, advance: Callable[[int], None] | None = None
) -> Scan:
    """Read and decode every file once, on all cores; whatever is wrong with a file is recorded, not raised.

    What the source could not reach is listed with what cannot be read. Two-valued pictures are left out as masks, unless they are
    more than half of the set: then that is what it is made of.

    Args:
        source: The files.
        preprocess: Its pixel limit and grey window hold here too.
        advance: Told of each file that is done.
    """

    def examine(image: LabelledImage) -> tuple[ImageFacts | Unreadable, str]:
        with heard() as remarks:
            try:
                return _facts(image, preprocess), "; ".join(remarks)
            except UnreadableImageError as error:
                return Unreadable(image.name, error.reason), ""

    facts: dict[str, ImageFacts] = {}
    unreadable = list(source.unreadable)
    remarks = []
    for image, (outcome, remark) in zip(source.images, in_order(examine, source.images), strict=True):
        if remark:
            remarks.append(Unreadable(image.name, remark))
        if isinstance(outcome, Unreadable):
            unreadable.append(outcome)
        else:
            facts[image.name] = outcome
        if advance is not None:
            advance(1)
    unreadable.sort(key=lambda lost: lost.name)
    masks = [name for name, fact in facts.items() if fact.two_valued]
    if 2 * len(masks) > len(facts):
        masks = []
    for name in masks:
        del facts[name]
    left_out = sorted((*source.left_out, *(LeftOut(name, TWO_LEVELS) for name in masks)), key=lambda entry: entry.name)
    return Scan(facts, tuple(unreadable), tuple(left_out), tuple(remarks))


def _facts(image: LabelledImage, preprocess: PreprocessSpec) -> ImageFacts:
    content = _content(image)
    opened = open_image(content, preprocess, name=image.name)
    (width, height), mode = opened.size, opened.mode
    decoded = upright(opened, preprocess, name=image.name)
    two_valued = _is_two_valued(decoded, lossy=opened.format == "JPEG")
    return ImageFacts(
        hashlib.sha256(content).hexdigest(), width, height, mode, fingerprint(decoded),
        two_valued=two_valued, grey=_is_grey(decoded),
    )  # fmt: skip


def _content(image: LabelledImage) -> bytes:
    """Read one regular file; neither a pipe that was put in its place nor a file that the kernel makes up can stop the scan."""
    try:
        handle = os.open(image.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImageError("an image file", image.name, f"{kind_of(status.st_mode)}, no file")
            if status.st_size > LARGEST_BYTES:
                size = f"{status.st_size / 1e9:,.1f} GB"
                raise UnreadableImageError(
                    "an image file of at most 1 GB", image.name, f"{size}, above the limit of 1 GB"
                )
            return file.read(status.st_size)
    except OSError as error:
        raise UnreadableImageError("a file that can be read", image.name, error.strerror or str(error)) from error


def _is_grey(image: Image.Image) -> bool:
    """Say whether an `L` or `RGB` image shows no colour, measured on a thumbnail: JPEG tints single pixels."""
    if image.mode == "L":
        return True
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.int16)
    return int((small.max(axis=2) - small.min(axis=2)).max()) <= _TINT


def _is_two_valued(image: Image.Image, *, lossy: bool) -> bool:
    """Say whether an `L` or `RGB` image has two colours; a JPEG, whether nearly all of it is near its darkest and brightest."""
    if not lossy:
        colours = image.getcolors(2)
        return colours is not None and len(colours) == 2
    levels = image.convert("L").histogram()
    low = next(level for level, count in enumerate(levels) if count)
    high = next(level for level in range(255, -1, -1) if levels[level])
    pixels = image.width * image.height
    dark, bright = sum(levels[low : low + _FAR]), sum(levels[max(0, high - _FAR + 1) : high + 1])
    return high - low >= 4 * _FAR and min(dark, bright) > 0.02 * pixels and dark + bright >= 0.99 * pixels
