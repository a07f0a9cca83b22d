from __future__ import annotations

import io
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstl_edge.errors import DataError
from mstl_edge.preprocess import (
    UnreadableImageError,
    decode,
    load_image,
    normalize,
    open_image,
    resize,
    spec_digest,
    upright,
)
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")


def test_grey_becomes_three_equal_channels():
    pixels = load_image(encoded(Image.fromarray(noise((30, 40)))), 24, SPEC)
    assert pixels.shape == (24, 24, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 1])
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("aspect", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos", "box"])
def test_resizing_grey_before_it_becomes_rgb_gives_the_pixels_of_resizing_rgb(aspect, method):
    spec = PreprocessSpec(aspect=aspect, resize=method)
    content = encoded(Image.fromarray(noise((50, 70))))
    np.testing.assert_array_equal(load_image(content, 32, spec), resize(decode(content, spec), 32, spec))


def test_an_image_of_the_right_size_is_left_as_it_is():
    pixels = noise((32, 32, 3))
    np.testing.assert_array_equal(load_image(encoded(Image.fromarray(pixels)), 32, SPEC), pixels)


def test_transparency_is_put_over_black():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:2, :, 3] = 255
    pixels[2:, :, 3] = 51
    result = load_image(encoded(Image.fromarray(pixels)), 4, SPEC)
    np.testing.assert_array_equal(result[:2, :, 0], 200)
    np.testing.assert_array_equal(result[2:, :, 0], 40)
    assert not result[..., 1:].any()


def test_a_palette_is_resolved_and_its_transparent_entry_is_black():
    image = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    np.testing.assert_array_equal(load_image(encoded(image), 2, SPEC)[0], [[10, 20, 30], [40, 50, 60]])
    see_through = load_image(encoded(image, transparency=1), 2, SPEC)
    np.testing.assert_array_equal(see_through[0], [[10, 20, 30], [0, 0, 0]])


def test_grey_with_transparency_and_one_bit_images_are_read():
    assert (load_image(encoded(Image.new("LA", (8, 8), (200, 0))), 8, SPEC) == 0).all()
    assert (load_image(encoded(Image.new("1", (8, 8), 1)), 8, SPEC) == 255).all()


def test_cmyk_jpeg_is_read_as_colours():
    content = encoded(Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK"), "JPEG", quality=95)
    red, green, blue = load_image(content, 16, SPEC)[8, 8]
    assert red > 240
    assert green < 20
    assert blue < 20


def test_the_exif_orientation_is_applied():
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, 8:] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    turned = load_image(encoded(image, "PNG", exif=exif), 16, SPEC)
    assert not turned[:8].any()
    assert (turned[8:] == 255).all()


def test_sixteen_bit_grey_is_windowed_by_the_recipe_and_by_its_own_range_otherwise():
    levels = np.array([[0, 1000], [2000, 60000]], np.uint16)
    content = encoded(Image.fromarray(levels))
    windowed = load_image(content, 2, PreprocessSpec(window=(1000.0, 2000.0)))[..., 0]
    np.testing.assert_array_equal(windowed, [[0, 0], [255, 255]])
    np.testing.assert_array_equal(load_image(content, 2, SPEC)[..., 0], [[0, 4], [8, 255]])


def test_float_images_with_holes_and_flat_sixteen_bit_images_give_no_warning(recwarn):
    holes = np.array([[0.0, np.nan], [np.inf, 1.0]], np.float32)
    assert load_image(encoded(Image.fromarray(holes), "TIFF"), 2, SPEC)[1, 1, 0] == 255
    assert not load_image(encoded(Image.fromarray(np.full((4, 4), 700, np.uint16))), 4, SPEC).any()
    assert not recwarn.list


def test_downscaling_is_antialiased():
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255
    small = load_image(encoded(Image.fromarray(stripes)), 16, SPEC)
    assert 120 < small.min() <= small.max() < 136


def test_the_aspect_policies_stretch_pad_or_crop():
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    content = encoded(Image.fromarray(wide))
    padded = load_image(content, 60, PreprocessSpec(aspect="pad"))
    assert not padded[:20].any()
    assert (padded[25:35, 25:35] == 255).all()
    assert (load_image(content, 20, PreprocessSpec(aspect="crop")) == 255).all()
    stretched = load_image(content, 60, SPEC)
    assert (stretched[0, 25:35] == 255).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"an image file with content. Received: image \(0 bytes\)"),
        (b"just words", r"an image file. Received: image \(not an image\)"),
        (png_header(40_000, 40_000), r"at most 64,000,000 pixels. Received: .*40000×40000.*preprocess.max_pixels"),
        (png_header(50, 50), r"an image file that is whole. Received: image \("),
        (encoded(Image.fromarray(noise((64, 64))))[:-500], r"an image file that is whole. Received: image \("),
        (encoded(Image.fromarray(noise((64, 64))), "JPEG")[:-500], r"an image file that is whole. Received: image \("),
    ],
)
def test_a_file_that_gives_no_image_is_one_clear_line(content, message):
    with pytest.raises(UnreadableImageError, match=message) as caught:
        load_image(content, 32, SPEC)
    assert isinstance(caught.value, DataError)
    assert "\n" not in str(caught.value)


def test_errors_name_the_file_without_its_folder(tmp_path: Path):
    (tmp_path / "scan.png").write_bytes(encoded(Image.fromarray(noise((64, 64))))[:-500])
    with pytest.raises(DataError, match=r"Received: scan.png \(") as caught:
        load_image(tmp_path / "scan.png", 32, SPEC)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(DataError, match=r"can be read. Received: gone.png \(No such file"):
        load_image(tmp_path / "gone.png", 32, SPEC)


def test_the_pixel_limit_is_the_recipes_and_not_pillows(recwarn):
    """Pillow on its own warns above 89 million pixels and refuses above 179 million."""
    limit = Image.MAX_IMAGE_PIXELS
    assert open_image(png_header(15_000, 15_000), PreprocessSpec(max_pixels=300_000_000)).size == (15_000, 15_000)
    assert limit == Image.MAX_IMAGE_PIXELS
    assert not recwarn.list
    with pytest.raises(DataError, match="at most 99 pixels"):
        load_image(encoded(Image.new("L", (10, 10))), 32, PreprocessSpec(max_pixels=99))


def test_many_threads_read_alike_and_leave_pillows_limit_alone():
    contents = [encoded(Image.fromarray(noise((40, 40), seed))) for seed in range(16)] * 4
    limit = Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda content: load_image(content, 24, SPEC), contents))
    for content, pixels in zip(contents, threaded, strict=True):
        np.testing.assert_array_equal(load_image(content, 24, SPEC), pixels)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow speaks of damaged TIFF tags
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
def test_damaged_bytes_give_an_image_or_the_one_error(form):
    whole = encoded(Image.fromarray(noise((24, 24, 3))), form)
    chance = random.Random(form)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            assert load_image(bytes(damaged), 16, SPEC).shape == (16, 16, 3)
        except DataError:
            continue


def test_upright_keeps_grey_in_one_channel():
    assert upright(open_image(encoded(Image.new("L", (4, 4))), SPEC), SPEC).mode == "L"
    assert upright(open_image(encoded(Image.new("RGBA", (4, 4))), SPEC), SPEC).mode == "RGB"


def test_normalization_is_exact_in_steps_of_one_128th():
    np.testing.assert_array_equal(normalize(np.array([0, 1, 128, 255], np.uint8)), [-1, -127 / 128, 0, 127 / 128])
    assert normalize(np.zeros((2, 2, 3), np.uint8)).dtype == np.float32


def test_the_digest_tells_apart_what_changes_pixels_and_nothing_else():
    specs = [SPEC, PreprocessSpec(resize="box"), PreprocessSpec(aspect="pad"), PreprocessSpec(window=(0.0, 9.0))]
    digests = {spec_digest(size, spec) for spec in specs for size in (96, 224)}
    assert len(digests) == 8
    assert spec_digest(96, SPEC) == spec_digest(96, PreprocessSpec(max_pixels=5))
