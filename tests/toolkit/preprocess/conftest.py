"""Files as other programs write them, byte by byte where Pillow would not."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

MINIMAL_TAGS = {256: 4, 257: 4, 258: 3, 259: 3, 262: 3, 273: 4, 277: 3, 278: 4, 279: 4, 339: 3}


@pytest.fixture(scope="session")
def tiff() -> Callable[..., bytes]:
    """Write one uncompressed TIFF of one directory; `tags` maps further tags to type and value."""

    def write(
        levels: np.ndarray,
        photometric: int = 1,
        *,
        order: str = "<",
        bits: int = 0,
        data: bytes | None = None,
        tags: Mapping[int, tuple[int, bytes]] | None = None,
    ) -> bytes:
        height, width = levels.shape
        data = levels.astype(levels.dtype.newbyteorder(order)).tobytes() if data is None else data
        kind = {"u": 1, "i": 2, "f": 3}[levels.dtype.kind]
        values = {
            256: width, 257: height, 258: bits or levels.dtype.itemsize * 8, 259: 1, 262: photometric, 277: 1,
            278: height, 279: len(data), 339: kind,
        }  # fmt: skip
        entries = {
            # A SHORT lies at the beginning of its four bytes.
            tag: (MINIMAL_TAGS[tag], struct.pack(f"{order}{'H2x' if MINIMAL_TAGS[tag] == 3 else 'L'}", value))
            for tag, value in values.items()
        }
        entries |= tags or {}
        entries[273] = (4, struct.pack(f"{order}L", 8 + 2 + 12 * (len(entries) + 1) + 4))
        head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
        directory = b"".join(
            struct.pack(f"{order}HHL", tag, kind, 1) + value for tag, (kind, value) in sorted(entries.items())
        )
        return head + struct.pack(f"{order}H", len(entries)) + directory + b"\0" * 4 + data

    return write


@pytest.fixture(scope="session")
def pages() -> Callable[..., bytes]:
    """Write several pages into one TIFF, each with its NewSubfileType."""

    def write(*images: tuple[Image.Image, int]) -> bytes:
        buffer = io.BytesIO()
        with TiffImagePlugin.AppendingTiffWriter(buffer, True) as file:
            for image, kind in images:
                image.save(file, "TIFF", tiffinfo={254: kind})
                file.newFrame()
        return buffer.getvalue()

    return write


@pytest.fixture(scope="session")
def saved() -> Callable[..., bytes]:
    """Encode an image by Pillow."""

    def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    return encode
