"""Arrays on disk that are computed once and survive a kill."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mstl_edge.storage.cache import check_cache_limit
from mstl_edge.storage.locks import waiting_for_others
from mstl_edge.storage.trouble import explained, no_space

KEY_BYTES = 32
"""Rows are keyed by a SHA-256 digest."""


class RowStore:
    """An append-only file of equal rows, each keyed by a SHA-256, that survives `kill -9` at any moment.

    `rows.bin` holds the rows, `keys.bin` their keys in the same order. Rows are flushed before their keys are appended, so
    a row whose key is absent, or a torn one at the end, simply does not exist and is overwritten.

    Args:
        folder: Where the two files live; whatever decides the content of a row beside its key belongs into this name.
        shape: Shape of one row.
        dtype: Element type of a row.
        reserve_bytes: Disk space that must stay free after writing.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: DTypeLike, *, reserve_bytes: int = 1 << 29) -> None:
        self.folder = folder
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(shape)) * self.dtype.itemsize
        self._reserve_bytes = reserve_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explained(error, folder) from error
        self._rows_path = folder / "rows.bin"
        self._keys_path = folder / "keys.bin"

    def index(self) -> dict[bytes, int]:
        """Return the row number of every key that is complete on disk."""
        keys = self._keys_path.read_bytes() if self._keys_path.exists() else b""
        stored = self._rows_path.stat().st_size // self.row_bytes if self._rows_path.exists() else 0
        count = min(len(keys) // KEY_BYTES, stored)
        return {keys[i * KEY_BYTES : (i + 1) * KEY_BYTES]: i for i in range(count)}

    def ensure(
        self,
        keys: Sequence[bytes],
        compute: Callable[[Sequence[int]], Iterator[NDArray[np.generic]]],
        *,
        block: int = 64,
    ) -> None:
        """Compute and append the rows that are missing.

        Args:
            keys: One key per wanted row; repeats are computed once.
            compute: Receives positions in `keys` and yields one row per position, in that order.
            block: How many rows are written between two flushes.

        Raises:
            MstlEdgeError: The rows would not fit on the disk or into the cache's limit, or the disk does not take them.
        """
        with waiting_for_others(self.folder):
            try:
                self._fill(keys, compute, block)
            except OSError as error:
                raise explained(error, self._rows_path) from error

    def _fill(
        self, keys: Sequence[bytes], compute: Callable[[Sequence[int]], Iterator[NDArray[np.generic]]], block: int
    ) -> None:
        known = self.index()
        missing: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            if key not in known:
                missing.setdefault(key, position)
        if not missing:
            return
        needed = len(missing) * self.row_bytes
        check_cache_limit(needed)
        if shutil.disk_usage(self.folder).free < needed + self._reserve_bytes:
            raise no_space(self.folder, needed + self._reserve_bytes)
        self._append(len(known), list(missing), compute(list(missing.values())), block)

    def _append(self, start: int, keys: list[bytes], rows: Iterator[NDArray[np.generic]], block: int) -> None:
        self._rows_path.touch()
        self._keys_path.touch()
        with self._rows_path.open("rb+") as row_file, self._keys_path.open("rb+") as key_file:
            row_file.truncate(start * self.row_bytes)
            key_file.truncate(start * KEY_BYTES)
            row_file.seek(0, os.SEEK_END)
            key_file.seek(0, os.SEEK_END)
            pending: list[bytes] = []
            for key, row in zip(keys, rows, strict=True):
                row_file.write(np.ascontiguousarray(row, dtype=self.dtype).reshape(self.shape).data)
                pending.append(key)
                if len(pending) == block:
                    self._commit(row_file, key_file, pending)
            self._commit(row_file, key_file, pending)

    @staticmethod
    def _commit(row_file: object, key_file: object, pending: list[bytes]) -> None:
        for handle, content in ((row_file, b""), (key_file, b"".join(pending))):
            handle.write(content)  # type: ignore[attr-defined]
            handle.flush()  # type: ignore[attr-defined]
            os.fsync(handle.fileno())  # type: ignore[attr-defined]
        pending.clear()

    def rows(self, keys: Sequence[bytes]) -> Rows:
        """Return the rows of `keys` as a read-only view on the mapped file.

        Raises:
            KeyError: A row was never computed; call `ensure` first.
        """
        index = self.index()
        numbers = np.array([index[key] for key in keys], dtype=np.int64)
        if not index:  # an empty file cannot be mapped
            return Rows(np.empty((0, *self.shape), self.dtype), numbers)
        mapped = np.memmap(self._rows_path, dtype=self.dtype, mode="r", shape=(len(index), *self.shape))
        return Rows(mapped, numbers)


class Rows:
    """Some rows of a mapped file, in a chosen order; `rows[positions]` copies just those into memory."""

    def __init__(self, mapped: NDArray[np.generic], numbers: NDArray[np.int64]) -> None:
        self._mapped = mapped
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, positions: int | slice | Sequence[int] | NDArray[np.int64]) -> NDArray[np.generic]:
        return np.asarray(self._mapped[self._numbers[positions]])

    def select(self, positions: Sequence[int] | NDArray[np.int64]) -> Rows:
        """Return the rows at `positions` without reading them."""
        return Rows(self._mapped, self._numbers[np.asarray(positions, dtype=np.int64)])

    @property
    def shape(self) -> tuple[int, ...]:
        """`(rows, *row shape)`."""
        return (len(self), *self._mapped.shape[1:])
