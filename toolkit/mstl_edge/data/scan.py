"""One pass over every file of a source: content hash, size, mode, fingerprint, and what cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mstl_edge.data.duplicates import fingerprint
from mstl_edge.data.sources import DataSource, LabelledImage
from mstl_edge.data.workers import in_order
from mstl_edge.preprocess import UnreadableImageError, open_image, upright
from mstl_edge.recipe import PreprocessSpec


@dataclass(frozen=True)
class ImageFacts:
    """What one readable file is: SHA-256 in hexadecimal, stored size and Pillow mode, thumbnail for near-duplicates."""

    sha256: str
    width: int
    height: int
    mode: str
    fingerprint: bytes


@dataclass(frozen=True)
class Unreadable:
    """A file that gives no image, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """Facts by image name, and the files that could not be read, sorted by name."""

    facts: Mapping[str, ImageFacts]
    unreadable: tuple[Unreadable, ...]


def scan_source(
    source: DataSource, preprocess: PreprocessSpec, *, advance: Callable[[int], None] | None = None
) -> Scan:
    """Read and decode every file once, on all cores; whatever is wrong with a file is recorded, not raised.

    Args:
        source: The files.
        preprocess: Its pixel limit and grey window hold here too.
        advance: Told of each file that is done.
    """

    def examine(image: LabelledImage) -> ImageFacts | Unreadable:
        try:
            return _facts(image, preprocess)
        except UnreadableImageError as error:
            return Unreadable(image.name, error.reason)

    facts: dict[str, ImageFacts] = {}
    unreadable: list[Unreadable] = []
    for image, outcome in zip(source.images, in_order(examine, source.images), strict=True):
        if isinstance(outcome, Unreadable):
            unreadable.append(outcome)
        else:
            facts[image.name] = outcome
        if advance is not None:
            advance(1)
    return Scan(facts, tuple(unreadable))


def _facts(image: LabelledImage, preprocess: PreprocessSpec) -> ImageFacts:
    try:
        content = image.path.read_bytes()
    except OSError as error:
        raise UnreadableImageError("a file that can be read", image.name, error.strerror or str(error)) from error
    opened = open_image(content, preprocess, name=image.name)
    (width, height), mode = opened.size, opened.mode
    thumbnail = fingerprint(upright(opened, preprocess, name=image.name))
    return ImageFacts(hashlib.sha256(content).hexdigest(), width, height, mode, thumbnail)
