"""The EXIF orientation, which is all that matters of EXIF here: nothing else in it may cost a picture."""

from __future__ import annotations

import struct

from PIL import ExifTags, Image

_ORIENTATION = ExifTags.Base.Orientation
_EXIF_HOLDERS = ("exif", "Raw profile type exif")
_XMP_HOLDERS = ("XML:com.adobe.xmp", "xmp")
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_PREFIX = b"Exif\0\0"
_SHORT = 3


def keep_only_orientation(image: Image.Image) -> None:
    """Leave of an image's EXIF the orientation, if it has one of 2 to 8, and nothing for Pillow to stumble over.

    Pillow writes the whole block anew when it turns an image, and raises, as many kinds of error as there are tags, for a value of
    another type than the standard's (python-pillow/Pillow#4238 and its like).
    """
    orientation = _orientation(image)
    for holder in _EXIF_HOLDERS + _XMP_HOLDERS:
        image.info.pop(holder, None)
    exif = image.getexif()
    for tag in list(exif):
        del exif[tag]
    if orientation is not None:
        exif[_ORIENTATION] = orientation


def jpeg_without_exif(content: bytes) -> tuple[bytes, bytes]:
    """Return a JPEG without its EXIF segments, and the first of these (empty where there is none).

    Pillow reads the resolution from EXIF on opening, and takes an ill-typed one for a file that is no JPEG.
    """
    kept, exif, position = [content[:2]], b"", 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF or marker in _STANDALONE:
            end = position + (1 if marker == 0xFF else 2)
        else:
            end = position + 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN or (end <= position + 1 and marker != 0xFF):
            break
        segment = content[position:end]
        if marker == _APP1 and segment[4:10] == _PREFIX:
            exif = exif or segment[4:]
        else:
            kept.append(segment)
        position = end
    return b"".join([*kept, content[position:]]), exif


def _orientation(image: Image.Image) -> int | None:
    block = image.info.get("exif")
    try:
        found = _stored_orientation(block) if isinstance(block, bytes) else None
        if found is None:
            found = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001  # whatever kind it is, it says nothing about the picture
        return None
    # By value, not by type: Pillow has already exchanged height and width for a TIFF's 6.0.
    return next((turn for turn in range(2, 9) if found == turn), None)


def _stored_orientation(block: bytes) -> int | None:
    """Return the orientation in an EXIF block, read past whatever stands before it; Pillow gives up at the first value cut off."""
    while block.startswith(_PREFIX):
        block = block[len(_PREFIX) :]
    order = {b"II": "<", b"MM": ">"}[block[:2]]
    (start,) = struct.unpack_from(f"{order}L", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, value = struct.unpack_from(f"{order}HHLH", block, place)
        if tag == _ORIENTATION:
            return int(value) if kind == _SHORT and values else None
    return None
