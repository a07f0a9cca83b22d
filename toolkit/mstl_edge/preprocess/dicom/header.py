"""What a DICOM file says of itself before its pixels: of which series it is, where its slice lies, how many frames it has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mstl_edge.preprocess.dicom.decoding import inflates_too_far
from mstl_edge.preprocess.dicom.picture import MOST_FRAMES, is_dicom, reads_dicom
from mstl_edge.preprocess.dicom.values import hush, text_of, whole_of
from mstl_edge.preprocess.hearing import heard

_HEAD_BYTES = 1 << 10
_TAGS = [
    "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "NumberOfFrames", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient",
]  # fmt: skip


@dataclass(frozen=True)
class Header:
    """Identifiers are a patient's and go nowhere; empty where a file has none.

    Attributes:
        instance: Of this file.
        series: Of its series.
        study: Of its study.
        frames: Pictures in it.
        place: Where its slice lies in the series: along the normal of its plane in mm, else its number, else 0.
    """

    instance: str
    series: str
    study: str
    frames: int
    place: float


def read_header(path: Path) -> Header | None:
    """Return what a file says; None where it is no DICOM, cannot be read, or pydicom is not installed."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=100_000)
def _read(path: Path, changed: int, size: int) -> Header | None:
    if not reads_dicom():
        return None
    import pydicom

    hush()
    try:
        with path.open("rb") as file:
            if not is_dicom(file.read(_HEAD_BYTES)):
                return None
            file.seek(0)
            if inflates_too_far(file, size):
                return None
        with heard():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
            frames = max(1, whole_of(dataset, "NumberOfFrames", 1))
            return Header(
                text_of(dataset, "SOPInstanceUID"),
                text_of(dataset, "SeriesInstanceUID"),
                text_of(dataset, "StudyInstanceUID"),
                frames if frames <= MOST_FRAMES else 1,  # whoever decodes the file refuses it
                _place(dataset),
            )
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whoever decodes the file says what is wrong with it
        return None


def _place(dataset: Any) -> float:
    try:
        position = np.array([float(part) for part in dataset.ImagePositionPatient])
        plane = np.array([float(part) for part in dataset.ImageOrientationPatient])
        return float(position @ np.cross(plane[:3], plane[3:]))
    except (AttributeError, TypeError, ValueError):
        return float(whole_of(dataset, "InstanceNumber", 0))
