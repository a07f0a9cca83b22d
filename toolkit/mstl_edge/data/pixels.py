"""Decoded and resized images on disk, computed once per file content and preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.splits import ManifestRow
from mstl_edge.data.workers import in_order
from mstl_edge.errors import DataError
from mstl_edge.preprocess import load_image, read_stored, spec_digest
from mstl_edge.recipe import PreprocessSpec
from mstl_edge.storage import Rows, RowStore, cache_folder


def load_pixels(
    folder: Path,
    rows: Sequence[ManifestRow],
    size: int,
    spec: PreprocessSpec,
    *,
    advance: Callable[[int], None] | None = None,
) -> Rows:
    """Return the pixels of manifest rows as a mapped `(n, size, size, 3) uint8`, decoding those not in the cache.

    Args:
        folder: The source's folder, which the rows' names are relative to.
        rows: Which images, in which order.
        size: Height and width in pixels.
        spec: The preprocessing, part of the cache's key like the file's SHA-256.
        advance: Told of images that are ready, `len(rows)` in all.

    Raises:
        DataError: A file is gone, damaged, or another one than when the split was made.
        MstlEdgeError: No space for the pixels.
    """
    store = _store(size, spec)
    keys = [bytes.fromhex(row.sha256) for row in rows]
    decoded = 0

    def compute(positions: Sequence[int]) -> Iterator[NDArray[np.generic]]:
        nonlocal decoded
        for pixels in in_order(lambda position: _checked_pixels(folder, rows[position], size, spec), positions):
            decoded += 1
            if advance is not None:
                advance(1)
            yield pixels

    store.ensure(keys, compute)
    if advance is not None and decoded < len(rows):
        advance(len(rows) - decoded)
    return store.rows(keys)


def keep_pixels(
    keys: Sequence[bytes], size: int, spec: PreprocessSpec, decoded: Callable[[], NDArray[np.uint8]]
) -> None:
    """Put images that were decoded elsewhere into the cache here; those that it has stay.

    Args:
        keys: SHA-256 of each file.
        size: Height and width in pixels.
        spec: The preprocessing.
        decoded: Asked for `(len(keys), size, size, 3) uint8` where any is missing.

    Raises:
        MstlEdgeError: No space for the pixels.
    """

    def rows(positions: Sequence[int]) -> Iterator[NDArray[np.generic]]:
        pixels = decoded()
        for position in positions:
            yield pixels[position]

    _store(size, spec).ensure(keys, rows)


def _store(size: int, spec: PreprocessSpec) -> RowStore:
    return RowStore(cache_folder("pixels", spec_digest(size, spec).hex()), (size, size, 3), np.uint8)


def _checked_pixels(folder: Path, row: ManifestRow, size: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    stored = read_stored(folder / row.name, spec, name=row.name)
    if stored.sha256 != row.sha256:
        raise DataError(
            "image files as they were when the split was made",
            received=f"{row.name} with other content",
            hint="Start a new run, or bring the file back.",
        )
    return load_image(stored, size, spec, name=row.name)
