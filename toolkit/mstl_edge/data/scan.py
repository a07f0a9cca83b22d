"""One pass over every file of a source: content hash, size, mode, fingerprint, and what cannot be read."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mstl_edge.data.duplicates import SIDE, fingerprint
from mstl_edge.data.files.labelled import DataSource, LabelledImage
from mstl_edge.data.files.walk import LeftOut, Unreadable, kind_of
from mstl_edge.data.workers import in_order
from mstl_edge.preprocess import Opened, Stored, UnreadableImageError, frame_of, heard, open_image, upright
from mstl_edge.preprocess.dicom import NOT_INSTALLED, DicomPicture, missing_reader
from mstl_edge.recipe import PreprocessSpec

TWO_LEVELS = "two grey levels alone, as masks have and pictures have not"
LARGEST_BYTES = 10**9
"""A larger file is read by nobody here: several are read at once, and one picture of the pixel limit takes far less."""
_TINT = 12
"""Steps between the channels of a thumbnail that no eye takes for a colour."""
_SALT = secrets.token_bytes(16)
_FAR = 32
"""Grey levels that JPEG may move a pixel beside an edge."""


@dataclass(frozen=True)
class ImageFacts:
    """What one readable file is: SHA-256 in hexadecimal, stored size and Pillow mode, thumbnail for near-duplicates.

    `two_valued`: it has two grey levels or colours and no more. `grey`: it shows no colour, in however many channels. `owners`
    stand for the patient, study and series that a DICOM file names (empty: it names none); they are equal where those are equal,
    hashed with a salt of this process, and leave it as little as the identifiers themselves.
    """

    sha256: str
    width: int
    height: int
    mode: str
    fingerprint: bytes
    two_valued: bool = False
    grey: bool = False
    owners: tuple[bytes, bytes, bytes] | None = None


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
        """Say of how many files a decoder made a remark, and the first of them; and whose pictures they are by their tags."""
        owners = owners_of(tuple(self.facts.values())).notes
        if not self.remarks:
            return owners
        first = self.remarks[0]
        return (
            *owners,
            f"files with a remark of their decoder: {len(self.remarks)}, the first {first.name}: {first.reason}",
        )


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

    Raises:
        MissingExtraError: There are DICOM files, and nothing here reads them.
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
    if unread := [lost.name for lost in unreadable if lost.reason == NOT_INSTALLED]:
        raise missing_reader(len(unread), unread[0])
    unreadable.sort(key=lambda lost: lost.name)
    masks = [name for name, fact in facts.items() if fact.two_valued]
    if 2 * len(masks) > len(facts):
        masks = []
    for name in masks:
        del facts[name]
    left_out = sorted((*source.left_out, *(LeftOut(name, TWO_LEVELS) for name in masks)), key=lambda entry: entry.name)
    return Scan(facts, tuple(unreadable), tuple(left_out), tuple(remarks))


@dataclass(frozen=True)
class Owners:
    """What each picture belongs to by its DICOM tags.

    Attributes:
        patients: Stand for the patient; empty where none is told.
        together: Stand for patient, study and series, as far as they are told: pictures that share one stay together.
        notes: Say so.
    """

    patients: tuple[bytes, ...]
    together: tuple[tuple[bytes, ...], ...]
    notes: tuple[str, ...]


def owners_of(facts: Sequence[ImageFacts]) -> Owners:
    """Return what pictures belong to.

    Where all name one patient in several studies, as files do whose patients were taken out, the patient says nothing.
    """
    told = [fact.owners or (b"", b"", b"") for fact in facts]
    patients, studies, _ = (
        (set(values) - {b""} for values in zip(*told, strict=True)) if told else (set(), set(), set())
    )
    dummy = len(patients) == 1 and len(studies) > 1
    notes = []
    if len(patients) > 1:
        named = sum(bool(owners[0]) for owners in told)
        of_all = "" if named == len(told) else f" of {named:,} of {len(told):,} images"
        notes.append(f"patients{of_all} by their DICOM tags: {len(patients):,}")
    elif studies:
        why = "all files name the same one" if dummy else "the files name none" if not patients else "there is one"
        notes.append(
            f"images of one study or series stay together, {len(studies):,} studies by their DICOM tags; of patients {why}"
        )
    return Owners(
        tuple(b"" if dummy else owners[0] for owners in told),
        tuple(tuple(owner for owner in owners[1 if dummy else 0 :] if owner) for owners in told),
        tuple(notes),
    )


def _facts(image: LabelledImage, preprocess: PreprocessSpec) -> ImageFacts:
    stored = _stored(image)
    opened = open_image(stored, preprocess, name=image.name)
    (width, height), mode = opened.size, opened.mode
    decoded = upright(opened, preprocess, name=image.name)
    two_valued = _is_two_valued(decoded, lossy=opened.format == "JPEG")
    return ImageFacts(
        stored.sha256, width, height, mode, fingerprint(decoded),
        two_valued=two_valued, grey=_is_grey(decoded), owners=_owners(opened),
    )  # fmt: skip


def _owners(opened: Opened) -> tuple[bytes, bytes, bytes] | None:
    if not isinstance(opened, DicomPicture):
        return None
    whose = opened.belonging
    patient, study, series = (
        hashlib.blake2b(text.encode(), key=_SALT, digest_size=16).digest() if text else b""
        for text in (whose.patient, whose.study, whose.series)
    )
    return patient, study, series


def _stored(image: LabelledImage) -> Stored:
    if image.frame is None:
        return Stored(_content(image))
    try:
        return frame_of(image.path, image.frame, lambda: _content(image))
    except OSError as error:
        raise UnreadableImageError("a file that can be read", image.name, error.strerror or str(error)) from error


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
