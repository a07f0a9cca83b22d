from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from mstl_edge.preprocess import load_image
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()
ORIENTATION = 0x0112
TAGS = (
    0x0100, 0x0103, 0x010E, 0x0111, 0x011A, 0x011B, 0x0128, 0x0131, 0x0201, 0x02BC, 0x8769, 0x8825, 0x927C, 0xC4A5,
)  # fmt: skip
KINDS = (1, 2, 3, 5, 7, 9, 11, 12, 13)
VALUES = (b"a\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff")


def picture() -> Image.Image:
    small = np.random.default_rng(7).integers(0, 256, (4, 4), dtype=np.uint8)
    return Image.fromarray(np.kron(small, np.ones((4, 4), np.uint8)))


def exif(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    body = b"".join(struct.pack(f"{order}HHL", tag, kind, count) + value for tag, kind, count, value in sorted(entries))
    return b"Exif\0\0" + head + struct.pack(f"{order}H", len(entries)) + body + b"\0" * 4


def turned(orientation: int = 6, order: str = "<") -> tuple[int, int, int, bytes]:
    return ORIENTATION, 3, 1, struct.pack(f"{order}HH", orientation, 0)


def encoded(saved, form: str, block: bytes) -> bytes:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(form, {})
    return saved(picture(), form, exif=block, **options)


@pytest.mark.parametrize(
    ("form", "order", "count"), [("JPEG", "<", 1), ("JPEG", ">", 70_000), ("PNG", "<", 1), ("WEBP", ">", 1)]
)
def test_no_ill_typed_tag_costs_a_picture_or_its_orientation(saved, form, order, count):
    expected = load_image(encoded(saved, form, exif(turned(order=order), order=order)), 16, SPEC)
    upright = load_image(encoded(saved, form, b""), 16, SPEC)
    np.testing.assert_array_equal(expected, np.rot90(upright, -1))
    for tag in TAGS:
        for kind in KINDS:
            for value in VALUES:
                block = exif((tag, kind, count, value), turned(order=order), order=order)
                np.testing.assert_array_equal(
                    load_image(encoded(saved, form, block), 16, SPEC), expected, str((tag, kind, value))
                )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0XX*\0\x08\0\0\0\0\0",
        exif((ORIENTATION, 2, 1, b"6\0\0\0")),
        exif((ORIENTATION, 3, 0, b"\x06\0\0\0")),
        exif(turned(0)),
        exif(turned(9)),
        exif(turned(1)),
        exif(turned())[:-14],
        b"Exif\0\0" + bytes(range(200)),
    ],
)
def test_without_a_readable_orientation_a_picture_stays_as_it_is(saved, form, block):
    np.testing.assert_array_equal(
        load_image(encoded(saved, form, block), 16, SPEC), load_image(encoded(saved, form, b""), 16, SPEC)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_turns_as_exif_says(saved, orientation):
    expected = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
    }[orientation]  # fmt: skip
    upright = picture() if expected is None else picture().transpose(expected)
    for content in (
        encoded(saved, "PNG", exif(turned(orientation))),
        saved(picture(), "TIFF", tiffinfo={ORIENTATION: orientation}),
        saved(picture(), "TIFF", tiffinfo={ORIENTATION: orientation}, compression="tiff_lzw"),
    ):
        np.testing.assert_array_equal(load_image(content, 16, SPEC)[..., 0], np.asarray(upright))


def test_the_orientation_of_xmp_is_applied(saved):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    upright = load_image(saved(picture(), "JPEG"), 16, SPEC)
    np.testing.assert_array_equal(load_image(saved(picture(), "JPEG", xmp=xmp), 16, SPEC), np.rot90(upright, -1))


@pytest.mark.parametrize("tag", [270, 271, 282, 283, 296, 305, 700, 34665, 34853])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 7, 11, 12, 13])
@pytest.mark.parametrize("order", ["<", ">"])
def test_no_ill_typed_tag_costs_a_tiff(tiff, tag, kind, order):
    levels = np.random.default_rng(0).integers(0, 60_000, (16, 16)).astype(np.uint16)
    expected = load_image(tiff(levels, order=order), 16, SPEC)
    for value in VALUES:
        content = tiff(levels, order=order, tags={tag: (kind, value)})
        np.testing.assert_array_equal(load_image(content, 16, SPEC), expected)
