"""One process at a time, also on file systems that know no locks."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

from mstl_edge.errors import MstlEdgeError
from mstl_edge.storage.cache import CACHE_VARIABLE
from mstl_edge.storage.trouble import explained

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
_UNKNOWN = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EIO, errno.EBADF)
"""What network file systems, FUSE and some containers answer instead of a lock."""


@contextmanager
def waiting_for_others(folder: Path) -> Iterator[None]:
    """Hold `folder` alone; another process waits until this one has left or died.

    Where the file system has no locks, a file named after its owner stands for one; nobody waits for it.

    Raises:
        MstlEdgeError: No locks, and another process may be at work there; or the folder cannot be written.
    """
    file = folder / "lock"
    try:
        handle = file.open("w")
    except OSError as error:
        raise explained(error, file) from error
    with handle:
        try:
            locked = _lock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise explained(error, file) from error
        with nullcontext() if locked else _owned(folder / "owner"):
            yield


@contextmanager
def alone_in(file: Path, *, beside_others: bool = False) -> Iterator[bool]:
    """Yield whether nobody else holds `file`, and hold it until the end.

    `beside_others` holds it together with others who do so, against whoever wants it alone. True as well where the file system
    has no locks, or the file cannot be written.
    """
    with _opened(file) as handle:
        try:
            if handle is not None:
                _lock(handle, (fcntl.LOCK_SH if beside_others else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise explained(error, file) from error
            yield False
        else:
            yield True


@contextmanager
def _opened(file: Path) -> Iterator[IO[Any] | None]:
    try:
        handle = file.open("rb+")
    except OSError:
        yield None
        return
    with handle:
        yield handle


def _lock(handle: IO[Any], operation: int) -> bool:
    """Return whether the file system has locks; then `handle` is locked.

    Raises:
        OSError: Somebody else has the lock, or the file system failed.
    """
    try:
        fcntl.flock(handle, operation)
    except OSError as error:
        if error.errno in _UNKNOWN:
            return False
        raise
    return True


@contextmanager
def _owned(file: Path) -> Iterator[None]:
    """Hold a folder by a file that only one process can make; that of a dead process of this machine is put aside."""
    owner = _read(file)
    if owner and _is_dead(owner):
        _put_aside(file, owner)
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(f"{socket.gethostname()} {os.getpid()}")
    except FileExistsError as error:
        raise MstlEdgeError(
            "a cache on a disk with file locks, or one process at a time in it",
            received=f"{file}, of process {_read(file) or 'unknown'}",
            hint=f"Wait for that process; where it is gone, delete the file. {CACHE_VARIABLE} moves the cache to another disk.",
        ) from error
    except OSError as error:
        raise explained(error, file) from error
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()


def _put_aside(file: Path, owner: str) -> None:
    """Remove a dead owner's file, but not one that a third process has made in its place meanwhile."""
    aside = file.with_name(f"{file.name}.{os.getpid()}.partial")
    with suppress(OSError):
        file.rename(aside)
        if _read(aside) != owner:
            aside.rename(file)
        aside.unlink(missing_ok=True)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_dead(owner: str) -> bool:
    host, _, process = owner.partition(" ")
    return host == socket.gethostname() and process.isdecimal() and not Path("/proc", process).exists()
