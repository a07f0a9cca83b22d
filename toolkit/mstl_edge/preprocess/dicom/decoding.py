"""What pydicom does: a file's elements, and its picture as it is stored."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess.dicom.values import text_of
from mstl_edge.preprocess.unreadable import UnreadableImageError

MOST_INFLATED = 1 << 30
"""Bytes that a deflated file may become."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
_MOST_DEFLATED = 1032
"""Bytes that zlib can hold in one."""


def parsed(content: bytes, name: str) -> Any:
    """Return a file's elements."""
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(_inflated(content, name)), force=True)
    if not hasattr(dataset, "file_meta") or "TransferSyntaxUID" not in dataset.file_meta:
        # Old programs leave the header out and write what DICOM calls its default.
        dataset.ensure_file_meta()
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else pydicom.uid.ExplicitVRLittleEndian
            if little
            else pydicom.uid.ExplicitVRBigEndian
        )
    return dataset


def _inflated(content: bytes, name: str) -> bytes:
    """Return `content`; refuse a deflated file that would become far too large.

    pydicom inflates such a file by itself, and without a limit.
    """
    if _DEFLATED.encode() in content[:1024] and len(content) * _MOST_DEFLATED > MOST_INFLATED:
        import pydicom

        file = io.BytesIO(content)
        pydicom.filereader.read_preamble(file, force=True)
        pydicom.filereader._read_file_meta_info(file)
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        size, rest = 0, content[file.tell() :]
        while rest and size <= MOST_INFLATED:
            size += len(inflating.decompress(rest, 1 << 24))
            rest = inflating.unconsumed_tail
        if size > MOST_INFLATED:
            raise UnreadableImageError(
                "an image file", name, f"a deflated DICOM file of more than {MOST_INFLATED:,} bytes"
            )
    return content


def decoded(dataset: Any, frame: int) -> NDArray[Any]:
    """Return one picture as stored, `(rows, columns)`, or in colour `(rows, columns, 3)`."""
    from pydicom.pixels import apply_color_lut, pixel_array

    # Its own decoder: the one of pylibjpeg-rle panics over damaged files, and prints where.
    plugin = "pydicom" if dataset.file_meta.TransferSyntaxUID == _RLE else ""
    pixels = pixel_array(dataset, index=frame, decoding_plugin=plugin)
    if pixels.ndim == 2 and text_of(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        return np.asarray(apply_color_lut(pixels, dataset))[..., :3]
    return np.asarray(pixels)
