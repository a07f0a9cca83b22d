"""Series and files of many slices → the slices that are images of the set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from mstl_edge.counted import counted
from mstl_edge.data.files.labelled import DataSource, LabelledImage
from mstl_edge.data.files.walk import DICOM_SUFFIXES, IMAGE_SUFFIXES, LeftOut, may_be_image
from mstl_edge.preprocess import frame_name
from mstl_edge.preprocess.dicom import Header, read_header

Slices = Literal["all", "middle"]
NOT_MIDDLE = "not the middle slice of its series"


def with_slices(source: DataSource, slices: Slices) -> DataSource:
    """Return a source in which a DICOM file of several frames is its frames, each an image with the label of the file.

    Args:
        source: The files.
        slices: `all` of them, or of each series, and of each file with frames, the `middle` one along its axis. The others are left
            out and counted.
    """
    headers = {image.name: header for image in source.images if (header := dicom_header(image.path))}
    if not headers:
        return source
    kept: list[LabelledImage] = []
    left_out, framed = [], []
    middles = _middles(source.images, headers) if slices == "middle" else None
    for image in source.images:
        header = headers.get(image.name)
        if header is None or header.frames == 1:
            if header is None or middles is None or image.name in middles:
                kept.append(image)
            else:
                left_out.append(LeftOut(image.name, NOT_MIDDLE))
            continue
        framed.append(header.frames)
        numbers = range(header.frames) if middles is None else [header.frames // 2]
        kept += [replace(image, name=frame_name(image.name, number), frame=number) for number in numbers]
    return replace(
        source,
        images=tuple(sorted(kept, key=lambda image: image.name)),
        left_out=tuple(sorted((*source.left_out, *left_out), key=lambda entry: entry.name)),
        notes=(*source.notes, *_notes(framed, middles, slices)),
    )


def dicom_header(path: Path) -> Header | None:
    """Return what a file says of itself, if it is DICOM; a file whose name says another format is not opened."""
    suffix = PurePosixPath(path.name).suffix.lower()
    if suffix in IMAGE_SUFFIXES - DICOM_SUFFIXES or not may_be_image(path.name):
        return None
    return read_header(path)


def _middles(images: Sequence[LabelledImage], headers: dict[str, Header]) -> set[str]:
    """Return the files that are the middle slice of their series; a file without a series is one of its own."""
    series: defaultdict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        header = headers.get(image.name)
        if header is not None and header.frames == 1:
            series[header.series or image.name].append(image)
    ordered = (sorted(own, key=lambda image: (headers[image.name].place, image.name)) for own in series.values())
    return {own[len(own) // 2].name for own in ordered}


def _notes(framed: Sequence[int], middles: set[str] | None, slices: Slices) -> list[str]:
    notes = []
    if framed:
        which = "each of them is an image" if slices == "all" else "the middle one of each is an image"
        notes.append(f"{counted(len(framed), 'file')} of {sum(framed):,} frames: {which}")
    if middles:
        notes.append(f"{counted(len(middles), 'series', 'series')}: the middle slice of each is an image")
    elif framed and middles is None:
        notes.append("the middle frames alone: --slices middle")
    return notes
