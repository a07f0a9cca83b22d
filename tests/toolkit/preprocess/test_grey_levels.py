from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mstl_edge.preprocess import heard, load_image
from mstl_edge.preprocess import levels as levels_module
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()
WINDOW = PreprocessSpec(window=(1000.0, 30000.0))


def grey(seed: int = 0, top: int = 60_000, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, (side, side)).astype(np.uint16)


@pytest.mark.parametrize("spec", [SPEC, WINDOW])
@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_min_is_white_gives_the_pixels_of_its_min_is_black_twin(tiff, order, spec):
    expected = load_image(tiff(grey(), 1, order=order), 32, spec)
    np.testing.assert_array_equal(load_image(tiff(~grey(), 0, order=order), 32, spec), expected)
    assert expected.max() > expected.min()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_min_is_white_is_turned_over_as_well(tiff, saved, compression):
    content = saved(Image.fromarray(~grey()), "TIFF", compression=compression, tiffinfo={262: 0})
    assert Image.open(io.BytesIO(content)).tag_v2[262] == 0
    np.testing.assert_array_equal(load_image(content, 32, SPEC), load_image(tiff(grey()), 32, SPEC))


@pytest.mark.parametrize("kind", [np.uint32, np.int16, np.int32, np.float32])
def test_min_is_white_of_other_depths_is_turned_over(tiff, kind):
    levels = (grey() // 2).astype(kind)
    white = -levels if kind is np.float32 else ~levels
    np.testing.assert_array_equal(load_image(tiff(white, 0), 32, SPEC), load_image(tiff(levels), 32, SPEC))


def test_a_float_window_holds_the_stored_levels_and_is_turned_over_within_itself(tiff):
    levels = grey(top=2000).astype(np.float32)
    spec = PreprocessSpec(window=(500.0, 1500.0))
    black, white = (load_image(tiff(levels, photometric), 32, spec).astype(int) for photometric in (1, 0))
    assert abs(black + white - 255).max() <= 1


def test_twelve_bits_are_turned_over_at_twelve_bits(tiff):
    levels = grey(top=4096)
    even, odd = levels.ravel()[0::2], levels.ravel()[1::2]
    packed = np.stack([even >> 4, ((even & 15) << 4) | (odd >> 8), odd & 255], axis=1).astype(np.uint8)
    spec = PreprocessSpec(window=(100.0, 3000.0))
    expected = load_image(tiff(levels), 32, spec)
    for photometric, data in ((1, packed), (0, ~packed)):
        content = tiff(levels, photometric, bits=12, data=data.tobytes())
        np.testing.assert_array_equal(load_image(content, 32, spec), expected)


def test_eight_bit_min_is_white_stays_as_pillow_reads_it(tiff):
    levels = grey(top=256).astype(np.uint8)
    np.testing.assert_array_equal(load_image(tiff(~levels, 0), 32, SPEC)[..., 0], levels)


def test_unsigned_levels_beyond_two_to_the_31st_do_not_wrap(tiff):
    levels = grey(top=65_536)
    high = levels.astype(np.uint32) << 16
    assert high.max() > 2**31
    np.testing.assert_array_equal(load_image(tiff(high), 32, SPEC), load_image(tiff(levels), 32, SPEC))


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize(
    "strays", [{(3, 3): 65_535}, {(3, 3): 65_535, (9, 1): 30_000}, {(0, 0): 50_000, (0, 1): 50_000}]
)
def test_pixels_that_stray_far_above_do_not_darken_a_twelve_bit_picture(tiff, kind, strays):
    clean = grey(top=4096, side=64).astype(kind)
    stray = clean.copy()
    for place, level in strays.items():
        stray[place] = level
        clean[place] = clean.max()
    with heard() as remarks:
        pixels = load_image(tiff(stray), 64, SPEC)
    np.testing.assert_array_equal(pixels, load_image(tiff(clean), 64, SPEC))
    assert [f"{len(strays)} pixel" in remark and "preprocess.window" in remark for remark in remarks] == [True]


def test_pixels_that_stray_on_both_sides_are_left_out_on_both(tiff):
    clean = 30_000 + grey(top=4000, side=64)
    stray = clean.copy()
    stray[0, 0], stray[5, 5] = 0, 65_535
    clean[0, 0], clean[5, 5] = clean.min(), clean.max()
    with heard() as remarks:
        pixels = load_image(tiff(stray), 64, SPEC)
    np.testing.assert_array_equal(pixels, load_image(tiff(clean), 64, SPEC))
    assert len(remarks) == 2


def test_a_nodata_value_of_a_float_picture_is_left_out(tiff):
    clean = grey(top=4000, side=64).astype(np.float32)
    stray = clean.copy()
    stray[0, 0], clean[0, 0] = -3.4e38, 0
    np.testing.assert_array_equal(load_image(tiff(stray), 64, SPEC), load_image(tiff(clean), 64, SPEC))


def ordinary() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    tail = np.exp(draw.normal(7, 1, (64, 64))).clip(0, 65_535)
    spots = np.zeros((64, 64))
    spots[3, 4:7] = 60_000
    marker = draw.integers(0, 4096, (64, 64))
    marker[:8, :8] = 65_535
    return {
        "even": draw.integers(0, 65_536, (64, 64)),
        "long tail": tail,
        "few spots on black": spots,
        "spots on noise within eight bits": spots + draw.integers(0, 200, (64, 64)),
        "many bright pixels": marker,
        "flat": np.full((64, 64), 700),
        "few pixels": draw.integers(0, 4096, (16, 16)) + 60_000 * (np.arange(256).reshape(16, 16) == 9),
    }


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
@pytest.mark.parametrize("name", list(ordinary()))
def test_a_picture_without_strays_takes_its_own_range_to_the_level(tiff, name, kind):
    levels = ordinary()[name].astype(kind)
    floats = levels.astype(np.float32)
    low, high = float(floats.min()), float(floats.max())
    expected = np.clip(np.rint((floats - low) * (255.0 / max(high - low, 1e-6))), 0, 255).astype(np.uint8)
    with heard() as remarks:
        pixels = load_image(tiff(levels), len(levels), SPEC)
    np.testing.assert_array_equal(pixels[..., 0], expected)
    assert remarks == []


def test_a_stated_window_asks_for_no_strays(tiff):
    levels = grey(top=4096, side=64)
    levels[0, 0] = 65_535
    with heard() as remarks:
        load_image(tiff(levels), 64, PreprocessSpec(window=(0.0, 65_535.0)))
    assert remarks == []


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.float32])
@pytest.mark.parametrize("photometric", [0, 1])
def test_bands_give_the_pixels_of_the_whole(tiff, monkeypatch, kind, photometric):
    levels = grey(top=4096, side=64).astype(kind)
    levels[10, 10] = 65_535
    content = tiff(levels, photometric)
    whole = load_image(content, 64, SPEC)
    monkeypatch.setattr(levels_module, "_BAND_PIXELS", 64 * 7)
    np.testing.assert_array_equal(load_image(content, 64, SPEC), whole)
