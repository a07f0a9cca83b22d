"""Files that are whole or absent, and arrays on disk that are computed once.

Everything the toolkit writes goes to a temporary name first and is renamed when it is complete, so that a killed
process leaves either the old file or the new one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mstl_edge.errors import MstlEdgeError

CACHE_VARIABLE = "MSTL_EDGE_CACHE"
LIMIT_VARIABLE = "MSTL_EDGE_CACHE_GB"
LIMIT_GB = 50.0
"""What the cache may grow to, in units of 10⁹ bytes, unless the variable says otherwise."""
KEY_BYTES = 32
"""Rows are keyed by a SHA-256 digest."""


def cache_folder(*parts: str) -> Path:
    """Return (and make) a folder of the cache: `$MSTL_EDGE_CACHE`, else `$XDG_CACHE_HOME/mstl-edge`, else `~/.cache/mstl-edge`."""
    folder = _cache_base().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MstlEdgeError(
            f"a cache folder that can be written ({error.strerror})",
            received=folder,
            hint=f"Set {CACHE_VARIABLE} to one that can.",
        ) from error
    return folder


def _cache_base() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mstl-edge"


def check_cache_limit(needed_bytes: int) -> None:
    """Check that the cache may take so many bytes more.

    Raises:
        MstlEdgeError: It would grow beyond its limit, or the limit is no number.
    """
    named = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit_gb = float(named or LIMIT_GB)
    except ValueError as error:
        raise MstlEdgeError(
            f"a number of gigabytes in {LIMIT_VARIABLE}", received=named, hint=f"For example {LIMIT_VARIABLE}=50"
        ) from error
    base = _cache_base()
    used_gb = _used_bytes(base) / 1e9
    if used_gb + needed_bytes / 1e9 > limit_gb:
        raise MstlEdgeError(
            f"decoded images and features within {limit_gb:g} GB at {base}",
            received=f"{used_gb:.1f} GB there already and {needed_bytes / 1e9:.1f} GB to add",
            hint=f"Empty it with 'mstl-edge runs clean --cache', raise {LIMIT_VARIABLE}, or keep features in half the space: "
            "--set stages.NAME.feature_precision=float16",
        )


def _used_bytes(folder: Path) -> int:
    """Return the size of all files under `folder`; one that another process removes meanwhile counts nothing."""
    used = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                used += Path(base, name).lstat().st_size
    return used


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed to `path`, otherwise removed.

    Raises:
        MstlEdgeError: The disk is full, or the folder cannot be made or written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        if path.parent.is_dir():
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def _explained(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(path)
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
        return MstlEdgeError(
            "an output folder that can be written", received=path, hint="Choose another one with --out."
        )
    return error


def no_space(path: Path, needed_bytes: int | None = None) -> MstlEdgeError:
    """Return the error for a full disk at `path`."""
    free_mb = shutil.disk_usage(_existing(path)).free / 1e6
    needed = f"{needed_bytes / 1e6:,.0f} MB" if needed_bytes is not None else "more space"
    return MstlEdgeError(
        f"{needed} on the disk of {path}",
        received=f"{free_mb:,.0f} MB free",
        hint=f"Free some, try 'mstl-edge runs clean', or set {CACHE_VARIABLE} to a folder on a larger disk.",
    )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def digest(*parts: bytes | str) -> bytes:
    """Return the SHA-256 of the parts, each with its length in front so that borders count."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8") if isinstance(part, str) else part
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.digest()


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
        folder.mkdir(parents=True, exist_ok=True)
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
            MstlEdgeError: The rows would not fit on the disk, or into the cache's limit.
        """
        with self._locked():
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
            try:
                self._append(len(known), list(missing), compute(list(missing.values())), block)
            except OSError as error:
                raise _explained(error, self.folder) from error

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

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep a second process that fills the same store waiting; the lock dies with its process."""
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


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


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays as an `.npz` whose bytes depend on nothing but the arrays (NumPy's own writer stores the time of day)."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an `.npz` file."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
