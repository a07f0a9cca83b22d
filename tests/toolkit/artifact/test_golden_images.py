from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest

from mstl_edge.artifact import draw_golden_images


@pytest.mark.parametrize(
    ("size", "start"), [(96, "d2e8f76148a04991"), (512, "a3a02d6929f34ec7")]
)  # recorded before they were drawn in bands
def test_drawn_images_are_those_that_older_files_carry(size: int, start: str) -> None:
    (pixels,) = draw_golden_images(size, 1)
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest().startswith(start)


def test_drawing_a_scan_sized_image_takes_a_few_megabytes() -> None:
    tracemalloc.start()
    try:
        draw_golden_images(512, 1)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
