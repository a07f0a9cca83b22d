from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, features

from mstl_edge.preprocess import UnreadableImageError, load_image
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()
FULL, REDUCED, PAGE, MASK = 0, 1, 2, 4


def drawn(seed: int, side: int = 32, channels: tuple[int, ...] = ()) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, *channels), dtype=np.uint8))


@pytest.mark.parametrize("kinds", [(FULL, FULL), (PAGE, PAGE, PAGE), (FULL, REDUCED, FULL), (REDUCED, FULL, FULL)])
def test_a_tiff_of_several_pictures_is_refused_with_their_number(pages, kinds):
    content = pages(*((drawn(seed), kind) for seed, kind in enumerate(kinds)))
    count = sum(kind != REDUCED for kind in kinds)
    with pytest.raises(UnreadableImageError, match=rf"one picture .* Received: image \({count} pages\)\. Save"):
        load_image(content, 32, SPEC)


@pytest.mark.parametrize(
    "kinds", [(FULL, REDUCED, REDUCED), (FULL, MASK), (FULL, REDUCED | MASK), (REDUCED, FULL), (FULL,)]
)
def test_a_pyramid_a_thumbnail_and_a_mask_leave_one_picture_and_that_is_read(pages, kinds):
    content = pages(*((drawn(seed, 32 if kind == FULL else 16), kind) for seed, kind in enumerate(kinds)))
    picture = drawn(kinds.index(FULL))
    np.testing.assert_array_equal(load_image(content, 32, SPEC)[..., 0], np.asarray(picture))


def test_a_tiff_of_nothing_but_a_reduced_copy_is_that_picture(pages):
    np.testing.assert_array_equal(load_image(pages((drawn(1), REDUCED)), 32, SPEC)[..., 0], np.asarray(drawn(1)))


def test_the_full_picture_of_a_pyramid_is_held_against_the_pixel_limit(pages):
    content = pages((drawn(0, 8), REDUCED), (drawn(1, 64), FULL))
    with pytest.raises(UnreadableImageError, match="64×64 pixels, above"):
        load_image(content, 32, PreprocessSpec(max_pixels=1000))


def test_directories_that_go_round_in_a_circle_end(pages):
    content = bytearray(pages((drawn(0), FULL)))
    (start,) = np.frombuffer(content[4:8], "<u4")
    entries = int(np.frombuffer(content[start : start + 2], "<u2")[0])
    end = int(start) + 2 + 12 * entries
    content[end : end + 4] = content[4:8]
    np.testing.assert_array_equal(load_image(bytes(content), 32, SPEC)[..., 0], np.asarray(drawn(0)))


@pytest.mark.parametrize(("images", "refused"), [(20, True), (1, False)])
def test_a_stack_of_imagej_behind_one_directory_is_refused(saved, images, refused):
    content = saved(drawn(0), "TIFF", tiffinfo={270: f"ImageJ=1.54f\nimages={images}\nslices={images}\n"})
    if refused:
        with pytest.raises(UnreadableImageError, match="20 pages"):
            load_image(content, 32, SPEC)
    else:
        assert load_image(content, 32, SPEC).shape == (32, 32, 3)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_refused_with_its_number_of_frames(saved, form):
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    content = saved(
        drawn(0, channels=(3,)), form, save_all=True, append_images=[drawn(1, channels=(3,)), drawn(2, channels=(3,))]
    )
    with pytest.raises(UnreadableImageError, match=r"\(3 frames\)") as caught:
        load_image(content, 32, SPEC)
    assert "files of their own" in caught.value.hint


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_a_file_of_one_frame_is_read_as_its_picture(saved, form):
    image = drawn(0)
    options = {"lossless": True} if form == "WEBP" else {}
    content = saved(image, form, save_all=True, **options)
    np.testing.assert_array_equal(load_image(content, 32, SPEC)[..., 0], np.asarray(image))


def test_a_stereo_photo_is_its_first_picture(saved):
    first = drawn(0, channels=(3,))
    content = saved(first, "MPO", save_all=True, append_images=[drawn(1, channels=(3,))])
    np.testing.assert_array_equal(load_image(content, 32, SPEC), load_image(saved(first, "JPEG"), 32, SPEC))


def test_an_icon_of_many_sizes_is_one_picture(saved):
    assert load_image(saved(drawn(0, 48, (3,)), "ICO", sizes=[(16, 16), (48, 48)]), 48, SPEC).shape == (48, 48, 3)
