"""Pillow's limit on pixels, which is global to the process, and ours, which is a recipe's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_PILLOW_LIMIT = threading.Lock()


@contextmanager
def own_pixel_limit() -> Iterator[None]:
    """Switch off Pillow's own limit, which is global, cannot be raised per image and warns; ours follows from the header."""
    with _PILLOW_LIMIT:
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = kept
