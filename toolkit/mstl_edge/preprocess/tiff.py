"""What Pillow leaves to its caller about TIFF: how many pictures there are, which end of the grey is white, tags that don't fit."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, TiffImagePlugin

from mstl_edge.preprocess.hearing import heard

_SUBFILE, _OLD_SUBFILE, _WIDTH, _BITS, _PHOTOMETRIC = 254, 255, 256, 258, 262
_DESCRIPTION, _FORMAT, _DEPTH = 270, 339, 32997
_DECIDE_PIXELS = frozenset(
    {
        254,
        255,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        284,
        292,
        293,
        317,
        320,
        322,
        323,
        324,
        325,
        338,
        339,
        347,
    }
    | {*range(512, 522), 529, 530, 531, 532, 32997}
)
"""Tags without which a TIFF can't be decoded; any other is done without where Pillow stumbles over one."""
_REDUCED, _MASK = 1, 4
_OLD_REDUCED = 2
_MIN_IS_WHITE, _MIN_IS_BLACK = 0, 1
_SHORT, _NO_TYPE = 3, 0xFFFF
_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_IMAGEJ_STACK = re.compile(r"^images=(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Pages:
    """How many pictures a file holds, and the page of the first; reduced copies of a picture and masks are none."""

    pictures: int
    first: int


def is_tiff(content: bytes) -> bool:
    """Say whether `content` begins as TIFF or BigTIFF."""
    return content.startswith(tuple(TiffImagePlugin.PREFIXES))


def is_min_is_white(image: Image.Image) -> bool:
    """Say whether an image is a TIFF whose least level is white; Pillow turns those of up to eight bits over by itself."""
    return _tags(image).get(_PHOTOMETRIC) == _MIN_IS_WHITE


def is_unsigned(image: Image.Image) -> bool:
    """Say whether an image is a TIFF of unsigned 32-bit levels, which Pillow keeps in signed ones."""
    tags = _tags(image)
    return bool(tags) and _first(tags.get(_FORMAT, 1)) == 1 and sample_bits(image) == 32


def sample_bits(image: Image.Image) -> int:
    """Return the bits of one sample of a TIFF; 0 for other images."""
    return int(_first(_tags(image).get(_BITS, 0)))


def find_pages(content: bytes) -> Pages:
    """Count the pictures in a TIFF by its directories.

    Directories marked as a reduced copy (the levels of a pyramid, a thumbnail) or as a mask don't count. Those in SubIFDs are no
    pages. A stack of ImageJ may lie behind one directory, as may a volume (`ImageDepth`).
    """
    pictures, first = 0, 0
    with heard():  # A damaged further page is no matter of the picture.
        for page, tags in enumerate(_directories(content)):
            if _WIDTH not in tags or _reduced_or_mask(tags):
                continue
            if pictures == 0:
                first = page
            pictures += _in_one_directory(tags) if page == 0 else 1
    return Pages(max(pictures, 1), first)


def open_mended(content: bytes) -> Image.Image | None:
    """Open a TIFF that Pillow refuses for a tag that doesn't matter to the pixels, or for MinIsWhite in a depth where it has none.

    Returns:
        The opened image; None where neither is the reason.

    Raises:
        UnidentifiedImageError: Pillow refuses it without them, too.
    """
    mended, turned = _mended(content)
    if mended == content:
        return None
    image = Image.open(io.BytesIO(mended), formats=("TIFF",))
    if turned and isinstance(image, TiffImagePlugin.TiffImageFile):
        image.tag_v2[_PHOTOMETRIC] = _MIN_IS_WHITE
    return image


def describe_samples(content: bytes) -> str:
    """Return of a TIFF in words what its samples are, as `64-bit floating-point samples`; empty where it has no such tags."""
    with heard():
        tags = next(_directories(content), {})
    bits, kind = _first(tags.get(_BITS, 0)), _FORMATS.get(_first(tags.get(_FORMAT, 1)), "undefined")
    return f"{bits}-bit {kind} samples" if bits else ""


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value


def _directories(content: bytes) -> Iterator[Mapping[int, Any]]:
    file = io.BytesIO(content)
    tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if content[2] == 43 else 8])
    seen: set[int] = set()
    while 0 < tags.next < len(content) and tags.next not in seen:
        seen.add(tags.next)
        file.seek(tags.next)
        tags.load(file)
        yield tags


def _reduced_or_mask(tags: Mapping[int, Any]) -> bool:
    kind = tags.get(_SUBFILE, 0)
    return bool(isinstance(kind, int) and kind & (_REDUCED | _MASK)) or tags.get(_OLD_SUBFILE) == _OLD_REDUCED


def _in_one_directory(tags: Mapping[int, Any]) -> int:
    depth, told = tags.get(_DEPTH, 1), tags.get(_DESCRIPTION, "")
    if isinstance(depth, int) and depth > 1:
        return depth
    stack = _IMAGEJ_STACK.search(told) if isinstance(told, str) and told.startswith("ImageJ=") else None
    return max(1, int(stack[1])) if stack else 1


def _mended(content: bytes) -> tuple[bytes, bool]:
    """Return a TIFF whose first directory keeps what decides pixels, less MinIsWhite above eight bits; and whether it had that."""
    order = "<" if content[:1] == b"I" else ">"
    if content[2:4] not in (b"\x2a\0", b"\0\x2a") or len(content) < 8:
        return content, False
    mended = bytearray(content)
    try:
        (start,) = struct.unpack_from(f"{order}L", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, start)
        bits, turned = 1, 0
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHLH", content, place)
            if tag == _BITS and values == 1:
                bits = value
            elif tag == _PHOTOMETRIC and kind == _SHORT and value == _MIN_IS_WHITE:
                turned = place
            elif tag not in _DECIDE_PIXELS:
                struct.pack_into(f"{order}H", mended, place + 2, _NO_TYPE)
        if turned and bits > 8:
            struct.pack_into(f"{order}H", mended, turned + 8, _MIN_IS_BLACK)
    except struct.error:
        return content, False
    return bytes(mended), bool(turned and bits > 8)
