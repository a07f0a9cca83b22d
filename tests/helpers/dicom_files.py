"""DICOM files as scanners and archives write them, in the transfer syntaxes that can be written here."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg2000": JPEG2000Lossless,
}
"""Lossless ones."""


def dicom_bytes(
    pixels: np.ndarray, syntax: str = "explicit", *, bits: int = 0, preamble: bool = True, **elements: Any
) -> bytes:
    """Write `(rows, columns)`, `(rows, columns, 3)` or, with `NumberOfFrames`, `(frames, rows, columns)`.

    Args:
        pixels: Whole numbers.
        syntax: One of `SYNTAXES`, or `jpeg` for 8 bits, which loses a little.
        bits: Stored bits; default all.
        preamble: Whether there is the header that old programs leave out.
        elements: Further elements, or other values, by their keywords.
    """
    colour = pixels.ndim == 3 and "NumberOfFrames" not in elements
    rows, columns = pixels.shape[:2] if colour or pixels.ndim == 2 else pixels.shape[1:]
    allocated = pixels.dtype.itemsize * 8
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = allocated, bits or allocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if syntax == "jpeg":
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([buffer.getvalue()])
        dataset["PixelData"].is_undefined_length = True
    else:
        uid = SYNTAXES[syntax]
        big = uid == ExplicitVRBigEndian
        stored = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<"))
        dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        dataset["PixelData"].VR = "OW" if allocated > 8 else "OB"
        dataset.file_meta.TransferSyntaxUID = uid
        if uid in (RLELossless, JPEG2000Lossless):
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.compress(uid, encoding_plugin="pydicom" if uid == RLELossless else "", generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue() if preamble else _without_header(buffer.getvalue())


def _without_header(content: bytes) -> bytes:
    """Return a file as programs wrote it before there was a header: the data set alone."""
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]
