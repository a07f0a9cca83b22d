"""What pydicom does: a file's elements, and its picture as it is stored."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess.dicom.values import text_of, whole_of
from mstl_edge.preprocess.unreadable import UnreadableImageError

MOST_INFLATED = 1 << 30
"""Bytes that a deflated file may become."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
_MOST_DEFLATED = 1032
"""Bytes that zlib can hold in one."""
_CHUNK = 1 << 20
_HEAD = 1 << 12
_JPEGS = "1.2.840.10008.1.2.4."
"""What identifiers of the transfer syntaxes of JPEG, JPEG-LS and JPEG 2000 begin with."""
_J2K = b"\xff\x4f\xff\x51"
"""Start of a codestream, and its sizes behind it (ISO/IEC 15444-1, A.5.1)."""
_FRAME_MARKERS = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
"""Of JPEG (ITU-T T.81, B.2.2) and JPEG-LS (T.87, C.2.2)."""


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
    if inflates_too_far(io.BytesIO(content), len(content)):
        raise UnreadableImageError("an image file", name, f"a deflated DICOM file of more than {MOST_INFLATED:,} bytes")
    return content


def inflates_too_far(file: BinaryIO, size: int) -> bool:
    """Say whether a deflated file of `size` bytes becomes more than `MOST_INFLATED`; no other one does."""
    if size * _MOST_DEFLATED <= MOST_INFLATED:
        return False
    import pydicom

    pydicom.filereader.read_preamble(file, force=True)
    meta = pydicom.filereader._read_file_meta_info(file)
    if meta.get("TransferSyntaxUID") != _DEFLATED:
        return False
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    found = 0
    while found <= MOST_INFLATED and (chunk := inflating.unconsumed_tail or file.read(_CHUNK)):
        found += len(inflating.decompress(chunk, 16 * _CHUNK))
        if inflating.eof:
            break
    return found > MOST_INFLATED


def decoded(dataset: Any, frame: int) -> NDArray[Any]:
    """Return one picture as stored, `(rows, columns)`, or in colour `(rows, columns, 3)`."""
    from pydicom.pixels import apply_color_lut, pixel_array

    if dataset.file_meta.TransferSyntaxUID.startswith(_JPEGS):
        _check_size(dataset, frame)
    # Its own decoder: the one of pylibjpeg-rle panics over damaged files, and prints where.
    plugin = "pydicom" if dataset.file_meta.TransferSyntaxUID == _RLE else ""
    pixels = pixel_array(dataset, index=frame, decoding_plugin=plugin)
    if pixels.ndim == 2 and text_of(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        return np.asarray(apply_color_lut(pixels, dataset))[..., :3]
    return np.asarray(pixels)


def _check_size(dataset: Any, frame: int) -> None:
    """Refuse a compressed picture that says another size than its file, by which the pixel limit went.

    Raises:
        ValueError: It does.
    """
    from pydicom.encaps import get_frame

    frames = max(1, whole_of(dataset, "NumberOfFrames", 1))
    told = _stream_size(get_frame(dataset.PixelData, frame, number_of_frames=frames))
    if told is not None and told != (whole_of(dataset, "Rows", 0), whole_of(dataset, "Columns", 0)):
        raise ValueError("two sizes")


def _stream_size(stream: bytes) -> tuple[int, int] | None:
    """Return rows and columns that the header of a JPEG, JPEG-LS or JPEG 2000 stream tells; None where none is found."""
    begin = -1 if stream.startswith(b"\xff\xd8") else stream.find(_J2K, 0, _HEAD)
    if begin >= 0:
        right, bottom, left, top = struct.unpack_from(">4I", stream, begin + len(_J2K) + 4)
        return bottom - top, right - left
    place = 2
    while stream.startswith(b"\xff\xd8") and place + 9 <= len(stream) and stream[place] == 0xFF:
        marker = stream[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">2H", stream, place + 5)
            return rows, columns
        else:
            place += 2 + int.from_bytes(stream[place + 2 : place + 4], "big")
    return None
