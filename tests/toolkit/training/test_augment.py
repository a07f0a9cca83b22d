"""Stored views: seeded by image and bounds, and keyed by what decides them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstl_edge.recipe import AugmentSpec
from mstl_edge.storage import digest
from mstl_edge.training.fitting.augment import draw_view, view_key

SPEC = AugmentSpec(views=4)
KEY = digest("image")
STILL = AugmentSpec(views=4, flip=False, rotate=0.0, shift=0.0, zoom=0.0, brightness=0.0, contrast=0.0)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(1, 256, (24, 24, 3), dtype=np.uint8)


def test_view_zero_is_the_image_itself_whatever_the_bounds(pixels):
    np.testing.assert_array_equal(draw_view(pixels, 0, SPEC, KEY), pixels)
    assert view_key(KEY, 0, SPEC) == KEY


def test_a_view_is_drawn_once_and_for_all(pixels):
    first = draw_view(pixels, 2, SPEC, KEY)
    np.testing.assert_array_equal(first, draw_view(pixels, 2, SPEC, KEY))
    for other in (draw_view(pixels, 3, SPEC, KEY), draw_view(pixels, 2, SPEC, digest("another"))):
        assert not np.array_equal(first, other)


def test_more_views_leave_the_earlier_ones_as_they_are(pixels):
    more = msgspec.structs.replace(SPEC, views=9)
    assert view_key(KEY, 3, more) == view_key(KEY, 3, SPEC)
    np.testing.assert_array_equal(draw_view(pixels, 3, more, KEY), draw_view(pixels, 3, SPEC, KEY))


def test_other_bounds_are_another_view():
    assert view_key(KEY, 1, msgspec.structs.replace(SPEC, rotate=11.0)) != view_key(KEY, 1, SPEC)


def test_bounds_of_zero_move_nothing(pixels):
    np.testing.assert_array_equal(draw_view(pixels, 1, STILL, KEY), pixels)


def test_a_flip_alone_mirrors_exactly_and_happens_about_every_second_time(pixels):
    flipping = msgspec.structs.replace(STILL, flip=True)
    drawn = [draw_view(pixels, view, flipping, KEY) for view in range(1, 41)]
    mirrored = [np.array_equal(view, pixels[:, ::-1]) for view in drawn]
    assert all(flipped or np.array_equal(view, pixels) for flipped, view in zip(mirrored, drawn, strict=True))
    assert 10 <= sum(mirrored) <= 30


def test_black_around_the_tissue_stays_black(pixels):
    framed = np.pad(pixels[6:18, 6:18], ((6, 6), (6, 6), (0, 0)))
    brighter = msgspec.structs.replace(STILL, brightness=0.5, contrast=0.5)
    for view in range(1, 10):
        assert not draw_view(framed, view, brighter, KEY)[:6].any()


@settings(deadline=None)
@given(
    view=st.integers(1, 50),
    rotate=st.floats(0, 180),
    shift=st.floats(0, 0.5),
    zoom=st.floats(0, 0.5),
    brightness=st.floats(0, 1),
    contrast=st.floats(0, 1),
)
def test_any_bounds_give_an_image_of_the_same_shape(view, **bounds):
    image = np.full((16, 16, 3), 200, dtype=np.uint8)
    drawn = draw_view(image, view, AugmentSpec(**bounds), KEY)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
