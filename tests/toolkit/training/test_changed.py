from __future__ import annotations

import numpy as np

from mstl_edge.training.unseen.changed import changed


def test_six_ways_to_change_an_image_and_none_leaves_it() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    found = changed(images, 1)
    assert (found.shape, found.dtype) == ((18, 48, 48, 3), np.uint8)
    np.testing.assert_array_equal(found[0], np.rot90(images[0]))
    np.testing.assert_array_equal(found[4], np.rot90(images[1], 2))
    np.testing.assert_array_equal(found[9], 255 - images[0])
    assert all((picture != image).any() for picture, image in zip(found, np.tile(images, (6, 1, 1, 1)), strict=True))
    assert found[12].std() < images[0].std()
    np.testing.assert_array_equal(found, changed(images, 1))
    assert (found[15:] != changed(images, 2)[15:]).any()
